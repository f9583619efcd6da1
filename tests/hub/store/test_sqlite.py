"""What only the SQLite store promises; what every store does stands in tests/contracts/test_store.py."""

import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from hub.model import HeadChange, QuarantineEntry
from hub.store import audit_chain
from hub.store.errors import StoreCorruptError, StoreOpenError, StoreWriteError
from hub.store.ports import IngestCommit
from hub.store.sqlite import connection, open_store
from protocol.checkin import GENESIS, CheckIn, parse_checkin, seal_checkin
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

NOW_MS = 1_790_000_000_000
KEY = Ed25519SigningKey(bytes(32))
SUBJECT = b"the-sealed-subject-of-one-person"
MASKED = ("欧阳", "11", "23")


def commit_of(n, *, first=1):
    rows = []
    for seq in range(first, first + n):
        checkin = CheckIn(
            device=b"device-A",
            epoch=b"epoch--1",
            seq=seq,
            prev=rows[-1].hash if rows else GENESIS if seq == 1 else bytes([7]) * 32,
            at_ms=NOW_MS,
            clock=Clock.TRUSTED,
            place="mall",
            gate="north",
            direction=Direction.IN,
            colour=Colour.GREEN,
            verdict=Verdict.ADMIT,
            reason=Reason.OK,
            code=bytes(16),
            scheme=Scheme.GATELIGHT,
            subject=SUBJECT,
            masked=MASKED,
        )
        rows.append(parse_checkin(seal_checkin(checkin, key=KEY)))
    head = HeadChange(
        device_id=b"device-A", epoch=b"epoch--1", was_seq=first - 1, seq=first + n - 1, hash=rows[-1].hash
    )
    return IngestCommit(received_ms=NOW_MS, rows=tuple(rows), heads=(head,))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hub.db"


@pytest.fixture
async def store(path):
    store = await open_store(path, create=True)
    yield store
    await store.close()


async def pragma(database, name):
    return next(iter(await database.execute_fetchall(f"PRAGMA {name}")))[0]


async def test_the_writer_is_durable_strict_and_erases(store):
    writer = store._connections._writer
    assert await pragma(writer, "journal_mode") == "wal"
    assert await pragma(writer, "synchronous") == 2
    assert await pragma(writer, "foreign_keys") == 1
    assert await pragma(writer, "secure_delete") == 1
    assert await pragma(store._connections._reader, "query_only") == 1


async def test_the_file_is_for_its_owner_only(store, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def assert_no_workers():
    """Each open aiosqlite connection is a thread, which would keep the process alive."""
    workers = [thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name]
    for thread in workers:
        thread.join(timeout=5)
    assert not any(thread.is_alive() for thread in workers)


@pytest.mark.parametrize("check", [True, False])
async def test_what_cannot_be_opened_leaves_no_thread_behind(path, tmp_path, check):
    with pytest.raises(StoreOpenError, match="gatelight-hub init"):
        await open_store(path, check=check)
    with pytest.raises(StoreOpenError, match="directory"):
        await open_store(tmp_path / "nowhere" / "hub.db", create=True, check=check)
    with pytest.raises(StoreOpenError):
        await open_store(tmp_path, check=check)
    path.write_bytes(b"x" * 9000)
    with pytest.raises(StoreCorruptError):
        await open_store(path, check=check)
    assert_no_workers()


async def test_a_failure_between_the_two_connections_closes_the_first(path, monkeypatch):
    await (await open_store(path, create=True)).close()
    monkeypatch.setattr(connection, "_READER_PRAGMAS", ("nonsense = (",))
    with pytest.raises(StoreOpenError):
        await open_store(path)
    assert_no_workers()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM checkin",
        "UPDATE checkin SET hash = x'00'",
        "UPDATE checkin SET colour = 0",
        "DELETE FROM audit",
        "UPDATE audit SET who = 'nobody'",
    ],
)
async def test_what_was_written_down_is_never_changed(store, path, statement):
    await store.commit(commit_of(1))
    with closing(sqlite3.connect(path)) as raw:
        raw.create_function(audit_chain.FUNCTION, audit_chain.ARGUMENTS, audit_chain.link)
        raw.execute("INSERT INTO audit VALUES (1, 1, 'w', 'a', 'd')")
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            raw.execute(statement)


async def test_a_full_disk_fails_the_commit_whole_and_heals(store):
    writer = store._connections._writer
    await store.commit(commit_of(1))
    pages = await pragma(writer, "page_count")
    await pragma(writer, f"max_page_count = {pages + 2}")
    with pytest.raises(StoreWriteError, match="full"):
        await store.commit(commit_of(60, first=2))
    assert (await store.status()).rows == 1
    assert [head.seq for head in await store.heads()] == [1]
    await pragma(writer, "max_page_count = 100000")
    await store.commit(commit_of(60, first=2))
    assert (await store.status()).rows == 61


async def test_a_lock_held_too_long_fails_the_commit_and_later_ones_work(path, monkeypatch):
    monkeypatch.setattr(connection, "BUSY_S", 0.02)
    store = await open_store(path, create=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreWriteError, match="locked"):
            await store.commit(commit_of(1))
        assert await store.heads() == ()
        other.execute("ROLLBACK")
    await store.commit(commit_of(1))
    await store.close()


async def test_reading_after_closing_is_an_error_not_a_hang(path):
    store = await open_store(path, create=True)
    await store.close()
    with pytest.raises(ValueError, match="onnection"):
        await store.status()


async def test_forgotten_bytes_are_gone_from_the_disk(store, path, tmp_path):
    def on_disk(needle):
        return [file.name for file in tmp_path.iterdir() if needle in file.read_bytes()]

    entry = QuarantineEntry(
        device_id=None, epoch=None, seq=None, reason="malformed", detail="", data=b"quarantined" + SUBJECT
    )
    await store.commit(commit_of(30))
    await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(entry,)))
    await store.fix_batch(batch_id=bytes(16), first_id=1, last_id=30, skipped=(), made_ms=NOW_MS)
    await store.mark_receipted(bytes(16), receipt=b"receipt", rejected=(), now_ms=NOW_MS)
    assert on_disk(SUBJECT)
    assert on_disk("欧阳".encode())

    assert await store.forget_personal(received_before_ms=NOW_MS + 1, limit_batches=9) == 1
    assert on_disk("欧阳".encode()) == []
    assert on_disk(b"quarantined" + SUBJECT)
    assert await store.forget_quarantine(received_before_ms=NOW_MS + 1) == 1
    assert on_disk(SUBJECT) == []
