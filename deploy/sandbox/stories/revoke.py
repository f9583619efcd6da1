"""A device is revoked while its connection is open: how long until it is cut off, and can it come back?"""

import asyncio
import json
import time
from collections.abc import Callable

from deploy.sandbox.readings import get_json
from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import Outcome, Story, hub_command, person, shown

WITHIN_MS = 60_000.0
# What the revoked device still makes has this long to get through, if it could.
LEAK_S = 5.0


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """Two gates; the first is revoked. It is cut off, and nothing that it makes is stored any more."""
    outcome = Outcome()
    stolen, honest = site.gates[0], site.gates[1]
    await shown(site, stolen, person(10_001))
    await shown(site, honest, person(10_002))
    if not await site.wait_settled(timeout_s=30):
        outcome.failures.append("the check-ins before did not arrive")
    before = await _stored(site, stolen.plan.device_id.hex())
    mark = stolen.mark()
    began_ms = time.time_ns() / 1_000_000
    await hub_command(site, "device", "revoke", "--id", stolen.plan.device_id.hex(), "--reason", "stolen")
    cut = await stolen.event("link_down", timeout_s=WITHIN_MS / 1000, after=mark)
    if cut is None:
        outcome.failures.append("its open connection lives on")
    else:
        outcome.spread("cut_off_after", [int(cut["at_ms"]) - began_ms], target_ms=WITHIN_MS)
    say("设备已吊销，连接已断开。 Revoked; its open connection is cut.")
    await shown(site, stolen, person(10_003))
    await shown(site, honest, person(10_004))
    await asyncio.sleep(LEAK_S)
    leaked = await _stored(site, stolen.plan.device_id.hex()) - before
    outcome.figures["stored_after"] = leaked
    if leaked:
        outcome.failures.append(f"{leaked} check-ins of the revoked device were stored")
    if await _stored(site, honest.plan.device_id.hex()) != 2:
        outcome.failures.append("the other gate was disturbed")
    audit = json.loads(await hub_command(site, "audit", "--json"))
    if not any(entry["action"] == "device.revoked" for entry in audit):
        outcome.failures.append("the audit log does not show it")
    return outcome


async def _stored(site: Site, device: str) -> int:
    summary = await get_json(site.session, f"{site.layout.pages_url}/v1/summary")
    return sum(chain["count"] for chain in summary["chains"] if chain["device"] == device)


STORY = Story(about="a device with an open connection is revoked and cut off", gates=2, tell=tell)
