"""How many people are inside a place, and how sure that is. Pure.

Entries and exits are admitted check-ins, each stored once whoever sends it again, and counted in the minute in which
they happened. People forget to scan when they leave: of what went in on earlier days and never came out, nobody stayed,
for the place was empty at its day's end. That share says how many of today's exits are missing by now.

    inside = entries - exits - missing exits                       never below 0
    missing exits = exits x m / (1 - m)                            m: the share of exits that are not scanned

Each person who left had a scanned exit with probability 1 - m, so for each exit seen there are m / (1 - m) unseen ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DAYS_MOST: Final = 14
"""Of earlier days: more would hide that something has changed at the gates."""
_MISSING_UNKNOWN: Final = 0.1
"""Taken for the share of missing exits before there is an earlier day."""
_MISSING_MOST: Final = 0.9
"""Beyond it nothing can be said: there is hardly an exit gate."""
_SURE_ENTRIES: Final = 200.0
"""So many entries of earlier days make their share half as sure as it can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Admitted check-ins of one day of a place."""

    entries: int
    exits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """What is known to be unknown now."""

    waiting: int = 0
    """Check-ins that gates of the place still have to send."""
    gates: int = 0
    gates_silent: int = 0
    """Gates that are not heard: what happens there is not known."""
    untrusted: int = 0
    """Of today's check-ins, those of a gate that did not know the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """An estimate with its bounds. `confidence` is 0 to 1: how much of what it rests on is known."""

    entries: int
    exits: int
    missing_exits: int
    inside: int
    low: int
    high: int
    confidence: float


def occupancy(today: Day, *, before: Sequence[Day], doubts: Doubts) -> Occupancy:
    """Today's figures so far, earlier days (newest first) and doubts -> how many are inside.

    Args:
        today: since the place's day began.
        before: whole days, at most `DAYS_MOST` of them are looked at.
        doubts: what is known to be unknown.
    """
    entered = sum(day.entries for day in before[:DAYS_MOST])
    left = sum(min(day.exits, day.entries) for day in before[:DAYS_MOST])
    seen = 1 - left / entered if entered else _MISSING_UNKNOWN
    share = min(_MISSING_MOST, seen)
    sure = entered / (entered + _SURE_ENTRIES)
    missing = round(today.exits * share / (1 - share))
    inside = max(0, today.entries - today.exits - missing)
    # The share may be off by what few days cannot tell; whoever waits to be sent may be in or out.
    spread = round(today.exits * (1 - sure) * 0.5 * share / (1 - share))
    silent = doubts.gates_silent / doubts.gates if doubts.gates else 1.0
    unseen = doubts.waiting + round(silent * (today.entries + today.exits) * 0.5)
    total = today.entries + today.exits
    known = total / (total + unseen) if total + unseen else 1.0 - silent
    timed = 1 - doubts.untrusted / (2 * total) if total else 1.0
    confidence = known * timed * (1 - share) ** 0.5 * (0.5 + sure / 2)
    return Occupancy(
        entries=today.entries,
        exits=today.exits,
        missing_exits=max(0, min(missing, today.entries - today.exits)),
        inside=inside,
        low=max(0, inside - spread - unseen),
        high=max(inside, min(today.entries - today.exits, inside + spread) if today.entries > today.exits else inside)
        + unseen,
        confidence=round(max(0.0, min(1.0, confidence)), 2),
    )
