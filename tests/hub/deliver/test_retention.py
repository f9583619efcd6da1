import pytest

from hub.deliver.retention import Retention

HOUR_MS = 3_600_000


async def personal(outbox):
    rows = [row async for row in outbox.store.export(place_id=None, from_ms=0, to_ms=2**60, personal=True)]
    return [row.subject is not None for row in rows]


@pytest.fixture
def retention(outbox):
    return Retention(
        store=outbox.store,
        personal_h=24,
        quarantine_h=48,
        health=outbox.health,
        metrics=outbox.metrics,
        now_ms=lambda: outbox.now_ms,
    )


async def test_personal_fields_go_when_their_time_is_over(outbox, retention):
    await outbox.put(2)
    await outbox.round(later_ms=HOUR_MS)
    outbox.now_ms += 22 * HOUR_MS
    await retention.step()
    assert await personal(outbox) == [True, True]
    outbox.now_ms += HOUR_MS + 1
    await retention.step()
    assert await personal(outbox) == [False, False]
    assert outbox.metric("forgotten_total") == 1


async def test_without_a_receipt_nothing_is_forgotten(outbox, platform, retention):
    platform.plan = ["down"] * 99
    await outbox.put(1)
    await outbox.round()
    outbox.now_ms += 1000 * HOUR_MS
    await retention.step()
    assert await personal(outbox) == [True]


async def test_evidence_stays_longer(outbox, platform, retention, reasons):
    platform.reject = lambda batch: [(0, reasons.MALFORMED)]
    await outbox.put(1)
    await outbox.round()
    outbox.now_ms += 47 * HOUR_MS
    await retention.step()
    assert (await outbox.store.quarantine_list(limit=1))[0].data is not None
    outbox.now_ms += 2 * HOUR_MS
    await retention.step()
    assert (await outbox.store.quarantine_list(limit=1))[0].data is None
