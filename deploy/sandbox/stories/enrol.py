"""A gate as from the box is shown one code: how long until it admits its first person?"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import Outcome, Story, StoryError, hub_command, person, shown, take_away, wrong

WITHIN_MS = 60_000.0
STEP_S = 40.0
POLL_S = 0.3


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """Code, camera, fingerprint, approval, first person; nothing typed at the gate."""
    outcome = Outcome()
    gate = site.blanks[0]
    code = (await hub_command(site, "enrol", "--print", "--place", gate.plan.place, "--minutes", "10")).strip()
    mark, began_s = gate.mark(), time.monotonic()
    await gate.show([code.splitlines()[-1]])
    say("向闸机出示入网码。 The provisioning code is held before the camera.")
    said = await gate.event("fingerprint", timeout_s=STEP_S, after=mark)
    if said is None:
        raise StoryError("the gate did not ask to be enrolled")
    asked_s = time.monotonic()
    waiting = await _waiting(site)
    if waiting["words"] != said["words"]:
        outcome.failures.append(f"the gate says {said['words']}, the hub {waiting['words']}")
    say(f"指纹一致: {said['words']}  {said['characters']} — the same four words at gate and hub")
    await hub_command(site, "enrol", "approve", waiting["id"], "--words", waiting["words"])
    approved_s = time.monotonic()
    await take_away(gate)
    if await gate.event("ready", timeout_s=STEP_S, after=mark) is None:
        raise StoryError("the gate did not come up")
    fault = wrong(await shown(site, gate, person(12_001)), verdict="admit", reason="ok")
    if fault is not None:
        outcome.failures.append(f"the first person: {fault}")
    whole_ms = (time.monotonic() - began_s) * 1000
    outcome.figures["asked_after_ms"] = round((asked_s - began_s) * 1000)
    outcome.figures["approved_after_ms"] = round((approved_s - began_s) * 1000)
    outcome.spread("first_person_after", [whole_ms], target_ms=WITHIN_MS)
    return outcome


async def _waiting(site: Site) -> dict[str, Any]:
    async with asyncio.timeout(STEP_S):
        while True:
            found = json.loads(await hub_command(site, "enrol", "list", "--json"))
            waiting = [entry for entry in found if entry["state"] == "waiting"]
            if waiting:
                return dict(waiting[0])
            await asyncio.sleep(POLL_S)


STORY = Story(about="a gate as from the box is enrolled by a code before its camera", gates=1, blank=1, tell=tell)
