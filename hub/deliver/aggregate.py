"""rows -> what to add to the counts by minute. Pure: the same rows give the same increments."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from hub.model import MinuteCount
from protocol.checkin import SealedCheckIn

_MINUTE_MS: Final = 60_000


def aggregate(rows: Iterable[SealedCheckIn]) -> tuple[MinuteCount, ...]:
    """One increment for each gate, minute, colour, verdict and direction among the rows, in a fixed order.

    Written in the same transaction as the rows, they count every check-in exactly once. The minute is that of the
    check-in's own clock; a gate with an untrusted clock counts where it believed to be.
    """
    counted = Counter(
        (
            row.checkin.place,
            row.checkin.gate,
            row.checkin.at_ms // _MINUTE_MS,
            row.checkin.colour,
            row.checkin.verdict,
            row.checkin.direction,
        )
        for row in rows
    )
    return tuple(
        MinuteCount(
            place_id=place, gate_id=gate, minute=minute, colour=colour, verdict=verdict, direction=direction, n=n
        )
        for (place, gate, minute, colour, verdict, direction), n in sorted(counted.items())
    )
