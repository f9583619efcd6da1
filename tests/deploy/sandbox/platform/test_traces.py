"""The whole way of a trace over the platform's real doors: asked, signed, answered by a real hub's part, resolved."""

import asyncio
import dataclasses
import hashlib
import os
import ssl
import time

import pytest

from deploy.sandbox.platform.authority import bundle_file, root_file
from hub.deliver.aggregate import aggregate
from hub.health import Health, Metrics
from hub.model import AuditEntry, Gate, HeadChange, Place
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from hub.store.trace_ports import TraceState
from hub.trust.platform import HttpsSource
from hub.trust.refusals import Refusals
from hub.trust.traces import Traces
from protocol import trace
from protocol.checkin import parse_checkin
from protocol.keys import decode_key
from protocol.terms import Direction, Verdict
from protocol.trace import TraceAnswer, decode_traces, open_trace_query, seal_trace_answer
from protocol.trust import open_trust

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

HUB_ID = b"hub-no-1"
CASE, FRIEND, EARLIER, REFUSED = 501, 502, 503, 504
HOUR_MS, MINUTE_MS = 3_600_000, 60_000


def now_ms():
    return time.time_ns() // 1_000_000


@pytest.fixture
def trust(authority_folder):
    root = decode_key(root_file(authority_folder).read_bytes())
    return open_trust(bundle_file(authority_folder).read_bytes(), root=root)


@pytest.fixture
def passed(gate, wallet):
    """Seal that somebody passed, some minutes ago."""

    def seal(person, ago_min, *, inward=True, **fields):
        direction = Direction.IN if inward else Direction.OUT
        return gate.next(
            at_ms=now_ms() - round(ago_min * MINUTE_MS),
            subject=wallet.seal_subject(person),
            direction=direction,
            **fields,
        )

    return seal


async def forward(platform, *checkins):
    status, _ = await platform.post(platform.sealed(checkins))
    assert status == 200


async def ask(platform, **wish):
    status, answer = await platform.control("trace", {"person": CASE, "why": "2022-CQ-7"} | wish)
    assert status == 200
    return answer["traces"]


async def waiting(platform, **who):
    status, body, _ = await platform.fetch("/v1/traces", **who)
    return decode_traces(body) if status == 200 else status


async def answer(platform, query, page, *, who="hub"):
    url = f"{platform.api}/v1/traces/{query.id.hex()}/answer"
    async with platform.session.post(url, data=page, ssl=platform.contexts[who]) as told:
        return told.status


async def listed(platform):
    async with platform.session.get(f"{platform.pages}/sandbox/traces") as told:
        return (await told.json())["traces"]


def page_of(query, data, checkins=(), **changes):
    plain = TraceAnswer(
        hub=HUB_ID,
        id=query.id,
        query_hash=hashlib.sha256(data).digest(),
        whole=tuple(checkins),
        told=len(checkins),
        kept_ms=0,
        at_ms=now_ms(),
    )
    return dataclasses.replace(plain, **changes)


@pytest.fixture
async def one(platform, passed, trust):
    """The case was seen once; (query, its bytes)."""
    await forward(platform, passed(CASE, 30))
    await ask(platform)
    (data,) = await waiting(platform)
    return open_trace_query(data, trust=trust, at_s=int(time.time()), hub=HUB_ID), data


@pytest.fixture
async def hub(*, tmp_path, platform, authority_folder, trust):
    """The hub's part that answers, over TLS, with a database of its own."""
    store = await open_store(tmp_path / "hub.db", create=True)
    entry = AuditEntry(at_ms=now_ms(), who="test", action="place.add", detail="")
    await store.add_place(Place(place_id="mall", name="商场"), audit=entry)
    await store.add_gate(Gate(place_id="mall", gate_id="G1", name=""), audit=entry)
    health, metrics = Health(), Metrics()
    context: ssl.SSLContext = platform.contexts["hub"]
    source = HttpsSource(url=platform.api, tls=context)
    traces = Traces(
        source=source,
        store=store,
        trust=lambda: trust,
        key=platform.hub_key,
        hub=HUB_ID,
        kept_ms=24 * HOUR_MS,
        refusals=Refusals(store=store, health=health, metrics=metrics, now_ms=now_ms),
        health=health,
        metrics=metrics,
        now_ms=now_ms,
    )

    async def put(*checkins):
        rows = tuple(map(parse_checkin, checkins))
        first, last = rows[0].checkin, rows[-1].checkin
        head = HeadChange(
            device_id=last.device, epoch=last.epoch, was_seq=first.seq - 1, seq=last.seq, hash=rows[-1].hash
        )
        received_ms = now_ms()
        await store.commit(IngestCommit(received_ms=received_ms, rows=rows, heads=(head,), counts=aggregate(rows)))

    traces.put, traces.store = put, store
    yield traces
    await source.close()
    await store.close()


async def test_a_case_is_traced_to_whoever_was_there_at_the_time(platform, hub, passed):
    checkins = [
        passed(EARLIER, 120),
        passed(EARLIER, 100, inward=False),
        passed(CASE, 30),
        passed(FRIEND, 20),
        passed(REFUSED, 19, verdict=Verdict.REFUSE),
        passed(CASE, 10, inward=False),
    ]
    await forward(platform, *checkins[:3], checkins[3], checkins[4], checkins[5])
    await hub.put(*checkins)
    assert len(await ask(platform, around_s=60, stay_s=7200)) == 1
    await hub.step()
    (found,) = await listed(platform)
    assert (found["state"], found["rows"], found["unproven"], found["bare"]) == ("answered", 6, 0, 0)
    assert [visit["person"] for visit in found["contacts"]] == [FRIEND]
    (told,) = await hub.store.traces(before_id=None, limit=9)
    assert (told.state, told.asked.why) == (TraceState.ANSWERED, "2022-CQ-7")
    assert await waiting(platform) == ()


async def test_what_the_hub_has_not_forwarded_yet_is_found_too(platform, hub, passed):
    case, friend = passed(CASE, 30), passed(FRIEND, 20)
    await forward(platform, case)
    await hub.put(case, friend)
    await ask(platform)
    await hub.step()
    assert [visit["person"] for visit in (await listed(platform))[0]["contacts"]] == [FRIEND]


async def test_what_the_hub_has_forgotten_is_found_by_its_hash(platform, hub, passed):
    case, friend = passed(CASE, 30), passed(FRIEND, 20)
    await forward(platform, case, friend)
    await hub.put(case, friend)
    await hub.store.fix_batch(batch_id=bytes(16), first_id=1, last_id=2, skipped=(), made_ms=now_ms())
    await hub.store.mark_receipted(bytes(16), receipt=b"", rejected=(), now_ms=now_ms())
    await hub.store.forget_personal(received_before_ms=now_ms() + 1, limit_batches=9)
    await ask(platform)
    await hub.step()
    (found,) = await listed(platform)
    assert (found["rows"], found["bare"], found["unproven"]) == (2, 2, 0)
    assert [visit["person"] for visit in found["contacts"]] == [FRIEND]


async def test_each_visit_of_the_case_is_a_query_of_its_own(platform, passed, trust):
    await forward(platform, passed(CASE, 3000), passed(CASE, 2990, inward=False), passed(CASE, 30))
    assert len(await ask(platform, stay_s=60)) == 2
    first, second = (
        open_trace_query(data, trust=trust, at_s=int(time.time()), hub=HUB_ID) for data in await waiting(platform)
    )
    assert first.to_ms < second.from_ms


async def test_a_refusal_is_shown_with_its_reason(platform, one):
    query, data = one
    refusal = page_of(query, data, refused="not_here")
    assert await answer(platform, query, seal_trace_answer(refusal, key=platform.hub_key)) == 204
    (found,) = await listed(platform)
    assert (found["state"], found["reason"]) == ("refused", "not_here")


async def test_rows_that_prove_nothing_count_for_nobody(platform, one, gate, passed, wallet):
    """Another signer, another place, another time, rubbish: a hub can put nobody into an answer."""
    query, data = one
    stranger = dataclasses.replace(gate, key=type(gate)().key, device=os.urandom(8))
    rows = (
        stranger.next(subject=wallet.seal_subject(FRIEND), at_ms=query.from_ms),
        passed(FRIEND, 30, place="station"),
        passed(FRIEND, 50_000),
        b"rubbish",
    )
    made_up = trace.TraceRow(
        device=gate.device, epoch=gate.epoch, seq=1, hash=bytes(32), at_ms=query.from_ms, gate="G1",
        direction=Direction.IN, colour=0, verdict=Verdict.ADMIT,
    )  # fmt: skip
    page = page_of(query, data, rows, bare=(made_up,), told=5)
    assert await answer(platform, query, seal_trace_answer(page, key=platform.hub_key)) == 204
    (found,) = await listed(platform)
    assert (found["rows"], found["unproven"], found["contacts"]) == (5, 5, [])


async def test_pages_come_in_order_and_the_last_may_come_again(platform, one, passed):
    query, data = one
    key = platform.hub_key
    first = seal_trace_answer(page_of(query, data, (passed(FRIEND, 29),), last=False), key=key)
    again = seal_trace_answer(page_of(query, data, (passed(EARLIER, 29),), last=False), key=key)

    def second(prev, **changes):
        page = page_of(query, data, (), page=1, prev=hashlib.sha256(prev).digest(), told=1, **changes)
        return seal_trace_answer(page, key=key)

    assert await answer(platform, query, second(first)) == 409
    assert await answer(platform, query, first) == 204
    assert await answer(platform, query, again) == 204
    assert await answer(platform, query, second(first)) == 409
    assert await answer(platform, query, second(again)) == 204
    assert await answer(platform, query, again) == 409
    assert await answer(platform, query, second(again)) == 204
    (found,) = await listed(platform)
    assert (found["state"], found["pages"]) == ("answered", 2)
    assert [visit["person"] for visit in found["contacts"]] == [EARLIER]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"query_hash": bytes(32)}, 404),
        ({"id": bytes(16)}, 404),
        ({"hub": b"hub-no-2"}, 404),
    ],
)
async def test_an_answer_to_nothing_that_was_asked_is_not_taken(platform, one, changes, status):
    query, data = one
    page = seal_trace_answer(page_of(query, data, **changes), key=platform.hub_key)
    assert await answer(platform, query, page) == status


async def test_who_is_no_hub_neither_asks_nor_answers(platform, one, gate):
    query, data = one
    assert await waiting(platform, who="other_hub") == 403
    page = page_of(query, data)
    assert await answer(platform, query, seal_trace_answer(page, key=platform.hub_key), who="other_hub") == 403
    assert await answer(platform, query, seal_trace_answer(page, key=gate.key)) == 403
    assert await answer(platform, query, b"rubbish") == 400


async def test_hubs_are_told_at_once_that_a_query_waits(platform, passed):
    await forward(platform, passed(CASE, 30))
    async with platform.session.get(f"{platform.api}/v1/events", ssl=platform.contexts["hub"]) as stream:
        await ask(platform)
        async with asyncio.timeout(10):
            while b"event: trace" not in (line := await stream.content.readline()):
                assert line


@pytest.mark.parametrize(
    "wish",
    [
        {"person": -1},
        {"person": "x"},
        {"why": ""},
        {"why": 7},
        {"why": "x" * 65},
        {"days": 15},
        {"around_s": -1},
        {"stay_s": float("inf")},
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(platform, passed, wish):
    await forward(platform, passed(CASE, 30))
    status, _ = await platform.control("trace", {"person": CASE, "why": "case"} | wish)
    assert status == 400


async def test_the_page_asks_by_a_form_and_shows_who_was_there(platform, hub, passed):
    case, friend = passed(CASE, 30), passed(FRIEND, 20)
    await platform.code({"person": FRIEND, "name": "<b>李娜"})
    await forward(platform, case, friend)
    await hub.put(case, friend)
    form = {"person": str(CASE), "why": "<i>7", "days": "14", "around_s": "900", "stay_s": "7200"}
    async with platform.session.post(f"{platform.pages}/sandbox/trace", data=form) as told:
        assert (told.status, told.url.path) == (200, "/traces")
    await hub.step()
    async with platform.session.get(f"{platform.pages}/traces") as told:
        page = await told.text()
    assert "&lt;b&gt;李娜" in page
    assert "&lt;i&gt;7" in page
    assert "<b>" not in page
    cross = {"Sec-Fetch-Site": "cross-site"}
    async with platform.session.post(f"{platform.pages}/sandbox/trace", data=form, headers=cross) as told:
        assert told.status == 403
