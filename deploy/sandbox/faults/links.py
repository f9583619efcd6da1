"""Links that are cut, one way or both, known to the kernel or not; and links that lose, delay, double and reorder."""

import asyncio
import re

from deploy.sandbox.faults.arena import Arena, NotEffectiveError
from deploy.sandbox.faults.plan import Blow
from deploy.sandbox.faults.wire import Direction, Weather


async def cut(arena: Arena, blow: Blow) -> str:
    """Nothing passes. Unplugged, the part's own kernel knows; otherwise nobody is told."""
    name = blow.parts[0]
    ground = arena.ground
    port = ground.ports[name]
    directions = {way.value: way for way in Direction}
    traffic = ground.wire.disturb(port, Weather(loss=1.0, direction=directions.get(blow.how, Direction.BOTH)))
    pulled = blow.how == "unplugged"
    try:
        if pulled:
            ground.link(name, up=False)
            if ground.link_is_up(name):
                raise NotEffectiveError("the link is still up")
        if blow.how == "and killed meanwhile":
            # The other side is left with a connection to nobody.
            arena.part(name).kill()
        await asyncio.sleep(blow.hold_s)
    finally:
        if pulled:
            ground.link(name, up=True)
        ground.wire.calm(port)
    if not traffic.dropped and not pulled:
        raise NotEffectiveError("no frame was dropped")
    return f"{traffic.dropped} frames dropped"


async def poor(arena: Arena, blow: Blow) -> str:
    """Frames are lost, late, doubled and overtaken."""
    lost, late_ms, doubled = (int(number) for number in re.findall(r"\d+", blow.how))
    port = arena.ground.ports[blow.parts[0]]
    weather = Weather(loss=lost / 100, delay_ms=late_ms, doubled=doubled / 100)
    traffic = arena.ground.wire.disturb(port, weather)
    try:
        await asyncio.sleep(blow.hold_s)
    finally:
        arena.ground.wire.calm(port)
    if not traffic.dropped or not traffic.delayed:
        raise NotEffectiveError("no frame was dropped or delayed")
    return (
        f"of {traffic.passed + traffic.dropped} frames {traffic.dropped} dropped, {traffic.delayed} late,"
        f" {traffic.overtaken} overtaken, {traffic.doubled} doubled"
    )
