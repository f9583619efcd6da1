"""The operator changes a place's policy, and takes the change back: how long until each of its gates follows?"""

import json
import time
from collections.abc import Callable

from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import Outcome, Story, hub_command, in_force, marks, person, shown, wrong
from protocol.terms import Colour

WAITING = person(8_001, colour=Colour.YELLOW)


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """Yellow is held; by the new policy it is refused; by the old one again it is held."""
    outcome = Outcome()
    place = site.gates[0].plan.place
    gates = [gate for gate in site.gates if gate.plan.place == place]
    await hub_command(site, "policy", "set", "--place", place, "--yellow", "hold")
    before = json.loads(await hub_command(site, "policy", "show", "--place", place, "--json"))
    await _expect(outcome, site, gates, verdict="hold")
    times_ms = await _change(site, gates, "policy", "set", "--place", place, "--yellow", "refuse")
    say("新策略已在所有闸机生效。 The new policy is in force at every gate of the place.")
    await _expect(outcome, site, gates, verdict="refuse")
    times_ms += await _change(site, gates, "policy", "revert", "--place", place, "--to", str(before["version"]))
    say("已恢复旧策略。 The old policy is in force again.")
    await _expect(outcome, site, gates, verdict="hold")
    outcome.spread("in_force_after", times_ms)
    return outcome


async def _change(site: Site, gates: list[SandboxGate], *command: str) -> list[float]:
    """The ms from the end of the operator's command until each gate follows; before it ended counts as 0."""
    since = marks(gates)
    await hub_command(site, *command)
    done_ms = time.time_ns() / 1_000_000
    times = await in_force(gates, "policy", since=since, fits=lambda _fields: True)
    return [max(0.0, at_ms - done_ms) for at_ms in times]


async def _expect(outcome: Outcome, site: Site, gates: list[SandboxGate], *, verdict: str) -> None:
    for gate in gates:
        fault = wrong(await shown(site, gate, WAITING), verdict=verdict, reason="colour_yellow")
        if fault is not None:
            outcome.failures.append(f"{gate.plan.gate}: {fault}")


STORY = Story(about="a place's policy is changed and reverted; the time until its gates follow", gates=3, tell=tell)
