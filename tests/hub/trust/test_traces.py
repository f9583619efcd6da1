"""Trace queries against a real database and a platform with real keys: who is answered, with what, and what is logged."""

import hashlib
import itertools
import tracemalloc
from dataclasses import replace

import pytest

from hub.deliver.aggregate import aggregate
from hub.deliver.retention import MINUTES_KEPT
from hub.model import Gap, HeadChange
from hub.store.ports import IngestCommit
from hub.store.sqlite import register
from hub.store.trace_ports import TraceState
from hub.trust import traces as module
from hub.trust.ports import PlatformRefusedError
from hub.trust.traces import Traces
from protocol.checkin import hash_of, parse_checkin
from protocol.envelope import AAD_TRACE
from protocol.limits import TRACE_PAGE_ROWS, TRACE_WINDOW_MS, TRACES_WAITING
from protocol.terms import Clock, Verdict
from protocol.trace import TraceQuery, open_trace_answer, seal_trace_query
from protocol.vectors.faults import payload_of
from protocol.vectors.raw import sign1, with_pairs

pytestmark = pytest.mark.slow

HUB = b"hub-no-1"
HOUR_MS, MINUTE_MS = 3_600_000, 60_000


@pytest.fixture
def make_traces(*, platform, store, bundle, hub_key, refusals, health, metrics, now):
    def make():
        return Traces(
            source=platform,
            store=store,
            trust=lambda: bundle.current,
            key=hub_key,
            hub=HUB,
            kept_ms=24 * HOUR_MS,
            refusals=refusals,
            health=health,
            metrics=metrics,
            now_ms=now.ms,
        )

    return make


@pytest.fixture
def traces(make_traces):
    return make_traces()


@pytest.fixture
def ask(platform, now):
    """Put a query before the hub; its signed bytes."""
    ids = itertools.count(1)

    def put(*, by=None, **changes):
        at_ms = now.ms()
        query = TraceQuery(
            hub=HUB,
            id=next(ids).to_bytes(16, "big"),
            place="mall",
            from_ms=at_ms - HOUR_MS,
            to_ms=at_ms,
            why="case 7",
            issued_s=at_ms // 1000,
            expires_s=at_ms // 1000 + 3600,
        )
        platform.queries.append(seal_trace_query(replace(query, **changes), key=by or platform.tracer))
        return platform.queries[-1]

    return put


@pytest.fixture
def pass_by(store, now):
    """Somebody at a gate, `ago_ms` ago; the row came to the hub `late_ms` afterwards."""

    async def put(gate, *ago_ms, late_ms=0, **changes):
        for one in ago_ms:
            at_ms = now.ms() - one
            await put_at(gate, (at_ms,), received_ms=at_ms + late_ms, **changes)

    async def put_at(gate, times_ms, *, received_ms, **changes):
        rows = tuple(parse_checkin(data) for at_ms in times_ms for data in gate.make(at_ms=at_ms, **changes))
        last = rows[-1]
        head = HeadChange(
            device_id=gate.device,
            epoch=gate.epoch,
            was_seq=rows[0].checkin.seq - 1,
            seq=last.checkin.seq,
            hash=last.hash,
        )
        counts = aggregate(rows, received_ms)
        await store.commit(IngestCommit(received_ms=received_ms, rows=rows, heads=(head,), counts=counts))

    put.at = put_at
    return put


@pytest.fixture
def pages(platform, hub_key):
    """What the hub has told, page by page."""
    return lambda: [open_trace_answer(data, key=hub_key.public) for data in platform.pages]


@pytest.fixture
async def mall(add_device, make_gate, signing):
    """Two gates of one place, and one of another."""
    gates = {}
    for name, place in (("north", "mall"), ("south", "mall"), ("hall", "station")):
        gate = make_gate(name, place=place, gate=name)
        await add_device(device_id=gate.device, place_id=place, gate_id=name, **signing(name))
        gates[name] = gate
    return gates


async def test_everybody_at_the_place_in_the_window_is_told_and_nobody_else(*, traces, ask, pass_by, pages, mall, now):
    await pass_by(mall["north"], 2 * HOUR_MS, HOUR_MS + 1)
    await pass_by(mall["north"], HOUR_MS, 30 * MINUTE_MS)
    await pass_by(mall["south"], 20 * MINUTE_MS, verdict=Verdict.REFUSE)
    await pass_by(mall["hall"], 20 * MINUTE_MS)
    await pass_by(mall["south"], 0)
    data = ask()
    await traces.step()
    (page,) = pages()
    north, south = mall["north"].chain, mall["south"].chain
    assert page.whole == (north[2], north[3], south[0])
    assert (page.told, page.last, page.page, page.refused, page.bare) == (3, True, 0, None, ())
    assert (page.hub, page.query_hash) == (HUB, hashlib.sha256(data).digest())
    assert page.kept_ms == now.ms() - 24 * HOUR_MS


async def test_a_gate_of_the_place_alone(traces, ask, pass_by, pages, mall):
    await pass_by(mall["north"], 20 * MINUTE_MS)
    await pass_by(mall["south"], 20 * MINUTE_MS)
    ask(gate="south")
    await traces.step()
    assert pages()[0].whole == (mall["south"].chain[0],)


async def test_nobody_there_is_an_answer_too(traces, ask, pages, mall):
    ask()
    await traces.step()
    (page,) = pages()
    assert (page.told, page.last, page.refused) == (0, True, None)


async def test_a_gate_that_was_cut_off_for_days_delivers_late_and_is_told(*, traces, ask, pass_by, pages, mall, now):
    now.s += 5 * 24 * 3600
    for ago_ms in range(4 * 24 * HOUR_MS, 0, -12 * HOUR_MS):
        await pass_by(mall["hall"], ago_ms)
    await pass_by(mall["north"], 4 * 24 * HOUR_MS, late_ms=3 * 24 * HOUR_MS)
    ask(from_ms=now.ms() - 4 * 24 * HOUR_MS - MINUTE_MS, to_ms=now.ms() - 4 * 24 * HOUR_MS + MINUTE_MS)
    await traces.step()
    assert pages()[0].whole == (mall["north"].chain[0],)


async def test_a_row_that_came_while_the_hubs_clock_was_wrong_is_found(traces, ask, pass_by, pages, mall):
    await pass_by(mall["north"], 20 * MINUTE_MS, late_ms=-50 * 24 * HOUR_MS)
    for _ in range(5):
        await pass_by(mall["hall"], 10 * MINUTE_MS)
    ask()
    await traces.step()
    assert pages()[0].whole == (mall["north"].chain[0],)


async def test_days_whose_minutes_became_hours_are_told(*, traces, ask, pass_by, pages, mall, store, now):
    await pass_by(mall["north"], 20 * MINUTE_MS, 10 * MINUTE_MS)
    from_ms, to_ms = now.ms() - HOUR_MS, now.ms()
    now.s += 3 * 24 * 3600
    await pass_by(mall["north"], 10 * MINUTE_MS)
    while await store.roll_up(before_minute=now.ms() // MINUTE_MS - MINUTES_KEPT, limit_minutes=10):
        pass
    ask(from_ms=from_ms, to_ms=to_ms)
    await traces.step()
    assert pages()[0].whole == tuple(mall["north"].chain[:2])


async def test_a_row_that_counts_in_another_minute_is_told(*, traces, ask, pass_by, pages, mall, now):
    now.s += 24 * 3600
    await pass_by(mall["north"], 20 * HOUR_MS, late_ms=19 * HOUR_MS, clock=Clock.UNTRUSTED)
    ask(from_ms=now.ms() - 21 * HOUR_MS, to_ms=now.ms() - 19 * HOUR_MS)
    await traces.step()
    assert pages()[0].whole == (mall["north"].chain[0],)


async def test_it_is_in_database_and_log_before_the_first_row_leaves(
    *, traces, ask, pass_by, mall, platform, store, actions, monkeypatch
):
    await pass_by(mall["north"], 20 * MINUTE_MS)
    ask()
    seen = []
    tell = platform.answer_trace

    async def answer(query_id, sealed):
        seen.append(((await store.traces(before_id=None, limit=9))[0].state, (await actions())[-1]))
        await tell(query_id, sealed)

    monkeypatch.setattr(platform, "answer_trace", answer)
    await traces.step()
    ((state, (who, action, detail)),) = seen
    assert state is TraceState.ANSWERING
    assert (who, action) == (f"platform {platform.tracer.public.kid.hex()}", "trace.query")
    assert "case case 7: mall, 20" in detail
    assert detail.endswith(": at most 1 stored rows to look through")
    who, action, detail = (await actions())[-1]
    assert (who, action) == (f"platform {platform.tracer.public.kid.hex()}", "trace.answer")
    assert detail.endswith("1 rows, 0 of them without signed bytes")
    (trace,) = await store.traces(before_id=None, limit=9)
    assert (trace.state, trace.progress.told, trace.progress.pages) == (TraceState.ANSWERED, 1, 1)
    assert (trace.asked.issuer, trace.asked.why) == ("city", "case 7")


async def test_what_retention_has_passed_is_told_barely(*, traces, ask, pass_by, pages, mall, store, now):
    await pass_by(mall["north"], 50 * MINUTE_MS)
    row = (await store.unbatched(limit_rows=9, limit_bytes=1 << 20))[0].row_id
    batch = await store.fix_batch(batch_id=bytes(16), first_id=row, last_id=row, skipped=(), made_ms=now.ms())
    await store.mark_receipted(batch.batch_id, receipt=b"", rejected=(), now_ms=now.ms())
    await pass_by(mall["north"], 10 * MINUTE_MS)
    await store.forget_personal(received_before_ms=now.ms() - 30 * MINUTE_MS, limit_batches=9)
    ask()
    await traces.step()
    (page,) = pages()
    assert page.whole == (mall["north"].chain[1],)
    (bare,) = page.bare
    assert (bare.device, bare.seq, bare.hash) == (mall["north"].device, 1, hash_of(mall["north"].chain[0]))
    assert page.told == 2
    assert (await store.traces(before_id=None, limit=1))[0].progress.bare == 1


async def test_gaps_of_the_places_devices_are_said(*, traces, ask, pages, mall, store, now):
    gate = mall["north"]
    head = HeadChange(device_id=gate.device, epoch=gate.epoch, was_seq=0, seq=9, hash=None)
    gap = Gap(device_id=gate.device, epoch=gate.epoch, from_seq=1, to_seq=9, why="restored")
    await store.commit(IngestCommit(received_ms=now.ms(), heads=(head,), gaps=(gap,)))
    ask()
    ask(place="station")
    await traces.step()
    mine, other = pages()
    assert [(one.device, one.from_seq, one.to_seq) for one in mine.gaps] == [(gate.device, 1, 9)]
    assert other.gaps == ()


async def refusals_of(store):
    return [(trace.state, trace.reason) for trace in reversed(await store.traces(before_id=None, limit=99))]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hub": b"hub-no-2"}, "malformed"),
        ({"place": "airport"}, "not_here"),
        ({"gate": "hall"}, "not_here"),
    ],
)
async def test_a_query_that_is_not_for_us_is_refused_with_its_reason(
    *, traces, ask, pass_by, pages, mall, store, actions, changes, reason
):
    await pass_by(mall["north"], 20 * MINUTE_MS)
    ask(**changes)
    await traces.step()
    (page,) = pages()
    assert (page.refused, page.told, page.last) == (reason, 0, True)
    assert await refusals_of(store) == [(TraceState.REFUSED, reason)]
    assert (await actions())[-1][1] == "trace.refuse"


async def test_a_key_for_something_else_is_refused_by_name(*, traces, ask, pages, mall, platform, store):
    ask(by=platform.receipts)
    await traces.step()
    assert pages()[0].refused == "key_use"
    assert await refusals_of(store) == [(TraceState.REFUSED, "key_use")]


async def test_an_ended_query_is_refused(traces, ask, pages, mall, now):
    ask()
    now.s += 3602
    await traces.step()
    assert pages()[0].refused == "expired"


async def test_a_window_that_is_too_wide_or_lies_ahead_is_refused(*, traces, ask, pages, mall, platform, now):
    payload = payload_of(ask())
    wide = with_pairs(payload, {2: b"wide" * 4, 5: now.ms() - TRACE_WINDOW_MS - 1})
    ahead = with_pairs(payload, {2: b"then" * 4, 6: now.ms() + HOUR_MS})
    platform.queries[:] = [sign1(query, key=platform.tracer, aad=AAD_TRACE) for query in (wide, ahead)]
    await traces.step()
    assert [(page.id, page.refused) for page in pages()] == [(b"wide" * 4, "malformed"), (b"then" * 4, "malformed")]


async def test_what_nobody_has_signed_is_written_down_once_and_told_to_nobody(
    *, traces, ask, mall, platform, store, hub_key, actions, refusals
):
    ask(by=hub_key)
    forged = ask()
    platform.queries[-1] = forged[:-1] + bytes([forged[-1] ^ 1])
    platform.queries.append(b"rubbish")
    for _ in range(3):
        await traces.step()
    await refusals.step()
    assert platform.pages == []
    states = await refusals_of(store)
    assert states == [(TraceState.REFUSED, reason) for reason in ("unknown_key", "bad_signature", "malformed")]
    said = [detail for _, action, detail in await actions() if action == "trust.refused"]
    assert len(said) == 3
    assert all("times" not in detail for detail in said)


async def test_the_disk_is_not_filled_with_what_nobody_has_signed(traces, mall, platform, store, monkeypatch):
    monkeypatch.setattr("hub.store.sqlite.traces.UNSIGNED_MOST", 5)
    for number in range(20):
        platform.queries[:] = [b"rubbish %d" % number]
        await traces.step()
    assert len(await store.traces(before_id=None, limit=99)) == 5


async def test_the_same_query_again_is_not_answered_again(*, traces, make_traces, ask, pass_by, mall, platform, store):
    await pass_by(mall["north"], 20 * MINUTE_MS)
    ask()
    await traces.step()
    await traces.step()
    await make_traces().step()
    assert len(platform.pages) == 1
    assert len(await store.traces(before_id=None, limit=9)) == 1


async def test_another_query_under_a_known_id_is_refused(*, traces, ask, pass_by, pages, mall, store):
    await pass_by(mall["north"], 20 * MINUTE_MS)
    ask(id=b"the same id 0123")
    await traces.step()
    second = ask(id=b"the same id 0123", why="case 8")
    await traces.step()
    assert [(page.refused, page.told) for page in pages()] == [(None, 1), ("other_content", 0)]
    assert pages()[1].query_hash == hashlib.sha256(second).digest()
    states = [(TraceState.ANSWERED, ""), (TraceState.REFUSED, "other_content")]
    assert await refusals_of(store) == states


async def test_a_long_answer_comes_in_pages_that_name_each_other(*, traces, ask, pass_by, pages, platform, mall, now):
    await many(pass_by, mall["north"], 1100, now)
    ask()
    await traces.step()
    told = pages()
    assert [len(page.whole) for page in told] == [TRACE_PAGE_ROWS, TRACE_PAGE_ROWS, 100]
    assert [page.told for page in told] == [500, 1000, 1100]
    assert [page.last for page in told] == [False, False, True]
    assert [page.prev for page in told[1:]] == [hashlib.sha256(data).digest() for data in platform.pages[:2]]
    assert sum((page.whole for page in told), ()) == tuple(mall["north"].chain)


async def many(pass_by, gate, count, now):
    times = [now.ms() - 30 * MINUTE_MS + at for at in range(count)]
    await pass_by.at(gate, times, received_ms=now.ms() - 29 * MINUTE_MS)


async def test_after_a_restart_in_the_middle_it_goes_on_with_the_next_page(
    *, traces, make_traces, ask, pass_by, pages, platform, mall, now, monkeypatch
):
    await many(pass_by, mall["north"], 1100, now)
    ask()
    tell = platform.answer_trace

    async def once(query_id, sealed):
        if platform.pages:
            raise KeyboardInterrupt
        await tell(query_id, sealed)

    monkeypatch.setattr(platform, "answer_trace", once)
    with pytest.raises(KeyboardInterrupt):
        await traces.step()
    monkeypatch.setattr(platform, "answer_trace", tell)
    platform.queries.clear()
    await make_traces().step()
    told = pages()
    assert [page.page for page in told] == [0, 1, 2]
    assert sum((page.whole for page in told), ()) == tuple(mall["north"].chain)
    assert told[1].prev == hashlib.sha256(platform.pages[0]).digest()


async def test_after_a_restart_right_after_its_last_page_it_is_answered(
    *, traces, make_traces, ask, pass_by, pages, platform, mall, store, now, monkeypatch
):
    await many(pass_by, mall["north"], 3, now)
    ask()

    async def killed(*_args, **_changes):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "end_trace", killed)
        with pytest.raises(KeyboardInterrupt):
            await traces.step()
    platform.queries.clear()
    await make_traces().step()
    (trace,) = await store.traces(before_id=None, limit=9)
    assert (trace.state, trace.reason, trace.progress.pages) == (TraceState.ANSWERED, "", 1)
    # The same page twice, and none after it.
    assert [page.page for page in pages()] == [0, 0]


async def test_what_comes_while_it_is_answered_is_not_told_and_nobody_is_lost_as_spans_are_entered(
    *, traces, make_traces, ask, pass_by, pages, platform, mall, store, now, monkeypatch
):
    monkeypatch.setattr(register, "SPAN_ROWS", 64)
    await many(pass_by, mall["north"], 700, now)
    await pass_by(mall["hall"], *range(3 * 24 * HOUR_MS, 3 * 24 * HOUR_MS + 100))
    await many(pass_by, mall["south"], 400, now)
    stored = tuple(mall["north"].chain + mall["south"].chain)
    ask()
    tell = platform.answer_trace

    async def once(query_id, sealed):
        if platform.pages:
            raise KeyboardInterrupt
        await tell(query_id, sealed)

    monkeypatch.setattr(platform, "answer_trace", once)
    with pytest.raises(KeyboardInterrupt):
        await traces.step()
    monkeypatch.setattr(platform, "answer_trace", tell)
    await many(pass_by, mall["south"], 100, now)
    while await store.enter_span():
        pass
    await make_traces().step()
    assert sum((page.whole for page in pages()), ()) == stored


async def test_only_the_spans_of_the_window_are_read(*, traces, ask, pass_by, pages, mall, store, now, monkeypatch):
    monkeypatch.setattr(register, "SPAN_ROWS", 8)
    day_ms = 24 * HOUR_MS
    await pass_by(mall["north"], *(days * day_ms + at for days in (3, 2, 1) for at in range(8)))
    while await store.enter_span():
        pass
    read, traced_rows = [], store.traced_rows

    async def rows(asked, *, first_id, upto_id, limit):
        read.append((first_id, upto_id))
        return await traced_rows(asked, first_id=first_id, upto_id=upto_id, limit=limit)

    monkeypatch.setattr(store, "traced_rows", rows)
    ask(from_ms=now.ms() - 2 * day_ms - MINUTE_MS, to_ms=now.ms() - 2 * day_ms + MINUTE_MS)
    await traces.step()
    assert read == [(9, 16)]
    assert pages()[0].whole == tuple(mall["north"].chain[8:16])
    assert pages()[0].last


async def test_a_platform_that_wants_no_more_ends_it(*, traces, ask, mall, platform, store, monkeypatch, actions):
    ask()

    async def gone(_query_id, _sealed):
        raise PlatformRefusedError("nobody waits for it")

    monkeypatch.setattr(platform, "answer_trace", gone)
    await traces.step()
    assert await refusals_of(store) == [(TraceState.ENDED, "not_taken")]
    assert (await actions())[-1][1] == "trace.end"


async def test_an_answer_ends_with_its_query(*, traces, ask, pass_by, mall, platform, store, now, monkeypatch):
    await many(pass_by, mall["north"], 600, now)
    ask()
    tell = platform.answer_trace

    async def slowly(query_id, sealed):
        await tell(query_id, sealed)
        now.s += 4000

    monkeypatch.setattr(platform, "answer_trace", slowly)
    await traces.step()
    assert len(platform.pages) == 1
    assert await refusals_of(store) == [(TraceState.ENDED, "expired")]


async def test_one_that_the_platform_chokes_on_keeps_no_other_waiting(*, traces, ask, pages, mall, platform, store):
    platform.broken.add(f"answer {1:032x}")
    ask()
    ask()
    with pytest.raises(module.PlatformError):
        await traces.step()
    assert [page.id for page in pages()] == [(2).to_bytes(16, "big")]
    platform.broken.clear()
    await traces.step()
    assert {state for state, _ in await refusals_of(store)} == {TraceState.ANSWERED}


async def test_more_than_one_list_full_is_asked_for_again(traces, ask, mall, platform):
    for _ in range(TRACES_WAITING):
        ask()
    traces._wake.clear()
    await traces.step()
    assert traces._wake.is_set()
    traces._wake.clear()
    await traces.step()
    assert not traces._wake.is_set()


async def test_a_hundred_thousand_rows_in_bounded_memory(
    *, traces, ask, pass_by, platform, mall, store, monkeypatch, now
):
    """Sealed rows would be 40 MB; the page in hand is below one."""
    gate = mall["north"]
    await many(pass_by, gate, 1, now)
    await store._connections.transact(_multiply)
    ask(from_ms=now.ms() - 40 * MINUTE_MS)
    told, peaks = [], []

    async def count(_query_id, sealed):
        told.append(len(sealed))
        # Tracing costs most of the time: the first pages, and some in the middle, stand for all.
        if len(told) in {20, 110}:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        if len(told) == 100:
            tracemalloc.start()

    monkeypatch.setattr(platform, "answer_trace", count)
    tracemalloc.start()
    await traces.step()
    (trace,) = await store.traces(before_id=None, limit=1)
    assert (trace.state, trace.progress.told) == (TraceState.ANSWERED, 100_000)
    assert len(told) == 200
    assert max(peaks) < 8 << 20


def _multiply(db):
    """The first row, 100,000 times."""
    columns = (
        "device, epoch, seq, hash, at_ms, received_ms, place, gate, direction, colour, verdict, reason, clock, code"
    )
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)"  # noqa: S608
        f" INSERT INTO checkin ({columns}, sealed) SELECT {columns}, sealed FROM n, checkin WHERE checkin.id = 1"
    )
