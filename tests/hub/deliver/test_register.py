from hub.deliver.register import Register
from hub.model import AuditEntry
from hub.store.sqlite import register


async def personal(outbox):
    rows = [row async for row in outbox.store.export(place_id=None, from_ms=0, to_ms=2**60, personal=True)]
    return [row.subject is not None for row in rows]


async def test_what_somebody_deletes_goes_when_the_platform_has_it(outbox, platform, monkeypatch):
    monkeypatch.setattr(register, "SPAN_ROWS", 2)
    platform.plan = ["down"]
    await outbox.put(5)
    (row, *_) = [row async for row in outbox.store.export(place_id=None, from_ms=0, to_ms=2**60, personal=False)]
    await outbox.store.add_erasure(
        place_id=row.place_id,
        from_ms=0,
        to_ms=2**60,
        why="asked for",
        who="li",
        asked_ms=outbox.now_ms,
        audit=AuditEntry(at_ms=outbox.now_ms, who="li", action="register.delete", detail=""),
    )
    keeper = Register(store=outbox.store, health=outbox.health, now_ms=lambda: outbox.now_ms)
    await outbox.round()
    await keeper.step(pause_s=0)
    assert await personal(outbox) == [True] * 5
    await outbox.round(later_ms=3_600_000)
    await keeper.step(pause_s=0)
    assert await personal(outbox) == [False] * 5
    (ended,) = await outbox.store.erasures(row.place_id, limit=1)
    assert ended.erased == 5
