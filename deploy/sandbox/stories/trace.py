"""A case walks through a place: the platform asks the hub who was there, and finds these and nobody else."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import Outcome, Story, StoryError, control, person, shown, wrong

CASE, BEFORE, ELSEWHERE, FIRST, SECOND, AFTER = range(8_101, 8_107)
STAY_S = 4.0
AROUND_S = 1.0
APART_S = STAY_S + 2 * AROUND_S + 1.0
ANSWER_S = 20.0
TARGET_MS = 5_000.0


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """Somebody comes and goes; two meet the case, one is elsewhere, one comes when the case is gone."""
    outcome = Outcome()
    place = site.gates[0].plan.place
    here = [gate for gate in site.gates if gate.plan.place == place]
    elsewhere = next(gate for gate in site.gates if gate.plan.place != place)
    first, second = here[0], here[1]
    for gate, number, wait_s in (
        (first, BEFORE, APART_S),
        (first, FIRST, 0.0),
        (second, CASE, 0.0),
        (elsewhere, ELSEWHERE, 0.0),
        (second, SECOND, APART_S),
        (first, AFTER, 0.0),
    ):
        fault = wrong(await shown(site, gate, person(number)), verdict="admit", reason="ok")
        if fault is not None:
            outcome.failures.append(f"{gate.plan.gate}: {fault}")
        await asyncio.sleep(wait_s)
    await site.wait_settled(timeout_s=60)
    say(f"病例到过 {place}，平台发出签名查询。 The case was at {place}; the platform asks, signed.")
    begun_s = time.monotonic()
    wish = {"person": CASE, "why": "2022-CQ-0417", "around_s": AROUND_S, "stay_s": STAY_S}
    asked = (await control(site, "trace", wish))["traces"]
    found = await _answered(site, asked)
    outcome.spread("answered_after", [(time.monotonic() - begun_s) * 1000], target_ms=TARGET_MS)
    met = {visit["person"] for one in found for visit in one["contacts"]}
    outcome.figures["queries"] = len(asked)
    outcome.figures["check_ins_told"] = sum(one["rows"] for one in found)
    outcome.figures["contacts"] = len(met)
    if met != {FIRST, SECOND}:
        outcome.failures.append(f"contacts are {sorted(met)} instead of {[FIRST, SECOND]}")
    if any(one["unproven"] or one["missing"] for one in found):
        outcome.failures.append(f"not everything that was told is proven: {found}")
    say(f"同场 {len(met)} 人，每条记录都由闸机签名证实。 {len(met)} met the case; each row is proven by its gate.")
    return outcome


async def _answered(site: Site, asked: list[str]) -> list[dict[str, Any]]:
    """What came of the queries.

    Raises:
        StoryError: nothing did.
    """
    deadline_s = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline_s:
        async with site.session.get(f"{site.layout.pages_url}/sandbox/traces") as answer:
            traces = [one for one in (await answer.json())["traces"] if one["id"] in asked]
        if traces and all(one["state"] == "answered" for one in traces):
            return traces
        await asyncio.sleep(0.1)
    raise StoryError(f"no answer to {len(asked)} queries within {ANSWER_S:.0f} s: {traces}")


STORY = Story(about="the platform traces a case: who was at the same place at the same time", gates=5, tell=tell)
