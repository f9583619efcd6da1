"""How long an enrolment waits before it tries again, and how long in all."""

from collections.abc import Callable

APPROVAL_S = 24 * 3600
"""An operator who has not looked for a day will not."""

UNDATED_S = 900
"""A code lives ten minutes; while the clock is not to be believed, the hub is sought for a little longer than that."""

LOOK_SOON_S, LOOK_LATER_S = 2.0, 15.0
"""Between two looks at the hub: soon while the operator stands at the console, later for who waits over night."""

_SOON_FOR_S = 180.0
_FIRST_S, _MOST_S = 1.0, 20.0


def look_pause_s(waiting_s: float, random: Callable[[], float]) -> float:
    """The pause before the next look, after having waited for the operator for `waiting_s`."""
    base_s = LOOK_SOON_S if waiting_s < _SOON_FOR_S else LOOK_LATER_S
    return base_s * (0.75 + random() / 2)


def retry_pause_s(failures: int, random: Callable[[], float]) -> float:
    """The pause after so many failures in a row: doubling, bounded, and spread, since a hundred devices try at once."""
    return min(_FIRST_S * 2.0 ** min(failures - 1, 10), _MOST_S) * (0.5 + random())
