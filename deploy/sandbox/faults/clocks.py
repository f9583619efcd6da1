"""Wall clocks that jump by a day, while the process runs, and back."""

import asyncio
import time

from deploy.sandbox.faults.arena import Arena, NotEffectiveError, reading
from deploy.sandbox.faults.clock import DAY_S
from deploy.sandbox.faults.plan import Blow

_FAR_MS = DAY_S * 1000 // 2


async def jump(arena: Arena, blow: Blow) -> str:
    """A day ahead or back; then right again. With the platform away, the hub puts off by a wrong clock sending."""
    name = blow.parts[0]
    clock = arena.ground.clocks[name]
    mark = arena.gate(name).mark() if arena.is_gate(name) else _newest_row(arena)
    away = arena.part("platform") if blow.how.endswith("away") else None
    if away is not None:
        await away.hold()
    clock.jump(DAY_S if blow.how.startswith("a day ahead") else -DAY_S)
    try:
        await asyncio.sleep(blow.hold_s)
    finally:
        clock.jump(0)
        if away is not None:
            away.release()
    off = await _off(arena, name, after=mark)
    if not off:
        raise NotEffectiveError("nothing was dated by the clock that had jumped")
    return f"{off} times said while it was wrong"


async def _off(arena: Arena, name: str, *, after: int) -> int:
    """How much of what was said since the jump bears a time half a day off or more."""
    now_ms = time.time_ns() // 1_000_000
    if arena.is_gate(name):
        times = arena.gate(name).times_since(after)
    else:
        with reading(arena.hub_database) as db:
            times = [at for (at,) in db.execute("SELECT received_ms FROM checkin WHERE id > ?", (after,))]
    return sum(abs(at_ms - now_ms) > _FAR_MS for at_ms in times)


def _newest_row(arena: Arena) -> int:
    with reading(arena.hub_database) as db:
        return int(db.execute("SELECT coalesce(max(id), 0) FROM checkin").fetchone()[0])
