"""An archive back in its place: everything, or what was there; never over a hub that runs."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from hub.config import load
from hub.store import audit_chain
from hub.store.backup import swap
from hub.store.backup.copy import check
from hub.store.migrate import migrations
from hub.store.sqlite import open_store


def ask(path, sql):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def asides(home):
    return sorted(path for path in home.database.parent.iterdir() if ".replaced-" in path.name)


def test_a_database_comes_back_and_the_other_is_kept(home, archive, run):
    home.grow(4)
    path = archive()
    home.grow(3)
    code, out, err = run("restore", path)
    assert (code, err) == (0, "")
    assert home.ask("SELECT max(seq) FROM checkin") == [(4,)]
    (aside,) = asides(home)
    assert str(aside) in out
    assert ask(aside, "SELECT max(seq) FROM checkin") == [(7,)]
    assert stat.S_IMODE(home.database.stat().st_mode) == 0o600
    assert sorted(path.name for path in home.database.parent.iterdir()) == ["hub.sqlite", aside.name]
    assert "revoke" in out
    who, action, detail = home.ask("SELECT who, action, detail FROM audit ORDER BY id DESC LIMIT 1")[0]
    assert (who, action) == ("wang", "hub.restore")
    assert "4 check-ins" in detail
    home.rows[4:] = []
    home.grow(2)
    assert home.ask("SELECT count(*), max(seq) FROM checkin") == [(6, 6)]


def test_the_audit_log_of_a_restored_hub_still_chains(home, archive, run):
    home.grow(1)
    assert run("restore", archive())[0] == 0

    async def rows():
        store = await open_store(home.database)
        found = [row async for row in store.audit_rows()]
        await store.close()
        return found

    before, found = audit_chain.GENESIS, asyncio.run(rows())
    for row in found:
        entry = row.entry
        before = audit_chain.link(before, row.row_id, entry.at_ms, entry.who, entry.action, entry.detail)
        assert row.hash == before
    assert found[-1].entry.action == "hub.restore"


def test_a_new_machine_gets_everything(home, archive, run, tmp_path):
    home.grow(4)
    path = archive()
    there = {file: file.read_bytes() for file in load(home.config).files}
    for inside in home.folder.iterdir():
        shutil.rmtree(inside) if inside.is_dir() else inside.unlink()
    code, out, err = run("restore", path)
    assert (code, err) == (0, "")
    assert {file: file.read_bytes() for file in there} == there
    for file in load(home.config).files:
        assert stat.S_IMODE(file.stat().st_mode) == (0o600 if file.suffix == ".key" else 0o644), file
    assert out.count("from archive") == len(there) + 2
    assert run("check-config")[0] == 0
    assert home.ask("SELECT count(*) FROM checkin") == [(4,)]


def test_files_that_are_there_stay_and_are_told_of(home, archive, run):
    home.grow(1)
    path = archive()
    (home.folder / "tls" / "hub.pem").write_bytes(b"renewed since")
    (home.folder / "trust.bundle").unlink()
    code, out, _ = run("restore", path)
    assert code == 0
    assert (home.folder / "tls" / "hub.pem").read_bytes() == b"renewed since"
    assert (home.folder / "trust.bundle").read_bytes() == b"file trust.bundle"
    assert f"stays        {home.folder / 'tls' / 'hub.pem'}" in out
    assert out.count("stays") == 1


def test_a_dry_run_checks_and_changes_nothing(home, archive, run):
    home.grow(2)
    path = archive()
    (home.folder / "trust.bundle").unlink()
    before = listing(home.folder)
    code, out, err = run("restore", "--dry-run", path)
    assert (code, err) == (0, "")
    assert "nothing was changed" in out
    assert "trust.bundle" in out
    home.config.rename(home.folder / "away.toml")
    code, out, _ = run("restore", "--dry-run", path)
    assert (code, str(home.config) in out) == (0, True)
    (home.folder / "away.toml").rename(home.config)
    assert listing(home.folder) == before


def listing(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_nothing_is_restored_while_anybody_has_the_database_open(home, archive, run):
    home.grow(2)
    path = archive()

    async def while_open():
        store = await open_store(home.database)
        # In a thread of its own there would be one process only, and its own locks hinder nobody.
        told = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub.cli", "restore", str(path), "--config", str(home.config)),
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await told.communicate()
        await store.close()
        return told.returncode, err.decode()

    code, err = asyncio.run(while_open())
    assert code == 1
    assert "is in use: stop the hub" in err
    assert home.ask("SELECT count(*) FROM checkin") == [(2,)]
    assert asides(home) == []
    assert run("restore", path)[0] == 0


def test_while_one_is_put_in_place_a_hub_cannot_start(home, archive):
    home.grow(1)
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT count(*) FROM checkin')"
    command = [sys.executable, "-c", code, str(home.database)]
    with swap.alone(home.database):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "database is locked" in refused.stderr
    subprocess.run(command, check=True)


def test_another_hubs_archive_is_refused(home, archive, run):
    home.grow(1)
    path = archive()
    home.config.write_text(home.config.read_text().replace("00112233445566ff", "ff00112233445566"))
    code, _, err = run("restore", path)
    assert code == 1
    assert "of hub 00112233445566ff" in err


def test_a_newer_gatelights_archive_is_refused(home, archive, run, monkeypatch):
    home.grow(1)
    path = archive()
    older = migrations()[:-1]
    monkeypatch.setattr("hub.store.backup.restore.migrations", lambda: older)
    before = listing(home.folder)
    code, _, err = run("restore", path)
    assert code == 1
    assert f"knows only up to version {len(older)}" in err
    assert "a newer one" in err
    assert listing(home.folder) == before


def test_a_damaged_database_makes_way(home, archive, run):
    home.grow(3)
    path = archive()
    home.database.write_bytes(b"\xff" * 9000)
    (home.database.parent / "hub.sqlite-shm").write_bytes(b"")
    code, _, err = run("restore", path)
    assert (code, err) == (0, "")
    assert home.ask("SELECT count(*) FROM checkin") == [(3,)]
    (damaged,) = asides(home)
    assert damaged.read_bytes() == b"\xff" * 9000
    assert sorted(home.database.parent.iterdir()) == [home.database, damaged]


def test_a_journal_of_a_hub_that_was_killed_stays_with_its_database(home, archive, run, tmp_path):
    """Beside the restored one it would be replayed into it."""
    home.grow(3)
    path = archive()

    async def killed():
        store = await open_store(home.database)
        await home.commit(store, 2)
        # As kill -9 leaves it: taken while it is open, put there after it was closed.
        left = {name: home.database.with_name(name).read_bytes() for name in ("hub.sqlite", "hub.sqlite-wal")}
        await store.close()
        return left

    for name, data in asyncio.run(killed()).items():
        home.database.with_name(name).write_bytes(data)
    assert home.database.with_name("hub.sqlite-wal").stat().st_size > 4096
    assert run("restore", path)[0] == 0
    assert home.ask("SELECT max(seq) FROM checkin") == [(3,)]
    (aside,) = asides(home)
    assert ask(aside, "SELECT max(seq) FROM checkin") == [(5,)], "what was committed is in what was kept"


class PowerCutError(BaseException):
    """Nothing runs after this."""


class Cut:
    """A FAKE of a disk for `hub.store.backup.swap`: it ends the world before call `at`, and loses what was not synced.

    `kill`: nothing is lost. `power`: names that changed since their folder was last synced are again what they were, and
    of a file that was written since it was last synced only half is there. `names`: the names are on the disk at once,
    what is in the files is not.
    """

    CALLS = ("open", "write", "fsync", "fchmod", "fchown", "replace", "unlink", "link")

    def __init__(self, folder: Path, *, at: int, mode: str):
        self.folder, self.at, self.mode, self.steps = folder, at, mode, 0
        self.keep = folder.with_name("kept")
        self.names = None
        self.dirty = set()

    def __enter__(self):
        shutil.rmtree(self.keep, ignore_errors=True)
        self.keep.mkdir()
        self._sync()
        swap.os = self
        return self

    def __exit__(self, kind, error, trace):
        swap.os = os
        self.completed = kind is None
        if kind is PowerCutError and self.mode != "kill":
            if self.mode == "names":
                self._sync()
            for path in self.folder.iterdir():
                if path.is_file():
                    path.unlink()
            for name, inode in self.names.items():
                os.link(self.keep / str(inode), self.folder / name)
                if inode in self.dirty:
                    os.truncate(self.folder / name, (self.folder / name).stat().st_size // 2)
        return kind is PowerCutError

    def __getattr__(self, name):
        call = getattr(os, name)
        return self._counted(name, call) if name in self.CALLS else call

    def _counted(self, name, call):
        def counted(*args):
            self.steps += 1
            if self.steps >= self.at:
                raise PowerCutError
            done = call(*args)
            if name == "write":
                self.dirty.add(os.fstat(args[0]).st_ino)
            elif name == "fsync":
                self.dirty.discard(os.fstat(args[0]).st_ino)
            if name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode):
                self._sync()
            return done

        return counted

    def _sync(self):
        self.names = {}
        for path in self.folder.iterdir():
            if path.is_file():
                inode = path.stat().st_ino
                self.names[path.name] = inode
                if not (self.keep / str(inode)).exists():
                    os.link(path, self.keep / str(inode))


@pytest.mark.parametrize("mode", ["kill", "power", "names"])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_power_cut_at_any_step_leaves_the_old_or_the_new(tmp_path, mode, damaged):
    seen = set()
    for at in count(1):
        folder = tmp_path / str(at)
        (folder / "staging").mkdir(parents=True)
        database, new = folder / "hub.sqlite", folder / "staging" / "hub.sqlite"
        plain(database, "old")
        plain(new, "new")
        if damaged:
            database.write_bytes(b"\xff" * 5000)
        folded = swap.fold(database)
        assert folded is not damaged
        if damaged:
            # What SQLite could not read it may have left.
            database.with_name("hub.sqlite-wal").write_bytes(b"journal")
        with Cut(folder, at=at, mode=mode) as cut:
            swap.put_in_place(new, database, aside=folder / "aside", folded=folded)
        found = contents(database)
        seen.add(found)
        assert found == "new" if cut.completed else found in ({"old", "new"} if folded else {"damaged", None, "new"})
        if found == "new":
            assert not database.with_name("hub.sqlite-wal").exists(), "an old journal beside a new database"
        if found is None:
            # The hub does not start; the same command goes on from here.
            plain(new, "new")
            swap.put_in_place(new, database, aside=folder / "aside-2", folded=swap.fold(database))
            assert contents(database) == "new"
        if found == "new":
            # Looked at before SQLite does, which would take it away.
            assert folded or (folder / "aside-wal").read_bytes() == b"journal"
            assert contents(folder / "aside") == ("old" if folded else "damaged")
        if cut.completed:
            break
    assert seen == ({"old", "new"} if not damaged else {"damaged", None, "new"})


def plain(path, word):
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE word (it)")
        database.execute("INSERT INTO word VALUES (?)", (word,))
        database.commit()


def contents(path):
    if not path.exists():
        return None
    try:
        return ask(path, "SELECT it FROM word")[0][0]
    except sqlite3.DatabaseError:
        return "damaged"


@pytest.mark.parametrize("mode", ["kill", "power", "names"])
def test_a_power_cut_leaves_no_half_of_a_file(tmp_path, mode):
    for at in count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "hub.key"
        with Cut(folder, at=at, mode=mode) as cut:
            swap.write_missing(path, b"secret" * 99, mode=0o600, owner=None)
        assert cut.completed or not path.exists() or path.read_bytes() == b"secret" * 99
        if cut.completed:
            assert path.read_bytes() == b"secret" * 99
            break
        swap.write_missing(path, b"again", mode=0o600, owner=None)
        assert path.read_bytes() == b"again"
    assert at > 5


def test_a_cut_before_the_swap_leaves_what_the_next_run_clears_away(home, archive, run, monkeypatch):
    home.grow(2)
    path = archive()

    def cut(*_args, **_more):
        raise PowerCutError

    monkeypatch.setattr("hub.store.backup.restore.unstage", lambda _: None)
    monkeypatch.setattr("hub.cli.backup.unstage", lambda _: None)
    monkeypatch.setattr("hub.store.backup.restore.put_in_place", cut)
    with pytest.raises(PowerCutError):
        run("restore", path)
    monkeypatch.undo()
    assert home.ask("SELECT count(*) FROM checkin") == [(2,)]
    left = home.database.parent / ".hub.sqlite.restoring"
    assert check(left / "hub.sqlite")
    monkeypatch.setenv("SUDO_USER", "wang")
    assert run("restore", path)[0] == 0
    assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_restores_belongs_to_the_hubs_user(home, archive, run):
    home.grow(1)
    path = archive()
    os.chown(home.database.parent, 4321, 4322)
    (home.folder / "keys" / "hub.key").unlink()
    (home.folder / "trust.bundle").unlink()
    assert run("restore", path)[0] == 0
    for file, owner in (("state/hub.sqlite", 4321), ("keys/hub.key", 4321), ("trust.bundle", 0)):
        assert (home.folder / file).stat().st_uid == owner, file
