import asyncio
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hub.trust import resolve as module
from hub.trust.ports import PlatformError, PlatformTimeoutError
from hub.trust.resolve import Resolve
from protocol import topics
from protocol.resolve import Query, Resolved, open_query, seal_query, seal_resolved
from protocol.terms import Colour, Scheme

DEVICE = b"device-1"
TOPIC = topics.resolved(DEVICE)
PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
NUMBER = "11010519491231002X"


def query(number=1, *, device=DEVICE):
    asked = Query(
        nonce=bytes([number]) * 16, device=device, place="mall", gate="north", scheme=Scheme.CARD_NUMBER, text=NUMBER
    )
    return seal_query(asked, resolver=PRIVATE.public_key().public_bytes_raw())


@pytest.fixture
def resolve(*, platform, shelf, bundle, refusals, health, metrics, now):
    async def answer(sealed):
        asked = open_query(sealed, private=PRIVATE)
        return seal_resolved(found(asked), key=platform.issuer)

    platform.resolver = answer
    return Resolve(
        source=platform,
        board=shelf,
        bundle=bundle,
        refusals=refusals,
        health=health,
        metrics=metrics,
        now_ms=now.ms,
        now_s=now.mono,
    )


def found(asked, **changes):
    plain = Resolved(
        id=asked.id,
        device=asked.device,
        found=True,
        subject=bytes(48),
        colour=Colour.GREEN,
        issued_s=1_795_000_000,
        expires_s=1_795_000_060,
    )
    return replace(plain, **changes)


def count(metrics, result):
    text = metrics.text().decode()
    lines = [
        line for line in text.splitlines() if line.startswith(f'gatelight_hub_resolves_total{{result="{result}"}}')
    ]
    return float(lines[0].split()[1]) if lines else 0


async def test_a_query_comes_back_answered_and_the_hub_reads_and_logs_nothing(resolve, broker, metrics, caplog):
    caplog.set_level(0)
    resolve.query(DEVICE, query())
    await resolve.settle()
    assert len(broker.live(TOPIC)) == 1
    assert broker.retained == {}
    assert count(metrics, "answered") == 1
    assert NUMBER not in caplog.text
    assert bytes(48).hex() not in caplog.text


@pytest.mark.parametrize(
    ("error", "result"), [(PlatformTimeoutError("late"), "timeout"), (PlatformError("status 503"), "failed")]
)
async def test_without_an_answer_the_gate_gets_none(*, resolve, platform, broker, metrics, error, result):
    async def fail(_):
        raise error

    platform.resolver = fail
    resolve.query(DEVICE, query())
    await resolve.settle()
    assert (broker.sent, count(metrics, result)) == ([], 1)


async def test_answers_that_a_gate_would_refuse_are_not_handed_on(
    *, resolve, platform, broker, refusals, actions, metrics
):
    first = open_query(query(), private=PRIVATE)
    answers = [
        seal_resolved(found(first), key=platform.receipts),
        seal_resolved(found(first), key=platform.root),
        seal_resolved(found(first, id=bytes(16)), key=platform.issuer),
        seal_resolved(found(first, device=b"device-2"), key=platform.issuer),
        seal_resolved(found(first, expires_s=1_795_000_000 - 5, issued_s=1_794_000_000), key=platform.issuer),
        platform.trust_bytes,
        b"",
    ]

    async def give(_):
        return answers.pop()

    platform.resolver = give
    while answers:
        resolve._allowed.clear()
        resolve.query(DEVICE, query())
        await resolve.settle()
    await refusals.step()
    assert (broker.sent, count(metrics, "refused")) == ([], 7)
    assert {action for _, action, _ in await actions()} == {"trust.refused"}


async def test_what_is_no_query_is_not_posted(resolve, platform, metrics):
    for data in (b"", b"\xff" * 100, bytes(70_000), b"\xa0"):
        resolve.query(DEVICE, data)
    await resolve.settle()
    assert ("resolve" in platform.asked, count(metrics, "malformed")) == (False, 4)


async def test_one_device_may_ask_five_times_a_second_and_takes_nothing_from_others(*, resolve, metrics, now, platform):
    for _ in range(20):
        resolve.query(DEVICE, query())
    resolve.query(b"device-2", query(device=b"device-2"))
    await resolve.settle()
    assert (platform.asked.count("resolve"), count(metrics, "limited")) == (6, 15)
    for _ in range(16):
        now.s += 0.125
        resolve.query(DEVICE, query())
    await resolve.settle()
    assert platform.asked.count("resolve") == 16, "ten in two seconds"


async def test_a_platform_that_hangs_does_not_fill_the_memory(*, resolve, platform, metrics):
    gate = asyncio.Event()

    async def hang(_):
        await gate.wait()
        raise PlatformError("gone")

    platform.resolver = hang
    for number in range(100):
        resolve.query(number.to_bytes(8, "big"), query())
    assert len(resolve._flights) == module._OPEN_MAX
    assert count(metrics, "busy") == 100 - module._OPEN_MAX
    gate.set()
    await resolve.settle()


async def test_what_is_on_its_way_ends_with_the_hub(resolve, platform):
    async def hang(_):
        await asyncio.Event().wait()

    platform.resolver = hang
    running = asyncio.create_task(resolve.run())
    await asyncio.sleep(0)
    resolve.query(DEVICE, query())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not resolve._flights
