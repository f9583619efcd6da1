"""Registers on SQLite: what is found by spans is what a full scan finds, whenever rows arrived."""

import asyncio
import hashlib
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.model import AuditEntry, Gate, Place
from hub.store.errors import RegistryConflictError
from hub.store.register_ports import Wanted
from hub.store.sqlite import open_store, register
from hub.store.sqlite.register import without
from protocol.reasons import Reason
from protocol.terms import Colour, Direction, Verdict

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_790_000_000_000


def put(path, rows):
    """Rows straight into the table: (at_ms, received_ms) or with place, gate, verdict."""
    with closing(sqlite3.connect(path)) as db, db:
        newest = db.execute("SELECT coalesce(max(id), 0) FROM checkin").fetchone()[0]
        for seq, row in enumerate(rows, newest + 1):
            at_ms, received_ms, place, gate, verdict = (*row, *("mall", "G1", 0)[len(row) - 2 :])
            hash_ = hashlib.sha256(f"{seq}".encode()).digest()
            db.execute(
                "INSERT INTO checkin VALUES (?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, 0, 1, ?, ?, ?, ?)",
                (
                    *(seq, bytes(8), bytes(8), seq, hash_, at_ms, received_ms, place, gate, verdict, bytes(16)),
                    *(b"subject", '["张", "11", "23"]', b"sealed"),
                ),
            )


async def found(store, **wanted):
    asked = Wanted(**{"place_id": None, "from_ms": 0, "to_ms": 2**60, **wanted})
    rows = []
    for span in await store.spans(from_ms=asked.from_ms, to_ms=asked.to_ms):
        rows += await store.rows_of(span, asked, personal=False)
    return [row.row_id for row in rows]


@pytest.fixture
def small(monkeypatch):
    """Spans of eight rows, so that a test has many."""
    monkeypatch.setattr(register, "SPAN_ROWS", 8)


@pytest.fixture
async def opened(tmp_path):
    path = tmp_path / "hub.sqlite"
    store = await open_store(path, create=True)
    entry = AuditEntry(at_ms=0, who="test", action="place.add", detail="")
    for place in ("mall", "station"):
        await store.add_place(Place(place_id=place, name=place), audit=entry)
        await store.add_gate(Gate(place_id=place, gate_id="G1", name=""), audit=entry)
    yield store, path
    await store.close()


times = st.integers(0, 6 * DAY_MS).map(lambda ms: START_MS + ms)
windows = st.tuples(times, times).map(sorted)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrived=st.lists(st.tuples(times, times), max_size=60), window=windows, entered=st.integers(0, 10))
@pytest.mark.slow
def test_spans_find_what_a_full_scan_finds(small, arrived, window, entered):
    from_ms, to_ms = window

    async def search(path):
        store = await open_store(path, create=True)
        try:
            put(path, arrived)
            for _ in range(entered):
                await store.enter_span()
            exported = [
                row.row_id async for row in store.export(place_id=None, from_ms=from_ms, to_ms=to_ms, personal=False)
            ]
            return await found(store, from_ms=from_ms, to_ms=to_ms), exported
        finally:
            await store.close()

    with tempfile.TemporaryDirectory() as folder:
        spanned, exported = asyncio.run(search(Path(folder) / "hub.sqlite"))
    scanned = [row_id for row_id, (at_ms, _) in enumerate(arrived, 1) if from_ms <= at_ms < to_ms]
    assert spanned == exported == scanned


async def test_old_spans_are_not_read_for_a_new_time(small, opened):
    store, path = opened
    put(path, [(START_MS + n * HOUR_MS, START_MS) for n in range(80)])
    while await store.enter_span():
        pass
    spans = await store.spans(from_ms=START_MS + 40 * HOUR_MS, to_ms=START_MS + 41 * HOUR_MS)
    assert [(span.first_id, span.last_id) for span in spans] == [(41, 48)]


async def test_each_filter_takes_its_own(opened):
    store, path = opened
    put(path, [(START_MS, START_MS, "mall", "G1", 0), (START_MS, START_MS, "mall", "G2", 1)])
    put(path, [(START_MS, START_MS, "station", "G1", 2)])
    assert await found(store, place_id="mall") == [1, 2]
    assert await found(store, place_id="mall", gate_id="G2") == [2]
    assert await found(store, verdict=Verdict.REFUSE) == [3]
    assert await found(store, direction=Direction.OUT) == []
    assert await found(store, colour=Colour.GREEN, reason=Reason.OK) == [1, 2, 3]
    assert await found(store, slip=hashlib.sha256(b"2").digest()[:5]) == [2]
    assert await found(store, to_ms=START_MS) == []


@pytest.mark.parametrize("entered", [False, True])
async def test_a_slip_is_found_before_and_after_its_span_is_entered(small, opened, entered):
    store, path = opened
    put(path, [(START_MS, START_MS, "mall", "G1", n % 2) for n in range(20)])
    if entered:
        while await store.enter_span():
            pass
    for row_id in range(1, 21):
        slip = hashlib.sha256(f"{row_id}".encode()).digest()[:5]
        expected = [row_id] if (row_id - 1) % 2 else []
        assert [row.row_id for row in await store.find_slip(slip)] == expected


async def test_a_slip_is_looked_up_by_row_ids_only(opened):
    _, path = opened
    with closing(sqlite3.connect(path)) as db:
        plan = db.execute("EXPLAIN QUERY PLAN " + register._SLIP, (0, 1, 4096, b"12345")).fetchall()
    assert not [row[3] for row in plan if row[3].startswith("SCAN checkin")]


async def test_counts_are_summed_by_step(opened):
    store, path = opened
    with closing(sqlite3.connect(path)) as db, db:
        for minute, place, n in ((60, "mall", 1), (119, "mall", 2), (120, "mall", 4), (60, "station", 8)):
            db.execute("INSERT INTO count_minute VALUES (?, ?, 'G1', 0, 0, 0, ?)", (minute, place, n))
    counts = await store.counts(place_id="mall", from_minute=60, to_minute=180, step_minutes=60)
    assert [(count.minute, count.n) for count in counts] == [(60, 3), (120, 4)]
    # Steps begin where the asked time does, for places whose hours are not those of UTC.
    counts = await store.counts(place_id="mall", from_minute=30, to_minute=180, step_minutes=60)
    assert [(count.minute, count.n) for count in counts] == [(30, 1), (90, 6)]


async def test_counts_of_hours_are_the_same_when_their_minutes_are_gone(opened):
    store, path = opened
    with closing(sqlite3.connect(path)) as db, db:
        for minute, n in ((60, 1), (119, 2), (180, 4)):
            db.execute("INSERT INTO count_minute VALUES (?, 'mall', 'G1', 0, 0, 0, ?)", (minute, n))
    asked = {"place_id": "mall", "from_minute": 60, "to_minute": 240, "step_minutes": 60}
    before = await store.counts(**asked)
    assert [count.n for count in before] == [3, 4]
    while await store.roll_up(before_minute=10**9, limit_minutes=1000):
        pass
    assert await store.counts(**asked) == before


async def erase(store, place="mall", from_ms=START_MS, to_ms=START_MS + DAY_MS):
    entry = AuditEntry(at_ms=1, who="li", action="register.delete", detail=place)
    return await store.add_erasure(
        place_id=place, from_ms=from_ms, to_ms=to_ms, why="asked", who="li", asked_ms=1, audit=entry
    )


def personal(path):
    with closing(sqlite3.connect(path)) as db:
        return [
            row_id
            for row_id, *fields in db.execute("SELECT id, subject, masked, sealed FROM checkin ORDER BY id")
            if any(field is not None for field in fields)
        ]


def receipted(path, upto_id, pending=()):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE forward_cursor SET last_id = ?", (upto_id,))
        db.execute("DELETE FROM batch")
        for first_id, last_id in pending:
            db.execute(
                "INSERT INTO batch VALUES (?, ?, ?, 1, 'refused', 0, 0, 0, NULL, 0, NULL, '', 0)",
                (first_id.to_bytes(16, "big"), first_id, last_id),
            )


async def all_due(store, now_ms):
    while await store.erase_part(now_ms=now_ms, again_ms=now_ms + 60_000):
        pass


async def test_only_a_receipt_forgets(small, opened):
    store, path = opened
    put(path, [(START_MS + n, START_MS) for n in range(30)])
    receipted(path, 20, pending=[(5, 6)])
    await erase(store)
    await all_due(store, 10)
    assert personal(path) == [5, 6, *range(21, 31)]
    (waiting,) = await store.erasures("mall", limit=9)
    assert (waiting.erased, waiting.finished_ms) == (18, None)
    receipted(path, 30)
    await all_due(store, 20)
    assert personal(path) == [5, 6, *range(21, 31)]
    await all_due(store, 70_000)
    assert personal(path) == []
    (ended,) = await store.erasures("mall", limit=9)
    assert (ended.erased, ended.finished_ms) == (30, 70_000)
    newest = (await store.audit_log(limit=1))[0]
    assert (newest.who, newest.action) == ("hub", "register.deleted")
    assert newest.detail.endswith("asked by li: 30 rows")


async def test_another_place_another_time_and_what_comes_later_stay(small, opened):
    store, path = opened
    put(path, [(START_MS, START_MS), (START_MS + DAY_MS, START_MS), (START_MS, START_MS, "station", "G1", 0)])
    await erase(store)
    put(path, [(START_MS, START_MS)])
    receipted(path, 4)
    await all_due(store, 10)
    assert personal(path) == [2, 3, 4]


async def test_a_deletion_of_nothing_ends_too(opened):
    store, _ = opened
    await erase(store)
    await all_due(store, 10)
    (ended,) = await store.erasures("mall", limit=9)
    assert (ended.erased, ended.finished_ms) == (0, 10)
    with pytest.raises(RegistryConflictError):
        await erase(store, place="nowhere")


ranges = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple)


@given(whole=ranges, gaps=st.lists(ranges, max_size=5))
def test_what_is_left_of_a_range(whole, gaps):
    taken = {value for first, last in gaps for value in range(first, last + 1)}
    left = [value for first, last in without(whole, gaps) for value in range(first, last + 1)]
    assert left == [value for value in range(whole[0], whole[1] + 1) if value not in taken]
