"""The platform's stream, event by event, with real signatures."""

import asyncio
import base64
from dataclasses import replace

import pytest

from hub.store.errors import StoreWriteError
from hub.store.trust_ports import BelievedKind, ClosedBy
from hub.trust import follow as module
from hub.trust.ports import PlatformError
from hub.trust.sse import Event
from protocol import cbor, topics
from protocol.limits import PRESENCE_LISTS
from protocol.statuslist import list_id

pytestmark = pytest.mark.slow

URI = "https://status.example/lists/1"
VERSION, SNAPSHOT, DELTA = (
    make(list_id(URI)) for make in (topics.status_version, topics.status_snapshot, topics.status_delta)
)


@pytest.fixture
def listen(platform, follow, fetch, eventually):
    """Opens the stream, lets everything that was sent arrive, and what is due be fetched."""

    async def through():
        listening = asyncio.create_task(follow.listen_once())
        await eventually(lambda: platform.streams or listening.done())
        platform.hang_up()
        with pytest.raises((PlatformError, StoreWriteError)) as raised:
            await listening
        fetch.step()
        await fetch.settle()
        return str(raised.value)

    return through


@pytest.fixture
async def following(platform, follow, listen, broker):
    """Everything is fetched at version 5; what was sent until then is forgotten."""
    platform.add_list(version=5)
    await follow.load()
    await listen()
    broker.sent.clear()
    return follow


async def refused(refusals, actions):
    await refusals.step()
    return [detail.split(": ")[:2] for _, action, detail in await actions() if action == "trust.refused"]


async def test_at_the_start_everything_is_fetched(*, platform, follow, listen, broker, store):
    platform.add_list(version=5)
    platform.closed["mall"] = "violation"
    platform.bundle = replace(platform.bundle, version=8)
    await follow.load()
    assert await listen() == "the platform ended the stream"
    assert broker.retained == {
        topics.TRUST: platform.trust_bytes,
        SNAPSHOT: platform.token(),
        VERSION: cbor.encode(5),
    }
    assert [closing.place_id for closing in await store.closings()] == ["mall"]


async def test_a_delta_goes_out_live_before_anything_else(following, platform, broker):
    data = platform.delta((3, 1), (9, 2))
    await following.take(platform.delta_event(data))
    assert broker.sent == [(DELTA, data, False), (VERSION, cbor.encode(6), True)]


async def test_a_gate_that_missed_it_finds_the_list_a_second_later(*, following, platform, broker, fetch, now):
    await following.take(platform.delta_event(platform.delta((3, 1))))
    now.s += 3
    fetch.step()
    await fetch.settle()
    assert broker.retained[SNAPSHOT] == platform.token()


async def test_a_heartbeat_is_handed_on(following, platform, broker):
    data = platform.heartbeat(issued_s=platform.now_s + 10)
    await following.take(platform.delta_event(data))
    assert broker.sent == [(DELTA, data, False)]


async def test_a_missed_delta_brings_the_list_and_not_the_delta(*, following, platform, broker, fetch, now):
    platform.delta((3, 1))
    await following.take(platform.delta_event(platform.delta((4, 1))))
    assert broker.sent == []
    now.s += 3
    fetch.step()
    await fetch.settle()
    assert broker.retained == broker.retained | {VERSION: cbor.encode(7), SNAPSHOT: platform.token()}


async def test_after_a_cut_only_what_was_missed_is_asked_for(*, following, platform, broker, listen):
    await following.take(platform.delta_event(platform.delta((3, 1))))
    missed = [platform.delta((4, 1)), platform.delta((5, 1))]
    for data in missed:
        platform.delta_event(data)
    platform.asked.clear()
    await listen()
    assert platform.asked == ["events after 1"]
    assert broker.live(DELTA)[1:] == missed


async def test_a_reset_fetches_everything(*, following, platform, broker, listen, now):
    platform.add_list("https://status.example/lists/2", version=3)
    del platform.lists_by_uri[URI]
    now.s += 3
    following._last_id = "1"
    platform.event("place", "{}")
    platform.event("reset", "please")
    await listen()
    assert VERSION not in broker.retained
    assert SNAPSHOT not in broker.retained
    assert broker.retained[topics.status_version(list_id("https://status.example/lists/2"))] == cbor.encode(3)


async def test_a_stream_that_never_had_an_id_is_no_reason_to_trust_that_nothing_was_missed(
    *, following, platform, broker, listen, now
):
    platform.delta((3, 1))
    now.s += 3
    await listen()
    assert broker.retained[VERSION] == cbor.encode(6)


async def test_a_new_list_is_fetched(*, following, platform, broker, fetch):
    platform.add_list("https://status.example/lists/2", version=3)
    await following.take(platform.event("list", "https://status.example/lists/2"))
    fetch.step()
    await fetch.settle()
    assert broker.retained[topics.status_version(list_id("https://status.example/lists/2"))] == cbor.encode(3)


async def test_new_trust_comes_before_the_deltas_that_need_it(*, following, platform, broker, bundles):
    city = platform.bundle.issuers[0]
    keys = (*city.keys, replace(platform.bundle.issuers[1].keys[0], key=platform.root.public))
    issuers = (replace(city, keys=keys), *platform.bundle.issuers[1:])
    platform.bundle = replace(platform.bundle, version=8, issuers=issuers)
    platform.lists_by_uri[URI].key = platform.root
    await following.take(platform.event("trust", "8"))
    await following.take(platform.delta_event(platform.delta((3, 1))))
    assert bundles[-1].version == 8
    assert broker.topics() == [topics.TRUST, DELTA, VERSION]


async def test_trust_that_cannot_be_fetched_does_not_hold_up_deltas_and_is_asked_for_again(
    *, following, platform, broker, bundles, eventually, monkeypatch
):
    platform.bundle = replace(platform.bundle, version=8)
    platform.broken = {"trust"}
    await following.take(platform.event("trust", "8"))
    await following.take(platform.delta_event(platform.delta((3, 1))))
    assert DELTA in broker.topics()
    platform.broken = set()
    watching = asyncio.create_task(following._watch())
    await eventually(lambda: bundles[-1].version == 8)
    watching.cancel()


async def test_trust_without_the_signer_of_a_list_takes_the_list_from_the_gates(*, following, platform, broker):
    neighbour = platform.bundle.issuers[1]
    platform.bundle = replace(platform.bundle, version=8, issuers=(neighbour,))
    await following.take(platform.event("trust", "8"))
    assert SNAPSHOT not in broker.retained


async def test_places_are_closed_and_opened(following, platform, store):
    await following.take(platform.place_event("mall", closed=True, why="violation"))
    assert [(closing.place_id, closing.by) for closing in await store.closings()] == [("mall", ClosedBy.PLATFORM)]
    await following.take(Event(kind="place", data='{"place": "mall", "closed": false, "why": null}', last_id="9"))
    assert await store.closings() == ()


async def test_an_event_that_the_database_did_not_take_comes_again(*, following, platform, store, listen, monkeypatch):
    async def fail(*_, **__):
        raise StoreWriteError("the disk is full")

    platform.place_event("mall", closed=True, why="violation")
    event = platform.history[-1]
    with monkeypatch.context() as patch:
        patch.setattr(store, "close_place", fail)
        with pytest.raises(StoreWriteError):
            await following.take(event)
    following._last_id = "0"
    await listen()
    assert [closing.place_id for closing in await store.closings()] == ["mall"]


async def test_a_hub_that_starts_without_the_platform_serves_its_gates(
    *, following, platform, keeping, follow, fetch, lists, bundle, shelf, broker, now
):
    platform.bundle = replace(platform.bundle, version=8)
    await following.take(platform.event("trust", "8"))
    now.s += 20
    await keeping.step()
    before = dict(broker.retained)
    # Another process, on the same database, with the bundle of its configuration.
    broker.lose_everything()
    shelf._wanted.clear()
    lists.name([])
    bundle.current = replace(bundle.current, version=7)
    platform.broken = {"everything"}
    await follow.load()
    assert broker.retained == before


async def test_a_kept_bundle_that_is_older_than_the_configured_one_stays_away(
    *, platform, follow, keeping, broker, refusals, actions, store
):
    keeping.keep(BelievedKind.TRUST, "", version=6, issued_s=1, data=_older(platform))
    await keeping.step()
    await follow.load()
    assert broker.retained[topics.TRUST] == platform.trust_bytes
    assert await refused(refusals, actions) == []
    await keeping.step()
    assert [row.version for row in await store.believed()] == [7]


def _older(platform):
    now, platform.bundle = platform.bundle, replace(platform.bundle, version=6)
    data, platform.bundle = platform.trust_bytes, now
    return data


async def test_attacks_on_the_stream_are_refused_passed_over_and_audited(
    *, following, platform, broker, refusals, actions
):
    good = platform.delta((3, 1))
    await following.take(platform.delta_event(good))
    broker.sent.clear()
    platform.add_list("https://status.example/lists/2")
    attacks = {
        "replayed": good,
        "forked": platform.delta((8, 1), from_version=5, to_version=6),
        "old heartbeat": platform.heartbeat(issued_s=platform.now_s - 60),
        "wrong use": platform.delta((3, 1), key=platform.receipts, from_version=6, to_version=7),
        "unknown key": platform.delta((3, 1), key=platform.root, from_version=6, to_version=7),
        "another issuer": platform.delta((3, 1), key=platform.other, from_version=6, to_version=7),
        "a list": platform.token(),
        "a bundle": platform.trust_bytes,
        "unnamed list": platform.delta((1, 1), uri="https://status.example/lists/2"),
        "beyond": platform.delta((4096, 1), from_version=6, to_version=7),
        "nothing": b"",
        "noise": bytes(range(256)),
    }
    for data in attacks.values():
        await following.take(platform.delta_event(data))
    assert broker.sent == []
    counted = sorted(reason for _, reason in await refused(refusals, actions))
    assert counted == ["key_use (2 times)", "malformed (4 times)", "rollback (3 times)", "unknown_key (3 times)"]
    await following.take(platform.delta_event(platform.delta((4, 1))))
    assert len(broker.sent) == 2, "the stream goes on"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("delta", "not base64!"),
        ("delta", "A" * 200_000),
        ("delta", "AAAA\u0661"),
        ("list", "x" * 257),
        ("list", ""),
        ("place", "{"),
        ("place", "[" * 100_000),
        ("place", '{"place": "mall", "closed": "yes", "why": ""}'),
        ("place", '{"place": "../mall", "closed": true, "why": ""}'),
        ("place", '{"place": 5, "closed": true, "why": ""}'),
        ("place", "null"),
    ],
)
async def test_hostile_events_are_refused_and_never_asked_for_again(
    *, following, kind, data, refusals, actions, store, lists
):
    await following.take(Event(kind=kind, data=data, last_id="99"))
    assert len(await refused(refusals, actions)) == 1
    assert (following._last_id, await store.closings(), len(lists)) == ("99", (), 1)


async def test_events_of_a_later_version_are_passed_over(following, broker, refusals, actions):
    await following.take(Event(kind="weather", data="sunny", last_id="9"))
    assert (broker.sent, await refused(refusals, actions)) == ([], [])


async def test_bundles_that_are_not_believed_change_nothing(*, following, platform, bundles, refusals, actions):
    bundles.clear()
    platform.root = platform.issuer
    platform.bundle = replace(platform.bundle, version=9)
    await following.take(platform.event("trust", "9"))
    assert (bundles, await refused(refusals, actions)) == ([], [["trust bundle", "unknown_key"]])


async def test_closed_places_that_are_none_do_not_stop_the_hub(*, platform, follow, listen, refusals, actions, broker):
    platform.add_list()
    platform.closed["../x"] = "why"
    await listen()
    assert await refused(refusals, actions) == [["closed places", "malformed"]]
    assert VERSION in broker.retained


async def test_more_lists_than_a_gate_can_name_are_refused(*, platform, follow, listen, lists, refusals, actions):
    for number in range(PRESENCE_LISTS + 1):
        platform.add_list(f"https://status.example/lists/{number}", entries=4)
    await listen()
    assert len(lists) == PRESENCE_LISTS
    await follow.take(platform.event("list", "https://status.example/lists/new"))
    await follow.take(platform.event("list", "https://status.example/lists/1"))
    assert len(lists) == PRESENCE_LISTS
    assert await refused(refusals, actions) == [["list of lists", "limit"], ["event list", "limit"]]


async def test_it_comes_back_by_itself_and_missed_nothing(
    *, follow, fetch, platform, broker, eventually, monkeypatch, metrics
):
    monkeypatch.setattr(module, "pause_s", lambda *_, **__: 0.0)
    platform.add_list(version=5)
    platform.broken = {"lists"}
    await follow.load()
    running = [asyncio.create_task(part.run()) for part in (follow, fetch)]
    await eventually(lambda: platform.asked.count("lists") > 3)
    platform.broken = set()
    await eventually(lambda: VERSION in broker.retained)
    assert b"gatelight_hub_platform_connected 1.0" in metrics.text()
    platform.place_event("mall", closed=False)
    await eventually(lambda: follow._last_id == "1")
    for number in range(5):
        platform.hang_up()
        platform.delta_event(platform.delta((number, 1)))
        await eventually(lambda: broker.retained[VERSION] == cbor.encode(platform.lists_by_uri[URI].version))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert len(broker.live(DELTA)) == 5


async def test_once_in_a_while_everything_is_asked_for_again(*, follow, platform, eventually, monkeypatch):
    monkeypatch.setattr(module, "_AGAIN_S", 0.01)
    running = asyncio.create_task(follow.run())
    await eventually(lambda: platform.asked.count("places") > 3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_base64_of_events_is_strict():
    assert module._decode(base64.b64encode(b"hello").decode()) == b"hello"


async def test_who_answers_traces_is_woken_by_the_event_and_whenever_everything_is_asked_for(follow, platform, woken):
    await follow.take(platform.event("trace", ""))
    assert woken == ["trace"]
    await follow.take(platform.event("reset", ""))
    assert woken == ["trace", "trace"]
