"""Stories of the outbox: a real store, a platform that fails in every way there is."""

import asyncio
import random

import pytest

from hub.store.errors import StoreWriteError
from protocol.batch import open_batch
from protocol.checkin import parse_checkin
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason

pytestmark = pytest.mark.slow


async def test_what_is_stored_reaches_the_platform_and_is_receipted(outbox, platform, gate):
    await outbox.put(5)
    await outbox.round()
    assert platform.stored == gate.chain
    status = await outbox.store.status()
    assert (status.outbox_rows, status.batches_open) == (0, 0)
    assert outbox.metric("batches_total", result="receipted") == 1
    assert await outbox.store.due_batches(now_ms=2**60, limit=9) == ()


async def test_nothing_stored_nothing_sent(outbox, platform):
    await outbox.round()
    assert not platform.bodies


@pytest.mark.parametrize(
    "failure",
    ["down", "lost answer", (500, b""), (503, b""), (429, b""), (403, b""), (302, b""), (200, b"no receipt")],
)
async def test_without_a_receipt_the_same_bytes_go_again_later(outbox, platform, gate, failure):
    platform.plan = [failure, failure]
    await outbox.put(2)
    await outbox.round()
    await outbox.round()
    assert len(platform.bodies) == 1
    await outbox.round(later_ms=500)
    await outbox.round(later_ms=500)
    assert len(platform.bodies) == 3
    assert len(set(platform.bodies)) == 1
    assert platform.stored == gate.chain
    assert outbox.metric("batches_total", result="retried") == 2


async def test_batches_are_full_and_four_fly_at_once(outbox, platform, gate, monkeypatch):
    monkeypatch.setattr("hub.deliver.forward.BATCH_CHECKINS", 10)
    await outbox.put(45)
    platform.free.clear()
    await outbox.forward.step()
    await asyncio.sleep(0.05)
    await outbox.forward.step()
    assert platform.flying == 4
    platform.free.set()
    await outbox.forward.settle()
    await outbox.round()
    assert [len(batch) for batch in platform.batches.values()] == [10] * 4 + [5]
    assert sorted(platform.stored) == sorted(gate.chain)


@pytest.mark.slow
async def test_the_largest_check_ins_fit_the_largest_batch(outbox, platform, gate):
    gate.make(2200, subject=bytes(256), masked=("很" * 32, "1" * 32, "2" * 32), place="p" * 32, gate="g" * 32)
    await outbox.put_rows(tuple(parse_checkin(data) for data in gate.chain), 0)
    await outbox.round()
    assert sum(len(batch) for batch in platform.batches.values()) == 2200
    assert all(len(body) <= 1 << 20 for body in platform.bodies)


async def test_a_refused_batch_is_halved_until_the_bad_one_stands_alone(outbox, platform, gate):
    await outbox.put(9)
    bad = gate.chain[6]
    platform.refuse = lambda batch: 400 if bad in batch.checkins else None
    for _ in range(10):
        await outbox.round()
    assert sorted(platform.stored) == sorted(data for data in gate.chain if data != bad)
    status = await outbox.store.status()
    assert (status.batches_refused, status.outbox_rows) == (1, 1)
    assert outbox.metric("batches_total", result="refused") == 1
    sent = len(platform.bodies)
    await outbox.round(later_ms=3_599_000)
    assert len(platform.bodies) == sent
    platform.refuse = lambda batch: None
    await outbox.round(later_ms=1_000)
    assert platform.stored[-1] == bad


async def test_a_bad_batch_does_not_block_the_next(outbox, platform, gate):
    await outbox.put(1)
    bad = gate.chain[0]
    platform.refuse = lambda batch: 500 if bad in batch.checkins else None
    await outbox.round()
    await outbox.put(1)
    await outbox.round()
    assert platform.stored == gate.chain[1:]


@pytest.mark.slow
async def test_a_batch_that_breaks_the_platform_is_halved_while_others_pass(outbox, platform, gate):
    await outbox.put(4)
    bad = gate.chain[2]
    platform.refuse = lambda batch: 500 if bad in batch.checkins else None
    for _ in range(60):
        await outbox.put(1)
        await outbox.round(later_ms=30_000)
    assert sorted(platform.stored) == sorted(data for data in gate.chain if data != bad)


@pytest.mark.slow
async def test_a_platform_that_is_down_is_asked_rarely_and_gets_full_batches_afterwards(outbox, platform, gate):
    platform.plan = ["down"] * 10_000
    for _ in range(40):
        await outbox.put(1)
        await outbox.round(later_ms=10)
    status = await outbox.store.status()
    assert status.batches_open <= 16
    for _ in range(200):
        await outbox.round(later_ms=1000)
    assert len(platform.bodies) < 400
    platform.plan = []
    for _ in range(40):
        await outbox.round(later_ms=1000)
    assert sorted(platform.stored) == sorted(gate.chain)
    assert max(len(batch) for batch in platform.batches.values()) > 20


async def test_a_wrong_own_signature_is_found_before_it_is_sent(outbox, platform, gate):
    gate.make(1)
    gate.chain[0] = gate.chain[0][:-1] + bytes([gate.chain[0][-1] ^ 1])
    gate.make(2)
    await outbox.put_rows(tuple(parse_checkin(data) for data in gate.chain), 0)
    await outbox.round()
    assert platform.stored == gate.chain[1:]
    listed = await outbox.store.quarantine_list(limit=10)
    assert [(row.seq, row.reason) for row in listed] == [(1, "bad_signature")]
    assert outbox.metric("quarantined_total", reason="bad_signature") == 1


async def test_what_the_platform_rejects_goes_to_quarantine(outbox, platform, gate, reasons):
    platform.reject = lambda batch: [(1, reasons.MALFORMED)]
    await outbox.put(3)
    await outbox.round()
    listed = await outbox.store.quarantine_list(limit=10)
    assert [(row.seq, row.reason) for row in listed] == [(2, "malformed")]
    assert (await outbox.store.status()).outbox_rows == 0


async def test_a_failing_database_is_tried_again(outbox, platform, gate, monkeypatch):
    await outbox.put(1)
    real = outbox.store.mark_receipted
    failures = [StoreWriteError("full")]

    async def mark_receipted(*args, **more):
        if failures:
            raise failures.pop()
        await real(*args, **more)

    monkeypatch.setattr(outbox.store, "mark_receipted", mark_receipted)
    monkeypatch.setattr("hub.deliver.forward._POLL_S", 0)
    await outbox.round()
    await outbox.round()
    assert len(platform.bodies) == 2
    assert platform.stored == gate.chain
    assert (await outbox.store.status()).outbox_rows == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_a_week_of_bad_network(outbox, platform, gate, seed):
    """Every way to fail at random: each check-in is stored once by the platform, none is left."""
    rng = random.Random(seed)
    ways = ["take", "take", "down", "lost answer", (500, b""), (429, b""), (200, b"x"), (400, b"")]
    for _ in range(60):
        if rng.random() < 0.4:
            await outbox.put(rng.randint(1, 30))
        platform.plan = [rng.choice(ways) for _ in range(6)]
        await outbox.round(later_ms=rng.choice((10, 1000, 60_000)))
    platform.plan = []
    for _ in range(30):
        await outbox.round(later_ms=600_000)
    assert sorted(platform.stored) == sorted(gate.chain)
    status = await outbox.store.status()
    assert (status.outbox_rows, status.batches_open, status.batches_refused) == (0, 0, 0)


LIES = {
    "too many": lambda platform, batch_id: platform.receipt(batch_id, 3),
    "too few": lambda platform, batch_id: platform.receipt(batch_id, 1),
    "an index beyond": lambda platform, batch_id: platform.receipt(batch_id, 1, ((2, Reason.MALFORMED),)),
    "another batch": lambda platform, batch_id: platform.receipt(bytes(16), 2),
    "another key": lambda platform, batch_id: platform.receipt(batch_id, 2, key=Ed25519SigningKey(bytes(32))),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_receipt_that_lies_marks_nothing_and_erases_nothing(outbox, platform, gate, lie):
    await outbox.put(2)
    platform.plan = [(200, lie(platform, (1).to_bytes(16, "big")))]
    await outbox.round()
    status = await outbox.store.status()
    assert (status.outbox_rows, status.batches_open, status.quarantined) == (2, 1, 0)
    assert await outbox.store.forget_personal(received_before_ms=2**60, limit_batches=9) == 0
    await outbox.round(later_ms=500)
    assert platform.stored == gate.chain
    assert (await outbox.store.status()).outbox_rows == 0


async def test_the_receipt_of_an_older_batch_does_not_count_for_a_newer_one(outbox, platform, gate):
    await outbox.put(2)
    await outbox.round()
    await outbox.put(2)
    platform.plan = [(200, platform.receipt((1).to_bytes(16, "big"), 2))]
    await outbox.round()
    assert (await outbox.store.status()).outbox_rows == 2


@pytest.mark.slow
async def test_however_many_batches_break_the_platform_good_ones_get_through(outbox, platform, gate, monkeypatch):
    """A hostile gate that knows a check-in on which the platform stumbles must not fill every place there is."""
    monkeypatch.setattr("hub.deliver.forward.BATCH_CHECKINS", 4)
    await outbox.put(120)
    bad = set(gate.chain)
    platform.refuse = lambda batch: 500 if bad & set(batch.checkins) else None
    for _ in range(20):
        await outbox.round(later_ms=30_000)
    await outbox.put(4)
    for _ in range(400):
        await outbox.round(later_ms=30_000)
        if len(platform.stored) == 4:
            break
    assert platform.stored == gate.chain[120:]


async def test_a_batch_names_the_hub(outbox, platform, hub_key):
    await outbox.put(1)
    await outbox.round()
    batch = open_batch(platform.bodies[0], key=hub_key.public)
    assert (batch.hub, batch.batch_id) == (b"hub-hub-", (1).to_bytes(16, "big"))


async def test_a_key_that_the_platform_was_not_told_of_holds_its_check_ins_back_until_it_was(outbox, platform, gate):
    outbox.unannounced = {gate.key.public.kid}
    await outbox.put(2)
    await outbox.forward.step()
    await outbox.forward.settle()
    assert platform.batches == {}
    outbox.unannounced = set()
    await outbox.forward.step()
    await outbox.forward.settle()
    assert len(platform.batches) == 1


async def test_a_check_in_never_overtakes_the_word_of_its_key_however_long_the_platform_is_away(outbox, platform, gate):
    outbox.unannounced = {gate.key.public.kid}
    await outbox.put(2)
    await outbox.round()
    await outbox.round(later_ms=3_600_000)
    assert platform.batches == {}, "it would be rejected for good"
    outbox.unannounced = set()
    await outbox.round()
    assert platform.stored == gate.chain


async def test_a_row_by_a_key_that_cannot_be_used_is_not_waited_for(outbox, platform, gate, make_gate):
    stranger = make_gate("stranger")
    outbox.unannounced = {stranger.key.public.kid}
    await outbox.put(1)
    own, gate.key = gate.key, stranger.key
    await outbox.put(1)
    gate.key = own
    await outbox.put(1)
    await outbox.round()
    assert platform.stored == [gate.chain[0], gate.chain[2]]
    assert outbox.metric("quarantined_total", reason="unknown_key") == 1


DAY_MS = 86_400_000


async def test_a_clock_that_was_a_day_ahead_does_not_hold_batches_back_for_that_day(outbox, platform, gate):
    await outbox.put(1)
    platform.plan = ["down"]
    await outbox.round(later_ms=DAY_MS)
    assert platform.stored == []
    await outbox.round(later_ms=-DAY_MS)
    assert platform.stored == gate.chain


async def test_nor_does_it_park_the_next_one_at_the_first_trouble(outbox, platform, gate):
    """What passed in a future that was none does not count as lately."""
    await outbox.put(1)
    await outbox.round(later_ms=DAY_MS)
    platform.refuse = lambda batch: 500
    await outbox.put(1)
    await outbox.round(later_ms=-DAY_MS)
    for _ in range(20):
        await outbox.round(later_ms=30_000)
    assert (await outbox.store.status()).batches_refused == 0
    platform.refuse = lambda batch: None
    await outbox.round(later_ms=30_000)
    assert platform.stored == gate.chain


async def test_while_nothing_may_go_one_row_is_read_and_not_a_thousand(outbox, gate, monkeypatch):
    """It looks after each commit, and a platform may be away for days."""
    outbox.unannounced = {gate.key.public.kid}
    await outbox.put(30)
    read = []
    unbatched = outbox.store.unbatched

    async def counted(**limits):
        rows = await unbatched(**limits)
        read.extend(rows)
        return rows

    monkeypatch.setattr(outbox.store, "unbatched", counted)
    await outbox.round()
    assert len(read) == 1
