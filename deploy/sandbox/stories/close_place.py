"""The responsible person's colour turned, so the platform closes a place, and opens it again when that is lifted."""

from collections.abc import Callable
from typing import Any

from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import Outcome, Story, control, in_force, marks, person, shown, wrong


async def tell(site: Site, say: Callable[[str], None]) -> Outcome:
    """Green passes; the place closes and everybody sees grey; it opens and green passes again."""
    outcome = Outcome()
    place = site.gates[0].plan.place
    gates = [gate for gate in site.gates if gate.plan.place == place]
    elsewhere = [gate for gate in site.gates if gate.plan.place != place]
    times_ms: list[float] = []
    for closed in (True, False):
        since = marks(gates)
        wish = {"place": place, "closed": closed, "why": "负责人健康码转红 the responsible person is red"}
        ordered_ms = (await control(site, "places", wish))["at_ms"]
        times = await in_force(gates, "policy", since=since, fits=_says(closed=closed))
        times_ms += [at_ms - ordered_ms for at_ms in times]
        owed = ("hold", "place_closed") if closed else ("admit", "ok")
        say(f"{place}: {'已关闭 closed' if closed else '已重开 open again'}")
        for number, gate in enumerate([*gates, *elsewhere]):
            verdict, reason = owed if gate in gates else ("admit", "ok")
            fault = wrong(await shown(site, gate, person(9_001 + number)), verdict=verdict, reason=reason)
            if fault is not None:
                outcome.failures.append(f"{gate.plan.gate}: {fault}")
    outcome.spread("in_force_after", times_ms)
    return outcome


def _says(*, closed: bool) -> Callable[[dict[str, Any]], bool]:
    return lambda fields: fields.get("closed") is closed


STORY = Story(about="the platform closes a place and opens it again; its gates say so in grey", gates=5, tell=tell)
