"""Sights -> visits -> who was there at the same time. Pure.

A gate sees people pass; how long they stayed follows from the next time that it, or another gate of the place, sees
them. Where nobody was seen to leave, or to come, a stay of `stay_ms` is assumed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, zip_longest


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Sight:
    """Somebody was let through a gate of the place."""

    person: int
    at_ms: int
    inward: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody was at the place, both ends included."""

    person: int
    from_ms: int
    to_ms: int

    def meets(self, other: "Visit", *, around_ms: int) -> bool:
        """Whether both were there at one time, or within `around_ms` of it."""
        return self.from_ms <= other.to_ms + around_ms and other.from_ms <= self.to_ms + around_ms


def visits(sights: Iterable[Sight], *, stay_ms: int) -> list[Visit]:
    """All visits, by person and time. One that lasts too long ends after `stay_ms`, or when they come in once more."""
    found = []
    for person, group in groupby(sorted(sights), key=lambda sight: sight.person):
        mine = list(group)
        for sight, after in zip_longest(mine, mine[1:]):
            if sight.inward:
                left_ms = sight.at_ms + stay_ms if after is None else after.at_ms
                if after is None or after.inward:
                    left_ms = min(left_ms, sight.at_ms + stay_ms)
                found.append(Visit(person=person, from_ms=sight.at_ms, to_ms=left_ms))
        # Whoever is seen to leave first came before anybody looked.
        found += [
            Visit(person=person, from_ms=sight.at_ms - stay_ms, to_ms=sight.at_ms)
            for before, sight in zip_longest([None, *mine[:-1]], mine)
            if not sight.inward and (before is None or not before.inward)
        ]
    return sorted(found, key=lambda visit: (visit.person, visit.from_ms))


def contacts(all_visits: Iterable[Visit], case: Visit, *, around_ms: int) -> list[Visit]:
    """Who else was there while the case was."""
    return [visit for visit in all_visits if visit.person != case.person and visit.meets(case, around_ms=around_ms)]
