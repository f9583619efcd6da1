"""What stories are made of: a site, what is asked of it, and what was seen."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.sandbox.crowd import CAMERA_RETRY_S, GONE_S, Scan
from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.people import Person, Showing
from deploy.sandbox.phone import Phones
from deploy.sandbox.readings import run_command
from deploy.sandbox.site import Site
from protocol.terms import Colour

ANSWER_S = 10.0
IN_FORCE_S = 30.0
CAMERA_S = 10.0
TARGET_MS = 1_000.0


class StoryError(Exception):
    """The story did not go as it must, and where."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was seen. `failures` is empty when all was as it must be."""

    figures: dict[str, float | str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything was as it must be."""
        return not self.failures

    def spread(self, name: str, times_ms: Sequence[float], *, target_ms: float | None = TARGET_MS) -> None:
        """Enter times: how many, median, 99th percentile, longest; over the target is a failure."""
        ordered = sorted(times_ms)
        p99 = _quantile(ordered, 0.99)
        self.figures[f"{name}_n"] = len(ordered)
        self.figures[f"{name}_p50_ms"] = round(_quantile(ordered, 0.5), 1)
        self.figures[f"{name}_p99_ms"] = round(p99, 1)
        self.figures[f"{name}_max_ms"] = round(ordered[-1], 1)
        if target_ms is not None and p99 >= target_ms:
            self.failures.append(f"{name}: p99 {p99:.0f} ms, the target is below {target_ms:.0f} ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One story.

    Attributes:
        about: what happens, for `--help`.
        gates: how many it has unless it is told otherwise.
        blank: how many gates more are as from the box.
        frames_per_s: of each gate's camera; many gates on few cores look less often.
        releases: whether its gates take releases.
        tell: makes it happen; says what it does on the way.
    """

    about: str
    gates: int
    tell: Callable[[Site, Callable[[str], None]], Awaitable[Outcome]]
    blank: int = 0
    frames_per_s: float = 20.0
    releases: bool = False

    def site(self, folder: Path, *, gates: int | None = None) -> Site:
        """A site for it, with so many gates or its own number."""
        return Site(
            folder,
            gates=gates or self.gates,
            blank=self.blank,
            frames_per_s=self.frames_per_s,
            releases=self.releases,
        )


async def hub_command(site: Site, *arguments: str) -> str:
    """One of the hub operator's commands; its output.

    Raises:
        readings.ReadingError: it failed.
    """
    command = [sys.executable, "-m", "hub.cli", *arguments, "--config", str(site.layout.hub_config)]
    return await run_command(command)


async def control(site: Site, what: str, wish: dict[str, Any]) -> dict[str, Any]:
    """Make something happen at the platform.

    Raises:
        StoryError: it refused.
    """
    async with site.session.post(f"{site.layout.pages_url}/sandbox/{what}", json=wish) as answer:
        body: dict[str, Any] = await answer.json()
        if answer.status != 200:
            raise StoryError(f"the platform refused {what}: {body}")
        return body


def person(number: int, *, showing: Showing = Showing.LIVE, colour: Colour = Colour.GREEN) -> Person:
    """Somebody for a story."""
    return Person(number=number, name="王伟", colour=colour, showing=showing)


async def shown(site: Site, gate: SandboxGate, who: Person) -> Scan:
    """This person's answer at this gate.

    Raises:
        StoryError: there was none.
    """
    texts = await Phones(site.session, url=site.layout.pages_url).texts(who)
    return await shown_texts(gate, texts)


async def shown_texts(gate: SandboxGate, texts: Sequence[str]) -> Scan:
    """The answer to these texts at this gate.

    Raises:
        StoryError: there was none.
    """
    gate.forget_answers()
    await _held_up(gate, texts)
    scan = await gate.answer(timeout_s=ANSWER_S)
    await take_away(gate)
    await asyncio.sleep(GONE_S)
    if scan is None:
        raise StoryError(f"{gate.plan.gate} gave no answer")
    return scan


async def take_away(gate: SandboxGate) -> None:
    """Nothing is held before the camera any more; a gate that has just started again sees nothing anyway."""
    with contextlib.suppress(OSError):
        await gate.clear()


async def _held_up(gate: SandboxGate, texts: Sequence[str]) -> None:
    """A gate that has just started again has a new camera."""
    async with asyncio.timeout(CAMERA_S):
        while True:
            try:
                await gate.show(texts)
            except OSError:
                await asyncio.sleep(CAMERA_RETRY_S)
            else:
                return


async def in_force(
    gates: Sequence[SandboxGate], what: str, *, since: dict[str, int], fits: Callable[[dict[str, Any]], bool]
) -> list[int]:
    """The ms since 1970 at which each gate took it into force.

    Args:
        gates: who must.
        what: `policy`, `status` or `trust`.
        since: a mark of each gate, by its name, set before it was sent.
        fits: which event it is.

    Raises:
        StoryError: a gate did not.
    """

    async def one(gate: SandboxGate) -> int:
        event = await gate.event(
            "in_force",
            timeout_s=IN_FORCE_S,
            after=since[gate.plan.gate],
            fits=lambda fields: fields.get("what") == what and fits(fields),
        )
        if event is None:
            raise StoryError(f"{gate.plan.gate}: the {what} was not in force within {IN_FORCE_S:.0f} s")
        return int(event["at_ms"])

    return list(await asyncio.gather(*(one(gate) for gate in gates)))


def marks(gates: Sequence[SandboxGate]) -> dict[str, int]:
    """A mark of each gate, by its name."""
    return {gate.plan.gate: gate.mark() for gate in gates}


def wrong(scan: Scan, *, verdict: str, reason: str) -> str | None:
    """What is wrong with an answer; None when it is the one that is owed."""
    if (scan.verdict, scan.reason) == (verdict, reason):
        return None
    return f"{scan.colour}/{scan.verdict}/{scan.reason} instead of {verdict}/{reason}"


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
