import asyncio
from itertools import pairwise

import pytest

from hub.store.trust_ports import Believed, BelievedKind
from hub.trust import fetch as module
from protocol import cbor, topics
from protocol.errors import ProtocolError
from protocol.statuslist import list_id

URI = "https://status.example/lists/1"
VERSION, SNAPSHOT = topics.status_version(list_id(URI)), topics.status_snapshot(list_id(URI))


@pytest.fixture
def held(lists, platform):
    platform.add_list(version=5)
    return lists.add(URI)


async def step(fetch):
    fetch.step()
    await fetch.settle()


def asked(platform):
    return platform.asked.count("snapshot")


async def test_a_due_list_is_fetched_and_stands_at_the_broker(fetch, held, platform, broker):
    fetch.due(held)
    await step(fetch)
    assert broker.retained == {SNAPSHOT: platform.token(), VERSION: cbor.encode(5)}
    assert broker.topics() == [SNAPSHOT, VERSION], "the version calls gates to the list, so the list is there first"
    await step(fetch)
    assert asked(platform) == 1


async def test_a_list_follows_one_second_after_the_last_delta(*, fetch, held, platform, now):
    fetch.due(held)
    await step(fetch)
    now.s += 10
    for _ in range(3):
        platform.delta((1, 1))
        held.version += 1
        fetch.moved(held)
        now.s += 0.2
        await step(fetch)
    assert asked(platform) == 1
    now.s += 0.9
    await step(fetch)
    assert (asked(platform), held.snapshot_version) == (2, 8)


async def test_while_deltas_keep_coming_it_follows_every_two_seconds(*, fetch, held, platform, now):
    fetch.due(held)
    await step(fetch)
    now.s += 10
    for _ in range(100):
        platform.delta((1, 1))
        held.version += 1
        fetch.moved(held)
        await step(fetch)
        now.s += 0.1
    assert 5 <= asked(platform) <= 6, "10 s of deltas"


async def test_asking_again_and_again_costs_one_fetch_in_two_seconds(*, fetch, held, platform, now):
    for _ in range(20):
        held.wanted = 99
        fetch.due(held)
        await step(fetch)
        now.s += 0.1
    assert asked(platform) == 1


async def test_a_list_that_is_not_there_yet_is_asked_for_with_growing_pauses(
    *, fetch, held, platform, now, monkeypatch
):
    monkeypatch.setattr(module.random, "random", lambda: 1.0)
    fetch.due(held)
    await step(fetch)
    held.wanted = 99
    fetch.due(held)
    at = []
    for _ in range(1200):
        before = asked(platform)
        await step(fetch)
        if asked(platform) > before:
            at.append(now.s)
        now.s += 0.1
    pauses = [round(later - earlier) for earlier, later in pairwise(at)]
    assert pauses == [2, 2, 2, 2, 3, 6, 13, 26, 30, 30], pauses
    assert held.version == 5


async def test_a_platform_that_is_away_is_asked_until_it_answers(*, fetch, held, platform, broker, now):
    platform.broken = {"snapshot"}
    fetch.due(held)
    for _ in range(50):
        await step(fetch)
        now.s += 1
    assert broker.retained == {}
    platform.broken = set()
    for _ in range(40):
        await step(fetch)
        now.s += 1
    assert held.snapshot_version == 5
    assert asked(platform) < 20


async def test_what_is_not_believed_is_refused_and_nothing_changes(
    *, fetch, held, platform, broker, actions, refusals, now
):
    platform.lists_by_uri[URI].key = platform.receipts
    fetch.due(held)
    await step(fetch)
    await refusals.step()
    assert (broker.retained, held.version) == ({}, 0)
    assert [(who, action) for who, action, _ in await actions()] == [("hub", "trust.refused")]
    platform.lists_by_uri[URI].key = platform.issuer
    now.s += 3
    await step(fetch)
    assert held.version == 5, "it goes on asking"


async def test_one_slow_list_does_not_hold_up_the_others(*, fetch, lists, platform, broker):
    gate = asyncio.Event()
    plain = platform.snapshot

    async def slow(name, *, version):
        if name == list_id(URI):
            await gate.wait()
        return await plain(name, version=version)

    platform.snapshot = slow
    uris = [URI, *(f"https://status.example/lists/{number}" for number in range(2, 12))]
    for uri in uris:
        platform.add_list(uri)
        fetch.due(lists.add(uri))
    for _ in range(100):
        fetch.step()
        await asyncio.sleep(0)
        assert len(fetch._flights) <= 4
        if len(broker.retained) == 20:
            break
        await asyncio.wait(fetch._flights.values(), return_when=asyncio.FIRST_COMPLETED)
    assert len(broker.retained) == 20, "all but the slow one"
    gate.set()
    await fetch.settle()
    assert len(broker.retained) == 22


async def test_a_list_that_goes_while_it_is_fetched_is_not_put_there(*, fetch, held, lists, broker):
    fetch.due(held)
    fetch.step()
    lists.name([])
    fetch.drop(held)
    await fetch.settle()
    assert broker.retained == {}


async def test_a_kept_list_is_served_and_asked_for_by_its_version(*, fetch, lists, platform, broker):
    platform.add_list(version=5)
    data = platform.token()
    await fetch.load(Believed(kind=BelievedKind.LIST, name=URI, version=5, issued_s=1, kept_ms=1, data=data))
    assert broker.retained[SNAPSHOT] == data
    fetch.due(lists.find(list_id(URI)))
    await step(fetch)
    assert (asked(platform), len(broker.sent)) == (1, 2), "not modified"


async def test_a_kept_list_that_is_not_believed_any_more_leaves_only_its_version(*, fetch, lists, platform, broker):
    platform.add_list(version=5, key=platform.receipts)
    row = Believed(kind=BelievedKind.LIST, name=URI, version=5, issued_s=1, kept_ms=1, data=platform.token())
    await fetch.load(row)
    assert broker.retained == {}
    held = lists.find(list_id(URI))
    platform.add_list(version=4)
    fetch.due(held)
    await step(fetch)
    assert broker.retained == {}, "an older one does not come instead"
    platform.add_list(version=6)
    with pytest.raises(ProtocolError):
        await fetch._take(held, b"nonsense")
    await fetch._take(held, platform.token())
    assert held.version == 6


async def test_its_task_wakes_when_a_list_is_due(*, fetch, held, broker, eventually):
    running = asyncio.create_task(fetch.run())
    await asyncio.sleep(0)
    fetch.due(held)
    await eventually(lambda: VERSION in broker.retained)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
