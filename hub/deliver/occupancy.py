"""How many people are inside a place, and how sure that is. Pure.

Entries and exits are admitted check-ins, each stored once whoever sends it again, and counted when they happened.
People forget to scan when they leave: of what went in on earlier days and never came out, nobody stayed, for the place
was empty at its day's end. That share says how many of today's exits are missing by now.

    inside = entries - exits - missing exits                       never below 0
    missing exits = exits x m / (1 - m)                            m: the share of exits that are not scanned

Each person who left had a scanned exit with probability 1 - m, so for each exit seen there are m / (1 - m) unseen ones.

What it cannot know: who comes in without a scan, whom an attendant lets through by hand, who goes in twice without
leaving, and whether people leave today as they left on the days before. Where they do not, the bounds are too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

DAYS_MOST: Final = 14
"""Of earlier days: more would hide that something has changed at the gates."""
_MISSING_UNKNOWN: Final = 0.1
"""Taken for the share of missing exits, and for its standard error, before there is an earlier day."""
_WEIGHT: Final = 20
"""So many people's exits that guess is worth."""
_MISSING_MOST: Final = 0.9
"""Beyond it nothing can be said: there is hardly an exit gate."""
_SIGMAS: Final = 2.0
"""The bounds hold in 19 of 20 cases."""
_FEW: Final = 10
"""Below so many people, one more or less is no want of confidence."""


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
    untimed: int = 0
    """Of today's check-ins, those that count when they were received: they may belong to another day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """An estimate with its bounds, `low <= inside <= high`.

    `confidence` is 0 to 1: 0.8 says that the truth lies within a fifth of the estimate, in 19 of 20 cases.
    """

    entries: int
    exits: int
    missing_exits: int
    inside: int
    low: int
    high: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingExits:
    """The share of exits that are not scanned, and how far today's may be from it (one standard error)."""

    share: float
    error: float


def missing_exits(before: Sequence[Day]) -> MissingExits:
    """Whole days, newest first -> what share of exits nobody scanned."""
    days = [day for day in before[:DAYS_MOST] if day.entries > 0]
    entered = sum(day.entries for day in days)
    if not entered:
        return MissingExits(share=_MISSING_UNKNOWN, error=_MISSING_UNKNOWN)
    # Of the sums, not of each day: a day with more exits than entries makes up for one with fewer.
    unscanned = max(0, entered - sum(day.exits for day in days))
    # A handful of people says little: they are weighed against what is taken where nothing is known.
    share = min(_MISSING_MOST, (unscanned + _MISSING_UNKNOWN * _WEIGHT) / (entered + _WEIGHT))
    # How far the days lie apart, weighed by their entries: habits differ more than chance alone would let them.
    spread = sum(day.entries * (1 - day.exits / day.entries - share) ** 2 for day in days) / entered
    chance = share * (1 - share) / (entered + _WEIGHT)
    # Today is one more day that may lie as far off as they do.
    return MissingExits(share=share, error=sqrt(spread * (1 + 1 / len(days)) + chance))


def occupancy(today: Day, *, before: Sequence[Day], doubts: Doubts) -> Occupancy:
    """Today's figures so far, earlier days (newest first) and doubts -> how many are inside.

    Args:
        today: since the place's day began.
        before: whole days, at most `DAYS_MOST` of them are looked at.
        doubts: what is known to be unknown.
    """
    missing = missing_exits(before)
    net = max(0, today.entries - today.exits)
    unseen = min(net, round(today.exits * missing.share / (1 - missing.share)))
    inside = net - unseen
    # Unseen exits among those seen are negative binomial: variance exits x m / (1 - m)^2. And m is an estimate.
    variance = today.exits * missing.share / (1 - missing.share) ** 2
    variance += (today.exits * missing.error / (1 - missing.share) ** 2) ** 2
    chance = ceil(_SIGMAS * sqrt(variance))
    # What is not known has no chance to be reckoned with: each may be one more or one fewer.
    silent = doubts.gates_silent / doubts.gates if doubts.gates else 0.0
    unknown = doubts.waiting + doubts.untimed + ceil(silent * (today.entries + today.exits))
    # Nobody leaves twice: more than those who came in and were not seen leaving cannot be inside.
    high = min(net, inside + chance) + unknown
    low = max(0, inside - chance - unknown)
    # Where no scanner was ever heard and nobody counted, 0 is no finding.
    heard = doubts.gates_silent < doubts.gates if doubts.gates else today.entries + today.exits > 0
    return Occupancy(
        entries=today.entries,
        exits=today.exits,
        missing_exits=unseen,
        inside=inside,
        low=low,
        high=high,
        confidence=_confidence(inside, low=low, high=high, heard=heard),
    )


def _confidence(inside: int, *, low: int, high: int, heard: bool) -> float:
    """How near the bounds are, against the estimate. Where no gate is heard, nothing is known."""
    if not heard:
        return 0.0
    off = max(high - inside, inside - low)
    return round(max(0.0, 1 - off / max(inside, _FEW)), 2)
