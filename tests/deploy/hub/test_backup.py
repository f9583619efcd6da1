"""A hub in one file: consistent while ingest goes on, without what the platform holds, and gone when it must be."""

import asyncio
import gzip
import io
import json
import os
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing

import pytest

from hub.cli.backup import named_files
from hub.config import load
from hub.model import QuarantineEntry
from hub.store.backup.copy import check, copy_database
from hub.store.backup.manifest import BackupError, Contents, end_of, read_manifest
from hub.store.backup.rotation import Kept, archive_name, going
from hub.store.sqlite import open_store

HOUR_MS = 3_600_000
ENTRY = QuarantineEntry(device_id=None, epoch=None, seq=None, reason="malformed", detail="odd", data=b"evidence!")


def members(path):
    with tarfile.open(path) as tar:
        return {member.name: (member, tar.extractfile(member).read()) for member in tar}


def database_in(path, folder):
    target = folder / "looked-at.sqlite"
    target.write_bytes(members(path)["hub.sqlite"][1])
    return target


def ask(path, sql):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def repacked(path, change):
    """The archive with its members changed: a list of (TarInfo, data)."""
    held = list(members(path).values())
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, data in change(held):
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(out.getvalue()))
    return path


def copied(home, folder, number):
    path = folder / f"copy-{number}.sqlite"
    copy_database(home.database, path)
    return path


def test_an_archive_has_everything_and_is_for_its_owner_only(home, archive, run):
    home.grow(5)
    path = archive()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    held = members(path)
    told = json.loads(held["manifest.json"][1])
    assert list(held) == ["manifest.json", *(part["name"] for part in told["parts"])]
    assert list(held)[-1] == "hub.sqlite"
    assert held["hub.toml"][1] == home.config.read_bytes()
    for name, file in named_files(load(home.config)).items():
        assert held[name][1] == file.read_bytes(), name
    private = {part["name"] for part in told["parts"] if part["private"]}
    assert private == {"keys.signing", "broker.key", "platform.key", "ca.key"}
    assert told["contents"] == {"schema": told["contents"]["schema"], "checkins": 5, "waiting": 5, "personal": 5} | {
        "newest_ms": home.ask("SELECT max(received_ms) FROM checkin")[0][0]
    }
    code, out, _ = run("backup", "--check", path)
    assert (code, "is whole" in out) == (0, True)


def test_every_file_that_a_configuration_can_name_has_a_name_in_an_archive(home):
    home.config.write_text(
        home.config.read_text() + '\n[console]\nurl = "https://c.example"\ncert = "c.pem"\nkey = "c.key"\n'
    )
    config = load(home.config)
    assert set(config.files) <= set(named_files(config).values())


def test_what_the_platform_holds_is_not_in_the_copy_and_the_rest_is(home, archive, tmp_path):
    home.grow(6, quarantine=(ENTRY,))
    home.forward(4)
    path = archive()
    copy = database_in(path, tmp_path)
    assert ask(copy, "SELECT seq, subject IS NULL, masked IS NULL, sealed IS NULL FROM checkin") == [
        (seq, *(int(seq <= 4),) * 3) for seq in range(1, 7)
    ]
    assert ask(copy, "SELECT data FROM quarantine") == [(b"evidence!",)]
    data = copy.read_bytes()
    for row in home.rows[:4]:
        assert row.data not in data
        assert row.checkin.subject not in data
    assert home.rows[4].data in data
    told = json.loads(members(path)["manifest.json"][1])["contents"]
    assert (told["checkins"], told["waiting"], told["personal"]) == (6, 2, 3)
    assert home.ask("SELECT count(*) FROM checkin WHERE sealed IS NULL") == [(0,)], "the hub's own is untouched"


def test_a_backup_while_ingest_goes_on_is_of_one_moment(home, archive, tmp_path):
    home.grow(1)
    begun, enough = threading.Event(), threading.Event()

    async def ingest():
        store = await open_store(home.database)
        while not enough.is_set():
            await home.commit(store, 3)
            begun.set()
        await store.close()

    writer = threading.Thread(target=asyncio.run, args=(ingest(),))
    writer.start()
    try:
        assert begun.wait(20)
        whole = archive()
        copies = [copied(home, tmp_path, number) for number in range(12)]
    finally:
        enough.set()
        writer.join()
    found = []
    for path in (database_in(whole, tmp_path), *copies):
        ((head,),) = ask(path, "SELECT seq FROM head")
        assert ask(path, "SELECT count(*), max(seq) FROM checkin") == [(head, head)]
        assert (head - 1) % 3 == 0, "no commit is half there"
        assert ask(path, "SELECT hash FROM checkin ORDER BY seq DESC LIMIT 1") == [(home.rows[head - 1].hash,)]
        found.append(head)
    assert found == sorted(found)
    assert found[-1] > found[0], "ingest stood still"


def test_personal_data_end_with_the_shorter_retention_and_facts_never():
    held = Contents(schema=1, checkins=9, waiting=0, personal=1, newest_ms=5)
    assert end_of(held, made_ms=7, personal_h=24, quarantine_h=720) == 7 + 24 * HOUR_MS
    assert end_of(held, made_ms=7, personal_h=24, quarantine_h=2) == 7 + 2 * HOUR_MS
    assert end_of(held, made_ms=7, personal_h=0, quarantine_h=2) == 7
    facts = Contents(schema=1, checkins=9, waiting=0, personal=0, newest_ms=5)
    assert end_of(facts, made_ms=7, personal_h=24, quarantine_h=2) is None


@pytest.mark.parametrize(
    ("ends", "keep", "now_ms", "gone"),
    [
        ((None, None, None), 3, 10, ()),
        ((None, None, None), 2, 10, (0,)),
        ((None, None, None), 1, 10, (0, 1)),
        ((9, 10, 11), 9, 10, (0, 1)),
        ((9, 9, 9), 9, 10, (0, 1)),
        ((9,), 1, 10, ()),
        ((11, None, 5), 9, 10, ()),
        ((), 1, 10, ()),
    ],
)
def test_what_is_over_goes_and_the_newest_never(tmp_path, ends, keep, now_ms, gone):
    kept = [Kept(path=tmp_path / str(number), ends_ms=end) for number, end in enumerate(ends)]
    assert going(kept, keep=keep, now_ms=now_ms) == [tmp_path / str(number) for number in gone]


def test_a_run_removes_what_is_over_and_nothing_of_anybody_elses(home, backups, run, archive):
    home.grow(2)
    hub = load(home.config).hub_id
    day_ago = archive()
    old = day_ago.rename(backups / archive_name(hub, made_ms=1_000_000))
    told = json.loads(members(old)["manifest.json"][1])
    assert told["ends_ms"] == told["made_ms"] + 24 * HOUR_MS
    repacked(old, change_data("manifest.json", json.dumps(told | {"ends_ms": 1_000_001}).encode()))
    broken = backups / archive_name(hub, made_ms=2_000_000)
    broken.write_bytes(b"half")
    others = [backups / archive_name("f" * 16, made_ms=1_000_000), backups / "letter.tar.gz"]
    for path in others:
        path.write_bytes(b"mine")
    code, out, _ = run("backup", "--to", backups)
    assert code == 0
    assert out.count("removed") == 2
    assert not old.exists()
    assert not broken.exists()
    assert all(path.exists() for path in others)
    assert len(list(backups.glob(f"*{hub}*"))) == 1


def test_a_failed_run_removes_nothing_and_leaves_nothing(home, backups, run, archive):
    home.grow(2)
    kept = archive()
    left = backups / ".gatelight-hub-x"
    left.mkdir()
    (left / "hub.sqlite").write_bytes(b"personal")
    home.database.write_bytes(b"\0" * 5000)
    for name in ("-wal", "-shm"):
        (home.database.parent / f"hub.sqlite{name}").unlink(missing_ok=True)
    code, _, err = run("backup", "--to", backups, "--keep", "1")
    assert code == 1
    assert "hub.sqlite" in err
    assert list(backups.iterdir()) == [kept]


def test_a_copy_whose_pages_disagree_is_none(home, tmp_path):
    home.grow(3)
    copy = copied(home, tmp_path, 0)
    assert check(copy) == home.ask("PRAGMA user_version")[0][0]
    ask(copy, "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(copy)) as database:
        database.execute("CREATE TABLE word (it TEXT)")
        database.execute("CREATE INDEX word_it ON word (it)")
        database.execute("INSERT INTO word VALUES ('a word in two places')")
        database.commit()
    assert check(copy)
    data = copy.read_bytes()
    copy.write_bytes(data.replace(b"a word in two", b"a word in one", 1))
    with pytest.raises(BackupError, match="is damaged"):
        check(copy)
    (tmp_path / "other.sqlite").touch()
    with pytest.raises(BackupError, match="no hub's database"):
        check(tmp_path / "other.sqlite")


def test_a_folder_that_others_can_look_into_is_refused(home, backups, run):
    backups.chmod(0o750)
    code, _, err = run("backup", "--to", backups)
    assert (code, "chmod 700" in err) == (1, True)
    code, _, err = run("backup", "--to", backups / "nowhere")
    assert (code, "no folder" in err) == (1, True)
    assert list(backups.iterdir()) == []


def test_a_missing_file_is_named_and_keeps_nothing_back(home, backups, run):
    (home.folder / "tls" / "p.key").unlink()
    code, _, err = run("backup", "--to", backups)
    assert code == 0
    assert "p.key: no such file" in err
    assert "platform.key" not in members(next(iter(backups.iterdir())))


def change_data(name, data):
    return lambda held: [(m, data if m.name == name else d) for m, d in held]


def as_link(held):
    for member, data in held:
        if member.name == "keys.signing":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            yield member, b""
        else:
            yield member, data


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (change_data("keys.signing", b"x"), "keys.signing is not where"),
        (lambda held: [(m, d[:-1] + b"!" if m.name == "hub.sqlite" else d) for m, d in held], "hub.sqlite is damaged"),
        (lambda held: [(m, d[:-1] + b"!" if m.name == "ca.key" else d) for m, d in held], "ca.key is damaged"),
        (lambda held: held[:-1], "hub.sqlite is not where"),
        (lambda held: held[1:], "does not begin with"),
        (lambda held: [held[0], *held[2:], held[1]], "is not where"),
        (lambda held: [*held, (tarfile.TarInfo("more"), b"")], "there is more in it"),
        (as_link, "keys.signing is not where"),
    ],
)
def test_a_changed_archive_is_refused_before_anything_is_touched(home, archive, run, change, why):
    home.grow(3)
    path = repacked(archive(), change)
    home.grow(2)
    before = snapshot(home.folder)
    for words in (("backup", "--check", path), ("restore", path), ("restore", "--dry-run", path)):
        code, _, err = run(*words)
        assert code == 1
        assert why in err
    assert snapshot(home.folder) == before


def snapshot(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


@pytest.mark.parametrize("cut", [10, 2000, -2000])
def test_half_an_archive_is_refused(home, archive, run, cut):
    home.grow(3)
    path = archive()
    path.write_bytes(path.read_bytes()[:cut])
    code, _, err = run("restore", path)
    assert code == 1
    assert any(why in err for why in ("damaged", "does not begin", "is not where"))


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"", "truncated"),
        (b"[]", "Expected"),
        (b"\xff", "malformed"),
        (b'{"format": 2}', "format 2 is a newer"),
    ],
)
def test_a_manifest_that_is_none_is_refused(manifest, why):
    with pytest.raises(BackupError, match=why):
        read_manifest(manifest)


def test_a_manifest_cannot_lead_elsewhere_or_name_a_file_twice(home, archive):
    told = json.loads(members(archive())["manifest.json"][1])
    for name in ("../x", "/etc/passwd", "a/b", ""):
        with pytest.raises(BackupError):
            read_manifest(json.dumps(told | {"parts": [told["parts"][0] | {"name": name}]}).encode())
    for parts in (told["parts"] * 2, told["parts"][1:], told["parts"][:-1]):
        with pytest.raises(BackupError, match="once each"):
            read_manifest(json.dumps(told | {"parts": parts}).encode())
    long = [part | {"size_bytes": 2**40} for part in told["parts"]]
    with pytest.raises(BackupError, match="at most"):
        read_manifest(json.dumps(told | {"parts": long}).encode())
    assert read_manifest(json.dumps(told).encode()).hub_id == "00112233445566ff"


def test_whatever_the_umask_nobody_else_may_read(home, archive):
    old = os.umask(0)
    try:
        assert stat.S_IMODE(archive().stat().st_mode) == 0o600
    finally:
        os.umask(old)
