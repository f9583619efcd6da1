"""A gate is wiped from afar: it proves what it leaves behind, and is then as from the box."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from deploy.sandbox.site import Site
from deploy.sandbox.stories import enrol
from deploy.sandbox.stories.story import Outcome, Story, hub_command, person, shown

PEOPLE = 5
GONE_S = 30.0


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """A gate is enrolled, people pass, everything arrives, it is wiped; its proof names the last of its check-ins."""
    outcome = await enrol.tell(site, say)
    gate = site.blanks[0]
    for number in range(PEOPLE):
        await shown(site, gate, person(11_001 + number))
    device = await _device_at(site, gate.plan.gate)
    if not await site.wait_settled(timeout_s=30):
        outcome.failures.append("the check-ins before did not arrive")
    mark = gate.mark()
    await hub_command(site, "command", "send", "--device", device, "wipe", "--wait", "20")
    # The hub keeps a proof only if the device's key signed it.
    answer = json.loads(await hub_command(site, "command", "list", "--json"))[0]
    outcome.figures["result"] = f"{answer['state']} {answer['detail']}"
    said = str(answer["detail"])
    # The first person came with the story of the enrolment.
    ends_right = f"newest {PEOPLE + 1}," in said and said.endswith("unsent 0")
    if answer["state"] != "done" or not answer["proof"] or not ends_right:
        outcome.failures.append(f"the wipe was not proved: {answer}")
    if await gate.event("unenrolled", timeout_s=GONE_S, after=mark) is None:
        outcome.failures.append("the gate did not come up as from the box")
    say("已擦除并证明。 Wiped, and proved.")
    state = gate.plan.config.parent / "state"
    left = sorted(str(path.relative_to(state)) for path in await asyncio.to_thread(_files, state))
    outcome.figures["files_left"] = len(left)
    if left:
        outcome.failures.append(f"left behind: {', '.join(left)}")
    return outcome


async def _device_at(site: Site, gate: str) -> str:
    """The id of the device that stands at this gate."""
    devices = json.loads(await hub_command(site, "device", "list", "--json"))
    return str(next(entry["id"] for entry in devices if entry["gate"] == gate))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


STORY = Story(about="a gate is wiped from afar, with a proof, and is then as from the box", gates=1, blank=1, tell=tell)
