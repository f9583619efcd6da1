"""Whether the gate may believe its clock (PROTOCOL §7).

A clock is untrusted when the kernel says that nothing has set it since boot, or when it lies before the newest
time that somebody signed: a Pi has no battery behind its clock and may wake up in the past.
"""

import ctypes
import time
from collections.abc import Callable

BUILD_FLOOR_S = 1_793_000_000
"""October 2026: no clock that is right is earlier than the software it runs."""

_TIME_ERROR = 5
_TIMEX_BYTES = 512


def kernel_synchronised() -> bool:
    """Whether the kernel's clock is being disciplined, by chrony, systemd-timesyncd or anybody else (adjtimex(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    state: int = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state < _TIME_ERROR


class GateClock:
    """The wall clock with its floor.

    Args:
        synchronised: whether something sets the clock; `kernel_synchronised` on a gate.
        now_ns: the wall clock in ns since 1970.
    """

    def __init__(self, *, synchronised: Callable[[], bool], now_ns: Callable[[], int] = time.time_ns) -> None:
        self._synchronised = synchronised
        self._now_ns = now_ns
        self._floor_s = BUILD_FLOOR_S

    def seen_signed_s(self, at_s: int) -> None:
        """Something that we believe was signed at this time, so it cannot be earlier now."""
        self._floor_s = max(self._floor_s, at_s)

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._now_ns() // 1_000_000

    @property
    def trusted(self) -> bool:
        """Whether codes may be judged by this clock."""
        return self.now_ms() >= self._floor_s * 1000 and self._synchronised()
