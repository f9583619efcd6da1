"""What every store must do with traces, beside what `tests/hub/trust/test_traces.py` sees through the hub."""

import sqlite3

import pytest

from hub.model import AuditEntry
from hub.store.errors import RegistryConflictError, StoreWriteError
from hub.store.sqlite import open_store
from hub.store.trace_ports import Asked, Progress, Span, TraceState

STORES = {"sqlite": open_store}
NOW_MS = 1_790_000_000_000
HASH = bytes(32)

pytestmark = pytest.mark.slow


@pytest.fixture(params=STORES)
async def store(request, tmp_path):
    store = await STORES[request.param](tmp_path / "hub.db", create=True)
    yield store
    await store.close()


def asked(**changes):
    plain = {
        "query_id": bytes(16), "kid": bytes(8), "issuer": "city", "place_id": "mall", "gate_id": None,
        "from_ms": NOW_MS - 3_600_000, "to_ms": NOW_MS, "why": "case 7", "expires_ms": NOW_MS + 1,
    }  # fmt: skip
    return Asked(**plain | changes)


def audit(action):
    return AuditEntry(at_ms=NOW_MS, who="platform", action=action, detail="")


async def accept(store, query_hash=HASH, **changes):
    span = Span(first_id=3, last_id=9, due=2)
    await store.accept_trace(query_hash, asked(**changes), span=span, heard_ms=NOW_MS, audit=audit("trace.query"))


async def test_what_was_asked_is_read_as_it_was_written(store):
    await accept(store, gate_id="north")
    trace = await store.find_trace(HASH)
    assert trace.asked == asked(gate_id="north")
    assert (trace.state, trace.reason, trace.heard_ms, trace.finished_ms) == (TraceState.ANSWERING, "", NOW_MS, None)
    assert trace.span == Span(first_id=3, last_id=9, due=2)
    assert trace.progress == Progress(next_id=3, head=bytes(32))
    assert await store.open_traces(limit=9) == (trace,)
    assert await store.knows_trace(bytes(16))
    assert [entry.action for entry in await store.audit_log(limit=9)] == ["trace.query"]


async def test_neither_a_query_nor_its_id_is_accepted_twice(store):
    await accept(store)
    for query_hash, query_id in ((HASH, b"another id 01234"), (b"another" + bytes(25), bytes(16))):
        with pytest.raises(RegistryConflictError):
            await accept(store, query_hash, query_id=query_id)
    assert len(await store.audit_log(limit=9)) == 1


async def test_it_moves_and_ends_once(store):
    await accept(store)
    moved = Progress(next_id=7, looked_back=True, seen=2, pages=1, told=2, bare=1, head=b"h" * 32)
    await store.move_trace(1, moved)
    await store.end_trace(1, state=TraceState.ANSWERED, reason="", now_ms=NOW_MS + 5, audit=audit("trace.answer"))
    (trace,) = await store.traces(before_id=None, limit=9)
    assert (trace.progress, trace.state, trace.finished_ms) == (moved, TraceState.ANSWERED, NOW_MS + 5)
    assert await store.open_traces(limit=9) == ()
    with pytest.raises(StoreWriteError, match="stays as it is"):
        await store.move_trace(1, moved)
    assert [entry.action for entry in await store.audit_log(limit=9)] == ["trace.answer", "trace.query"]


async def test_a_refusal_is_told_to_whoever_signed_and_to_nobody_else(store):
    await store.refuse_trace(HASH, asked(), reason="not_here", heard_ms=NOW_MS, audit=audit("trace.refuse"))
    await store.refuse_trace(b"x" * 32, None, reason="malformed", heard_ms=NOW_MS, audit=None)
    (trace,) = await store.open_traces(limit=9)
    assert (trace.state, trace.reason) == (TraceState.REFUSING, "not_here")
    newest, _ = await store.traces(before_id=None, limit=9)
    assert (newest.asked, newest.state) == (None, TraceState.REFUSED)
    await store.refuse_trace(HASH, asked(), reason="expired", heard_ms=NOW_MS, audit=audit("trace.refuse"))
    assert len(await store.audit_log(limit=9)) == 1


async def test_pages_of_queries_newest_first(store):
    for number in range(5):
        await accept(store, bytes([number]) * 32, query_id=bytes([number]) * 16)
    first = await store.traces(before_id=None, limit=3)
    rest = await store.traces(before_id=first[-1].row_id, limit=3)
    assert [trace.row_id for trace in (*first, *rest)] == [5, 4, 3, 2, 1]


async def test_the_span_of_an_empty_store(store):
    span = await store.span(place_id="mall", gate_id=None, from_ms=NOW_MS - 14 * 86_400_000, to_ms=NOW_MS)
    assert span == Span(first_id=1, last_id=0, due=0)


async def test_nobody_changes_or_deletes_what_was_asked(store, tmp_path):
    await accept(store)
    db = sqlite3.connect(tmp_path / "hub.db")
    try:
        for wrong in ("DELETE FROM trace", "UPDATE trace SET why = 'nothing'", "UPDATE trace SET place = NULL"):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(wrong)
    finally:
        db.close()
