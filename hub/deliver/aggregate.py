"""rows -> what to add to the counts by minute. Pure: the same rows give the same increments."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from hub.model import MinuteCount
from protocol.checkin import SealedCheckIn
from protocol.terms import Clock, Colour, Direction, Verdict

MINUTE_MS: Final = 60_000
AHEAD_MS: Final = 5 * MINUTE_MS
"""A set clock is right to seconds. What happened later than this after we received it did not happen then."""
BEHIND_MS: Final = 31 * 24 * 60 * MINUTE_MS
"""Spools hold days, weeks at a quiet gate. What claims to be older comes of a clock that was set back."""


_Key = tuple[str, str, int, Colour, Verdict, Direction]


def timed(*, at_ms: int, clock: Clock, received_ms: int) -> bool:
    """Whether a check-in's own time can be believed: its gate believed it, and it is possible."""
    return clock is Clock.TRUSTED and received_ms - BEHIND_MS <= at_ms <= received_ms + AHEAD_MS


def aggregate(rows: Iterable[SealedCheckIn], received_ms: int) -> tuple[MinuteCount, ...]:
    """One increment for each gate, minute, colour, verdict and direction among the rows, in a fixed order.

    Written in the same transaction as the rows, they count every check-in exactly once: one that is sent again is not
    stored again, and so not counted again. One that comes late counts when it happened, however late; only where its
    own time cannot be believed it counts when it first came, which is the best that is known of it.
    """
    counted: Counter[_Key] = Counter()
    untimed: Counter[_Key] = Counter()
    for row in rows:
        checkin = row.checkin
        believed = timed(at_ms=checkin.at_ms, clock=checkin.clock, received_ms=received_ms)
        minute = (checkin.at_ms if believed else received_ms) // MINUTE_MS
        key = (checkin.place, checkin.gate, minute, checkin.colour, checkin.verdict, checkin.direction)
        counted[key] += 1
        if not believed:
            untimed[key] += 1
    return tuple(
        MinuteCount(
            place_id=place,
            gate_id=gate,
            minute=minute,
            colour=colour,
            verdict=verdict,
            direction=direction,
            n=n,
            untimed=untimed[place, gate, minute, colour, verdict, direction],
        )
        for (place, gate, minute, colour, verdict, direction), n in sorted(counted.items())
    )
