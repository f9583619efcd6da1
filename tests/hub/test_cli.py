import asyncio
import csv
import io
import json
import os
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest

from hub.cli import main
from hub.config import load
from hub.model import HeadChange, MinuteCount, QuarantineEntry
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from protocol.checkin import GENESIS, CheckIn, Evidence, parse_checkin, seal_checkin
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.reasons import Reason
from protocol.slip import slip_number
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

pytestmark = pytest.mark.slow

NOW_MS = 1_790_000_000_000
DEVICE = "00112233445566ff"
KEY = Ed25519SigningKey(bytes(32))
TEXT = """
hub_id = "00112233445566ff"
database = "hub.db"
keys = { signing = "hub.key", root = "root.pub" }
trust = { bundle = "trust.bundle" }
broker = { host = "broker.local", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
platform = { url = "https://platform.example", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
"""
HOURS = ("--from", "2026-09-21T00:00Z", "--to", "2026-09-22T00:00:00+00:00")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hub.toml").write_text(TEXT)
    (tmp_path / "device.pub").write_bytes(encode_key(KEY.public))
    return tmp_path


@pytest.fixture
def hub(folder, capsys, monkeypatch):
    """Runs one command; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("SUDO_USER", "wang")

    def run(*words):
        code = main([*words, "--config", str(folder / "hub.toml")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def registered(hub, folder):
    for words in (
        ("init",),
        ("place", "add", "--id", "mall", "--name", "商场", "--region", "110105", "--responsible", "王五"),
        ("gate", "add", "--place", "mall", "--id", "north", "--name", "北门"),
        (*("device", "add", "--id", DEVICE, "--key", str(folder / "device.pub")), "--place", "mall", "--gate", "north"),
    ):
        code, _, err = hub(*words)
        assert (code, err) == (0, "")
    return hub


def checkin(seq, prev, **changes):
    values = {
        "device": bytes.fromhex(DEVICE),
        "epoch": b"epoch--1",
        "seq": seq,
        "prev": prev,
        "at_ms": NOW_MS + seq,
        "clock": Clock.TRUSTED,
        "place": "mall",
        "gate": "north",
        "direction": Direction.IN,
        "colour": Colour.GREEN,
        "verdict": Verdict.ADMIT,
        "reason": Reason.OK,
        "code": bytes(16),
        "scheme": Scheme.GATELIGHT,
        "subject": b"sealed-subject--",
        "masked": ("=张", "11", "23"),
    }
    return parse_checkin(seal_checkin(CheckIn(**(values | changes)), key=KEY))


def store_rows(folder, n=3, **changes):
    """As the running hub does."""
    rows = []
    for seq in range(1, n + 1):
        rows.append(checkin(seq, rows[-1].hash if rows else GENESIS, **changes))
    head = HeadChange(device_id=bytes.fromhex(DEVICE), epoch=b"epoch--1", was_seq=0, seq=n, hash=rows[-1].hash)
    count = MinuteCount(
        place_id="mall",
        gate_id="north",
        minute=NOW_MS // 60_000,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        direction=Direction.IN,
        n=n,
    )
    entry = QuarantineEntry(device_id=None, epoch=None, seq=None, reason="malformed", detail="odd", data=b"?")
    commit = IngestCommit(
        received_ms=NOW_MS + 50, rows=tuple(rows), heads=(head,), counts=(count,), quarantine=(entry,)
    )

    async def store():
        store = await open_store(load(folder / "hub.toml").database)
        await store.commit(commit)
        await store.close()

    asyncio.run(store())
    return rows


def audit_of(folder):
    async def read():
        store = await open_store(load(folder / "hub.toml").database)
        entries = await store.audit_log(limit=99)
        await store.close()
        return entries

    return asyncio.run(read())


def test_init_makes_a_database_and_a_key_once(hub, folder):
    code, out, _ = hub("init")
    assert code == 0
    assert "hub.key.pub" in out
    before = (folder / "hub.key").read_bytes()
    code, out, _ = hub("init")
    assert code == 0
    assert "key" not in out
    assert (folder / "hub.key").read_bytes() == before


def test_check_config_prints_what_is_in_force_and_names_what_is_missing(hub, folder):
    code, out, err = hub("check-config")
    assert code == 1
    assert json.loads(out)["retention"]["personal_h"] == 24
    assert "trust.bundle: no such file" in err
    for name in ("root.pub", "trust.bundle", "ca.pem", "hub.pem", "tls.key"):
        (folder / name).touch()
    hub("init")
    assert hub("check-config")[::2] == (0, "")


def test_a_wrong_configuration_is_exit_code_2(hub, folder):
    (folder / "hub.toml").write_text(TEXT + "surprise = 1\n")
    for words in (("check-config",), ("init",), ("status",), ("run",), ("place", "list")):
        code, out, err = hub(*words)
        assert (code, out) == (2, "")
        assert "surprise" in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["device"],
        ["device", "revoke", "--id", DEVICE],
        ["export", "--from", "yesterday", "--to", "2026-01-01"],
    ],
)
def test_wrong_usage_is_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage: gatelight-hub" in capsys.readouterr().err


def test_without_init_a_command_says_what_to_do(hub, folder):
    code, _, err = hub("status")
    assert code == 1
    assert "gatelight-hub init" in err
    assert not (folder / "hub.db").exists()


def test_run_hands_its_configuration_to_the_service(hub, folder, monkeypatch):
    service = types.ModuleType("hub.main")
    service.run = lambda config, *, console: 7 if console and config == load(folder / "hub.toml") else 1
    monkeypatch.setitem(sys.modules, "hub.main", service)
    assert hub("run")[0] == 7


def test_lists_show_what_is_registered(registered):
    (place,) = json.loads(registered("place", "list", "--json")[1])
    assert place == {"id": "mall", "name": "商场", "region": "110105", "responsible": "王五"}
    assert json.loads(registered("gate", "list", "--json")[1]) == [{"place": "mall", "id": "north", "name": "北门"}]
    (device,) = json.loads(registered("device", "list", "--json")[1])
    assert (device["id"], device["direction"], device["state"]) == (DEVICE, "in", "active")
    assert device["key"] == KEY.public.kid.hex()
    lines = registered("device", "list")[1].splitlines()
    assert lines[0].split()[:3] == ["id", "place", "gate"]
    assert lines[1].split()[:3] == [DEVICE, "mall", "north"]


def test_a_device_is_quarantined_released_and_revoked(registered, folder):
    for words, said in (
        (("quarantine", "--reason", "odd"), "quarantined"),
        (("release",), "active"),
        (("revoke", "--reason", "stolen"), "revoked"),
    ):
        code, out, _ = registered("device", *words, "--id", DEVICE)
        assert (code, out) == (0, f"device {DEVICE} is {said}\n")
    code, _, err = registered("device", "release", "--id", DEVICE)
    assert code == 1
    assert "final" in err
    actions = [entry.action for entry in audit_of(folder)]
    assert actions[:3] == ["device.revoked", "device.active", "device.quarantined"]
    assert {entry.who for entry in audit_of(folder)} == {"wang"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["place", "add", "--id", "mall", "--name", "x"], "registered already"),
        (["place", "add", "--id", "a b", "--name", "x"], "place id"),
        (["gate", "add", "--place", "none", "--id", "x"], "not registered"),
        (["device", "revoke", "--id", "f" * 16, "--reason", "x"], "not registered"),
        (["device", "revoke", "--id", "short", "--reason", "x"], "16 lower-case hex"),
        (
            [*("device", "add", "--id", "f" * 16, "--key", "/nowhere"), "--place", "mall", "--gate", "north"],
            "No such file",
        ),
    ],
)
def test_a_refused_change_is_exit_code_1_with_a_sentence(registered, words, said):
    code, out, err = registered(*words)
    assert (code, out) == (1, "")
    assert err.startswith("gatelight-hub: ")
    assert said in err


def test_status_for_machines(registered, folder):
    rows = store_rows(folder)
    report = json.loads(registered("status", "--json")[1])
    assert (report["rows"], report["outbox_rows"], report["outbox_oldest_ms"]) == (3, 3, NOW_MS + 50)
    assert (report["quarantined"], report["gaps"]) == (1, 0)
    (head,) = report["heads"]
    assert (head["device"], head["seq"], head["hash"]) == (DEVICE, 3, rows[-1].hash.hex())
    (device,) = report["devices"]
    assert (device["state"], device["last_seen"]) == ("active", "2026-09-21T14:13:20.050Z")


def test_status_for_people(registered, folder):
    code, out, _ = registered("status")
    assert code == 0
    assert "stored      0 check-ins" in out
    rows = store_rows(folder)
    out = registered("status", "--minutes", "100000000")[1]
    assert "stored      3 check-ins" in out
    assert "3 without a receipt, the oldest for" in out
    assert rows[-1].hash.hex() in out
    assert "2026-09-21T14:13:00.000Z  mall   north  green   admit    in         3" in out


def test_quarantine_list(registered, folder):
    store_rows(folder)
    (entry,) = json.loads(registered("quarantine", "list", "--json")[1])
    assert (entry["reason"], entry["detail"], entry["device"]) == ("malformed", "odd", None)
    assert "data" not in entry
    assert "malformed" in registered("quarantine", "list")[1]


def test_export_as_csv_hides_people(registered, folder):
    rows = store_rows(folder)
    code, out, _ = registered("export", *HOURS, "--place", "mall")
    assert code == 0
    found = list(csv.DictReader(io.StringIO(out)))
    assert [row["seq"] for row in found] == ["1", "2", "3"]
    assert found[0]["at"] == "2026-09-21T14:13:20.001Z"
    assert (found[2]["hash"], found[2]["colour"], found[2]["reason"]) == (rows[2].hash.hex(), "green", "ok")
    assert "subject" not in out
    assert "张" not in out
    assert registered("export", *HOURS, "--place", "elsewhere")[1].count("\n") == 1


def test_a_personal_export_goes_to_a_private_file_and_is_audited(registered, folder):
    store_rows(folder)
    path = folder / "out.csv"
    words = ("export", *HOURS, "--personal", "--output", str(path))
    code, out, _ = registered(*words)
    assert (code, out) == (0, f"3 check-ins in {path}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    row = next(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert row["subject"] == b"sealed-subject--".hex()
    # A spreadsheet must not take it for a formula.
    assert row["masked"] == "'=张 11 23"
    newest = audit_of(folder)[0]
    assert (newest.who, newest.action) == ("wang", "export")
    assert "all places from 2026-09-21T00:00:00.000Z" in newest.detail
    assert "with personal fields" in newest.detail
    code, _, err = registered(*words)
    assert code == 1
    assert "exists" in err


def test_export_as_json_lines(registered, folder):
    store_rows(folder)
    out = registered("export", *HOURS, "--format", "jsonl", "--personal")[1]
    first = json.loads(out.splitlines()[0])
    assert (first["verdict"], first["clock"], first["masked"]) == ("admit", "trusted", ["=张", "11", "23"])


@pytest.mark.slow
def test_a_reader_that_stops_early_is_no_crash(registered, folder):
    store_rows(folder, 300)
    command = [sys.executable, "-m", "hub.cli", "export", *HOURS, "--config", str(folder / "hub.toml")]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    ) as process:
        process.stdout.read(10)
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert err == b""


def test_a_slip_number_leads_to_the_record_and_its_evidence_and_each_look_is_audited(registered, folder):
    store_rows(folder)
    record = checkin(1, GENESIS)
    number = slip_number(record.hash)
    code, out, _ = registered("slip", number.lower().replace("-", " "), "--days", "3660", "--json")
    (found,) = json.loads(out)
    assert (code, found["hash"], found["place"], found["gate"]) == (0, record.hash.hex(), "mall", "north")
    assert (found["colour"], found["verdict"], found["policy_version"]) == ("green", "admit", None)
    assert "subject" not in out
    assert "张" not in out
    assert registered("slip", number, "--days", "3660")[0] == 0
    assert registered("slip", "0000-0000", "--days", "3660")[0] == 1
    assert "not eight letters" in registered("slip", "7K3M")[2]
    _, out, _ = registered("audit", "--json", "--action", "slip.", "--limit", "9")
    assert [entry["action"] for entry in json.loads(out)] == ["slip.look"] * 3
    assert "slip.look" in registered("audit")[1]


def test_the_rule_of_a_record_steers_no_terminal(registered, folder):
    (record,) = store_rows(folder, n=1, evidence=Evidence(rule="\x1b[2J\u202e7.1"))
    _, out, _ = registered("slip", slip_number(record.hash), "--days", "3660")
    assert "?[2J?7.1" in out
    assert "\x1b" not in out


def test_the_brokers_file_lets_nobody_but_the_hub_and_its_devices_do_anything(hub):
    assert hub("init")[0] == 0
    security = json.loads(hub("broker-security")[1])
    assert [client["username"] for client in security["clients"]] == ["hub"]
    assert security["defaultACLAccess"]["publishClientSend"] is False


def test_the_brokers_file_has_every_device_but_revoked_ones(registered):
    security = json.loads(registered("broker-security")[1])
    assert [client["username"] for client in security["clients"]] == ["hub", DEVICE]
    assert security["roles"][1]["rolename"] == f"{DEVICE}@mall"
    assert registered("device", "revoke", "--id", DEVICE, "--reason", "stolen")[0] == 0
    security = json.loads(registered("broker-security")[1])
    assert [client["username"] for client in security["clients"]] == ["hub"]
