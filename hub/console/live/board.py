"""Counts and newest rows -> today's figures of every gate, and what has changed since when. Pure.

The board is loaded from the counts of one moment, and each row stored after it is added as the counts add it, so that
figures on a wall are those of the database. A number, the tick, grows with each addition: a stream tells what changed
after the tick that it told last, however many check-ins that were.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from hub.deliver.aggregate import timed
from hub.deliver.occupancy import Day
from hub.store.live_ports import CountsNow, LiveRow
from protocol.terms import Colour, Direction, Verdict

LIGHTS: Final = 6
"""Of each gate: what fits beside it on a wall, and what somebody has missed who looked away."""
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Light:
    """One check-in as a wall shows it."""

    tick: int
    row_id: int
    at_ms: int
    colour: Colour
    verdict: Verdict
    direction: Direction
    masked: tuple[str, ...] | None


@dataclass(slots=True)
class GateNow:
    """Today's figures of one gate."""

    tick: int = 0
    entries: int = 0
    exits: int = 0
    """Admitted ones."""
    colours: list[int] = field(default_factory=lambda: [0] * len(Colour))
    lights: deque[Light] = field(default_factory=lambda: deque(maxlen=LIGHTS))


@dataclass(slots=True)
class PlaceNow:
    """Today's figures of one place."""

    tick: int = 0
    gates: dict[str, GateNow] = field(default_factory=dict)
    hours: dict[int, int] = field(default_factory=dict)
    """Entries by hour since 1970."""
    untimed: int = 0

    @property
    def day(self) -> Day:
        """Entries and exits so far."""
        return Day(
            entries=sum(gate.entries for gate in self.gates.values()),
            exits=sum(gate.exits for gate in self.gates.values()),
        )


class Board:
    """All places.

    Args:
        counts: everything counted since the earliest day's begin.
        day_hour: at which hour since 1970 a place's day began.
        tick: where to begin: behind that of a board in whose place this one comes. Whoever knows that one only is
            told everything.
    """

    def __init__(self, counts: CountsNow, *, day_hour: Callable[[str], int], tick: int = 1) -> None:
        self.tick = self.made_tick = tick
        self.newest_id = counts.newest_id
        self.said: dict[Hashable, str] = {}
        """What was put into words at this tick: for the next who asks the same."""
        self.places: dict[str, PlaceNow] = {}
        self._day_hour = day_hour
        for count in counts.counts:
            if count.hour >= day_hour(count.place_id):
                self._count(
                    count.place_id,
                    count.gate_id,
                    hour=count.hour,
                    colour=count.colour,
                    verdict=count.verdict,
                    direction=count.direction,
                    n=count.n,
                )
        for (place_id, hour), n in counts.untimed.items():
            if place_id in self.places and hour >= day_hour(place_id):
                self.places[place_id].untimed += n

    def light(self, rows: Iterable[LiveRow]) -> None:
        """Show rows that are in the counts already."""
        for row in rows:
            if row.row_id <= self.newest_id:
                self._light(row)

    def add(self, rows: Iterable[LiveRow]) -> None:
        """Count and show rows stored since, in their order."""
        self.tick += 1
        self.said.clear()
        for row in rows:
            if row.row_id <= self.newest_id:
                continue
            self.newest_id = row.row_id
            believed = timed(at_ms=row.at_ms, clock=row.clock, received_ms=row.received_ms)
            hour = (row.at_ms if believed else row.received_ms) // HOUR_MS
            if hour >= self._day_hour(row.place_id):
                self._count(
                    row.place_id,
                    row.gate_id,
                    hour=hour,
                    colour=row.colour,
                    verdict=row.verdict,
                    direction=row.direction,
                    n=1,
                )
                self.places[row.place_id].untimed += not believed
            self._light(row)

    def of(self, place_id: str) -> PlaceNow:
        """A place, also one at which nothing has happened today."""
        return self.places.get(place_id) or PlaceNow()

    def changed(self, place_id: str, *, after_tick: int) -> Iterator[tuple[str, GateNow]]:
        """Gates of a place at which something happened after a tick, by id."""
        for gate_id, gate in sorted(self.of(place_id).gates.items()):
            if gate.tick > after_tick:
                yield gate_id, gate

    def _gate(self, place_id: str, gate_id: str) -> GateNow:
        place = self.places.setdefault(place_id, PlaceNow())
        gate = place.gates.setdefault(gate_id, GateNow())
        place.tick = gate.tick = self.tick
        return gate

    def _light(self, row: LiveRow) -> None:
        believed = timed(at_ms=row.at_ms, clock=row.clock, received_ms=row.received_ms)
        self._gate(row.place_id, row.gate_id).lights.append(
            Light(
                tick=self.tick,
                row_id=row.row_id,
                at_ms=row.at_ms if believed else row.received_ms,
                colour=row.colour,
                verdict=row.verdict,
                direction=row.direction,
                masked=row.masked,
            )
        )

    def _count(
        self,
        place_id: str,
        gate_id: str,
        *,
        hour: int,
        colour: Colour,
        verdict: Verdict,
        direction: Direction,
        n: int,
    ) -> None:
        gate = self._gate(place_id, gate_id)
        gate.colours[colour] += n
        if verdict is not Verdict.ADMIT:
            return
        if direction is Direction.OUT:
            gate.exits += n
            return
        gate.entries += n
        hours = self.places[place_id].hours
        hours[hour] = hours.get(hour, 0) + n
