"""The hub's clock, and whether it may tell others the time."""

import ctypes
import time

_TIME_ERROR = 5
_TIMEX_BYTES = 512


def kernel_synchronised() -> bool:
    """Whether the kernel's clock is being disciplined, by chrony, systemd-timesyncd or anybody else (adjtimex(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    state: int = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state < _TIME_ERROR


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000
