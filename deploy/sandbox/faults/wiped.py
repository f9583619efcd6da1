"""A broker that has forgotten everything, who may do what included."""

import asyncio
import json

from deploy.sandbox.broker import SECURITY_FILE
from deploy.sandbox.faults.arena import Arena, NotEffectiveError
from deploy.sandbox.faults.plan import Blow
from hub.broker.access import initial_security


async def wipe(arena: Arena, blow: Blow) -> str:
    """Dead, its only file back as it was delivered, started again."""
    path = arena.homes["broker"] / SECURITY_FILE
    broker = arena.part("broker")
    await broker.hold()
    knew = _clients(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(initial_security()), encoding="ascii")
    knows = _clients(initial_security())
    await asyncio.sleep(blow.hold_s)
    broker.release()
    if knew <= knows:
        raise NotEffectiveError("the broker knew nobody before")
    return f"it knew {knew} clients, and then {knows}"


def _clients(security: dict[str, list[object]]) -> int:
    return len(security["clients"])
