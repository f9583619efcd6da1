"""People at the gates while something breaks, and what the lights told them."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from deploy.sandbox.crowd import Crowd, Passage
from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.people import Person, Showing, crowd_of
from deploy.sandbox.phone import Phones
from deploy.sandbox.site import Site
from protocol.terms import Colour

_AT_A_TIME = 2
_POPULATION = 400
_RATE_PER_MIN = 75.0
_AFTERWARDS = 2


@dataclass(slots=True, kw_only=True)
class Meetings:
    """What happened between people and gates in one round.

    Attributes:
        greens, reds: answers of that colour, to whomever.
        wrongly_red: sentences about people whose own colour was not red.
    """

    people: int = 0
    greens: int = 0
    reds: int = 0
    greys: int = 0
    wrongly_red: list[str] = field(default_factory=list)

    def passed(self, passage: Passage) -> None:
        """One person is done."""
        self.people += 1
        scan, person = passage.scan, passage.person
        if scan is None:
            return
        self.greens += scan.colour == Colour.GREEN.wire_name
        self.reds += scan.colour == Colour.RED.wire_name
        self.greys += scan.colour == Colour.GREY.wire_name
        if scan.colour == Colour.RED.wire_name and person.expected.colour is not Colour.RED:
            self.wrongly_red.append(f"person {person.number} ({person.showing}) was shown red: {scan.reason}")


class Stream:
    """People come to every gate, each in a queue of its own, until `end`; then a few more, who are green.

    Args:
        site: started.
        seed: who comes.
        meetings: what happens to them is counted here.
    """

    def __init__(self, site: Site, *, seed: int, meetings: Meetings) -> None:
        self._site = site
        self._seed = seed
        self._meetings = meetings
        self._over = asyncio.Event()
        self._queues: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """The first ones come."""
        self._queues = [asyncio.create_task(self._queue(gate, number)) for number, gate in enumerate(self._site.gates)]

    async def end(self) -> None:
        """Nobody comes any more but the last ones; returns when all have had their answer."""
        self._over.set()
        await asyncio.gather(*self._queues)

    def cancel(self) -> None:
        """Sends everybody home."""
        for queue in self._queues:
            queue.cancel()

    async def _queue(self, gate: SandboxGate, number: int) -> None:
        people = self._people(number)
        while not self._over.is_set():
            await self._pass(gate, [next(people) for _ in range(_AT_A_TIME)])
        # Whatever waits behind a gap, or for a restored hub to notice one, comes with the next check-in.
        await self._pass(gate, [_green(self._seed % 1000 + turn) for turn in range(_AFTERWARDS)])

    async def _pass(self, gate: SandboxGate, people: list[Person]) -> None:
        crowd = Crowd(
            lanes=[gate],
            people=people,
            wallets=Phones(self._site.session, url=self._site.layout.pages_url),
            rate_per_min=_RATE_PER_MIN,
            on_passed=self._meetings.passed,
            count=self._site.count,
        )
        await crowd.run()

    def _people(self, number: int) -> Iterator[Person]:
        while True:
            yield from crowd_of(_POPULATION, seed=self._seed)[number :: len(self._site.gates)]


def _green(number: int) -> Person:
    return Person(number=number, name="王伟", colour=Colour.GREEN, showing=Showing.LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lit:
    """How often, in the whole life of a gate, its light turned to a colour and its relay opened: the parts' own word,
    written down by the call that switches them, whatever the process says or does not say afterwards.
    """

    red: int
    opened: int


def lit(path: Path) -> Lit:
    """A file of lights -> how often."""
    changes = [json.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]

    def times(part: str, wanted: Callable[[str], bool]) -> int:
        names = (change["name"] for change in changes if change["part"] == part)
        return sum(wanted(name) for name, _ in groupby(names))

    return Lit(red=times("lights", "red".__eq__), opened=times("gate", "open".__eq__))
