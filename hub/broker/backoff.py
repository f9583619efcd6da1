"""How long to wait before trying again. Pure: the random draw is an argument."""

from typing import Final

_FIRST_S: Final = 0.2
_DOUBLINGS: Final = 16  # Beyond this every cap is reached; it keeps the power small.


def pause_s(attempt: int, *, cap_s: float, draw: float) -> float:
    """The pause before attempt number `attempt` (0 is the first retry), in seconds.

    Doubles from 0.2 s to `cap_s`; `draw` in [0, 1) spreads it over the upper half, so that many clients of a
    server that came back do not meet again.
    """
    ceiling_s = min(cap_s, _FIRST_S * (1 << min(attempt, _DOUBLINGS)))
    return ceiling_s * (0.5 + draw / 2)
