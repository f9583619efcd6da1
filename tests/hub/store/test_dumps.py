"""A store that an older Gatelight wrote is opened by this one, with everything that was in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hub.model import AuditEntry, DeviceState
from hub.store import audit_chain
from hub.store.migrate import migrations
from hub.store.sqlite import open_store
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Direction

DUMPS = Path(__file__).parent / "dumps"


@pytest.fixture
def dumped(tmp_path):
    """The number of a schema -> a file as that one left it."""

    def write(version):
        path = tmp_path / "hub.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.executescript((DUMPS / f"version-{version}.sql").read_text(encoding="utf-8"))
            database.execute("PRAGMA journal_mode = WAL")
        return path

    return write


def rows(path, sql):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def contents(path, tables):
    return {table: rows(path, f"SELECT * FROM {table}") for table in tables}  # noqa: S608 -- names from below


def tables(path):
    found = rows(path, "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    return {name: " ".join((sql or "").replace('"', "").split()) for name, sql in found}


async def test_version_1_keeps_its_devices_with_their_keys(dumped):
    store = await open_store(dumped(1))
    devices = await store.devices()
    keys = await store.device_keys()
    await store.close()
    assert [(device.device_id, device.state, device.direction) for device in devices] == [
        (b"device-A", DeviceState.ACTIVE, Direction.IN),
        (b"device-B", DeviceState.QUARANTINED, None),
        (b"device-C", DeviceState.REVOKED, Direction.OUT),
    ]
    assert (devices[1].reason, devices[2].changed_ms) == ("fork: stored with another hash", 1789000600000)
    for seed, (device, key) in enumerate(zip(devices, keys, strict=True), 1):
        public = Ed25519SigningKey(bytes([seed]) * 32).public
        assert (device.kid, device.cose_key) == (public.kid, encode_key(public))
        assert (key.kid, key.device_id, key.cose_key) == (public.kid, device.device_id, encode_key(public))
        assert (key.from_ms, key.until_ms, key.announced_ms) == (device.added_ms, None, None)


async def test_version_1_keeps_every_other_row(dumped):
    path = dumped(1)
    kept = ("checkin", "head", "count_minute", "quarantine", "gap", "place", "gate", "audit", "batch", "forward_cursor")
    before = contents(path, kept)
    assert all(before.values())
    await (await open_store(path)).close()
    assert contents(path, kept) == before
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert rows(path, "PRAGMA user_version") == [(len(migrations()),)]


@pytest.mark.parametrize("version", [int(path.stem.split("-")[1]) for path in sorted(DUMPS.glob("*.sql"))])
async def test_an_old_store_ends_with_the_schema_of_a_new_one(dumped, tmp_path, version):
    old = dumped(version)
    await (await open_store(old)).close()
    new = tmp_path / "new.db"
    await (await open_store(new, create=True)).close()
    assert tables(old) == tables(new)


async def test_a_migrated_device_is_revoked_like_any_other(dumped):
    store = await open_store(dumped(1))
    audit = AuditEntry(at_ms=1, who="wang", action="device.revoked", detail="")
    await store.set_device_state(b"device-A", state=DeviceState.REVOKED, reason="stolen", audit=audit)
    assert (await store.devices())[0].state is DeviceState.REVOKED
    await store.close()


async def test_version_3_keeps_its_rules_and_chains_its_audit_log(dumped):
    path = dumped(3)
    kept = ("policy", "place_closed", "command", "device_seen", "device_key", "audit", "checkin", "count_minute")
    before = contents(path, kept)
    assert all(before.values())
    store = await open_store(path)
    hashed = [row async for row in store.audit_rows()]
    await store.close()
    assert contents(path, kept) == before
    assert rows(path, "PRAGMA foreign_key_check") == []
    last = audit_chain.GENESIS
    for row in hashed:
        entry = row.entry
        last = audit_chain.link(last, row.row_id, entry.at_ms, entry.who, entry.action, entry.detail)
        assert row.hash == last
    assert len(hashed) == 3


async def test_version_10_keeps_how_its_devices_fared_and_knows_of_no_update(dumped):
    path = dumped(10)
    kept = ("device_seen", "device_sample", "command", "trace", "audit", "audit_chain")
    before, fared = contents(path, kept), rows(path, "SELECT * FROM device_health")
    assert all(before.values())
    store = await open_store(path)
    first, second = await store.fleet(slot=0)
    newest = await store.newest_rollout()
    await store.close()
    assert contents(path, kept) == before
    assert rows(path, "SELECT * FROM device_health") == [(*row, None, None) for row in fared]
    assert (first.health.update_failed, first.health.update_failure, first.ring) == (None, None, 1)
    assert (second.health, second.ring, newest) == (None, 1, None)
