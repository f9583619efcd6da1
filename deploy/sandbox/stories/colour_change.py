"""A card holder's colour turns red at the platform: how long until each gate refuses the card?"""

import asyncio
from collections.abc import Callable

from deploy.sandbox.people import Showing
from deploy.sandbox.phone import Phones
from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import Outcome, Story, control, in_force, marks, person, shown_texts, wrong

HOLDER = 7_001
# People whose colours turn while nobody looks, so that the times are those of more than one change.
ROUNDS = 20


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """Green at one gate, red at the platform, refused at all gates."""
    outcome = Outcome()
    holder = person(HOLDER, showing=Showing.CARD)
    texts = await Phones(site.session, url=site.layout.pages_url).texts(holder)
    fault = wrong(await shown_texts(site.gates[0], texts), verdict="admit", reason="ok")
    if fault is not None:
        outcome.failures.append(f"the card before: {fault}")
    say("持卡人为绿码，通行。 The card holder is green and passes.")
    times_ms: list[float] = []
    for number in range(ROUNDS):
        times_ms += await _change(site, HOLDER + 2 * number)
    outcome.spread("refuses_after", times_ms)
    say(f"平台转红，{len(site.gates)} 个闸机全部更新。 Turned red at the platform; every gate has it.")
    scans = await asyncio.gather(*(shown_texts(gate, texts) for gate in site.gates))
    faults = [wrong(scan, verdict="refuse", reason="colour_red") for scan in scans]
    outcome.figures["gates_that_refuse"] = faults.count(None)
    outcome.failures += [
        f"{gate.plan.gate}: {fault}" for gate, fault in zip(site.gates, faults, strict=True) if fault is not None
    ]
    return outcome


async def _change(site: Site, number: int) -> list[float]:
    """One person turns red; the ms from the platform's signature until each gate decides by it."""
    since = marks(site.gates)
    signed_ms = (await control(site, "colours", {"people": [number], "colour": "red"}))["at_ms"]
    times = await in_force(site.gates, "status", since=since, fits=lambda _fields: True)
    return [at_ms - signed_ms for at_ms in times]


STORY = Story(
    about="a card holder turns red at the platform; the time until each gate refuses",
    gates=50,
    frames_per_s=2.0,
    tell=tell,
)
