"""What time it is, and whether the gate may believe it (PROTOCOL §7).

The kernel's clock counts while the kernel says that somebody sets it. Otherwise the newest word does, carried on by
the monotonic clock for a day: a signed hint of the hub's, or what the kernel said when somebody still set it (it gives
up after nine hours without a network, in which a gate must go on). Nothing counts before the newest time that somebody
signed, for a Pi has no battery behind its clock and may wake up in the past.
"""

import ctypes
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from device.trust.believed import Believed
from protocol.errors import RollbackError
from protocol.keys import VerifyKey
from protocol.timehint import open_time

BUILD_FLOOR_S = 1_793_000_000
"""October 2026: no clock that is right is earlier than the software it runs."""

HINT_LASTS_S = 24 * 3600
"""A crystal is off by up to 100 ppm: 9 s in a day, well within the leeway of live codes."""

WANTS_HINT_S = 6 * 3600
"""Asking again this early leaves three quarters of that day for a hub that does not answer."""

HINT_WITHIN_S = 10
"""From question to answer. Whoever held an answer back longer could set the clock back by as much."""

_STEP_MS = 2000
"""A hint that differs by less moves nothing: the network alone may take that long."""

_REPORT_MS = 30_000
"""The leeway of live codes: where hub and kernel differ by more, one of the two is wrong."""

_FLOOR_STEP_S = 3600
"""The floor is written when it grew by this, so that flash lasts."""

_FLOOR_BYTES = 20
_FLOOR_FILE = "clock"
_TIME_ERROR = 5
_TIMEX_BYTES = 512
_LOG = logging.getLogger(__name__)


def kernel_synchronised() -> bool:
    """Whether the kernel's clock is being disciplined, by chrony, systemd-timesyncd or anybody else (adjtimex(2))."""
    state: int = _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state < _TIME_ERROR


@cache
def _libc() -> ctypes.CDLL:
    """Opened once: that takes ten times as long as a call, and each scan makes several."""
    return ctypes.CDLL(None, use_errno=True)


class ClockSource(StrEnum):
    """Whose word the time is."""

    KERNEL = "kernel"
    HUB = "hub"
    ASSUME = "assume"
    """The configuration says that the clock is right."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class _Anchor:
    """It was `at_ms` when the monotonic clock said `mono_ns`."""

    at_ms: int
    mono_ns: int

    def carried_ms(self, mono_ns: int) -> int:
        return self.at_ms + (mono_ns - self.mono_ns) // 1_000_000


class GateClock:
    """The wall clock with its floor. `now_ms`, `trusted` and `source` are for every thread: they read values that are
    only replaced as a whole.

    Args:
        synchronised: whether something sets the kernel's clock; `kernel_synchronised` on a gate.
        now_ns: the kernel's wall clock in ns since 1970.
        mono_ns: ns on a clock that only goes forward.
        assume: `synchronised` stands for the word of the configuration, and not for the kernel's.
        believed: where the floor outlives a restart; None keeps it in memory only.

    Attributes:
        offset_ms: the hub's time less ours at the last hint; None before the first.
    """

    def __init__(
        self,
        *,
        synchronised: Callable[[], bool],
        now_ns: Callable[[], int] = time.time_ns,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        assume: bool = False,
        believed: Believed | None = None,
    ) -> None:
        self.offset_ms: int | None = None
        self._synchronised = synchronised
        self._now_ns = now_ns
        self._mono_ns = mono_ns
        self._word = ClockSource.ASSUME if assume else ClockSource.KERNEL
        self._believed = believed
        self._written_s = self._read_floor()
        self._floor_s = max(BUILD_FLOOR_S, self._written_s)
        self._anchor: _Anchor | None = None
        self._kernel: _Anchor | None = None
        self._asked: tuple[bytes, int] | None = None

    def seen_signed_s(self, at_s: int) -> None:
        """Something that we believe was signed at this time, so it cannot be earlier now."""
        self._floor_s = max(self._floor_s, at_s)
        if self._believed is not None and self._floor_s - self._written_s >= _FLOOR_STEP_S:
            # What the disk refused is tried again in an hour.
            self._written_s = self._floor_s
            self._believed.write(self._believed.folder / _FLOOR_FILE, b"%d\n" % self._floor_s)

    @property
    def floor_s(self) -> int:
        """It cannot be earlier than this, s since 1970."""
        return self._floor_s

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._read()[0]

    @property
    def trusted(self) -> bool:
        """Whether codes may be judged by this clock."""
        now_ms, source = self._read()
        return source is not ClockSource.NONE and now_ms >= self._floor_s * 1000

    @property
    def source(self) -> ClockSource:
        """Whose word the time is; `none` also when that word is not to be believed."""
        now_ms, source = self._read()
        return source if now_ms >= self._floor_s * 1000 else ClockSource.NONE

    @property
    def wants_hint(self) -> bool:
        """Whether to ask the hub now, by a new presence: nobody else tells the time, and its last hint ages."""
        if self._synchronised():
            return False
        anchor, mono_ns = self._anchor, self._mono_ns()
        if self._asked is not None and mono_ns - self._asked[1] < HINT_WITHIN_S * 10**9:
            return False
        return anchor is None or mono_ns - anchor.mono_ns >= WANTS_HINT_S * 10**9

    def asked(self, session: bytes) -> None:
        """The presence of this session was just published, which the hub answers with the time.

        A session that was asked with before is as old as its first question: the answer may be to that one.
        """
        if self._asked is None or self._asked[0] != session:
            self._asked = (session, self._mono_ns())

    def take_hint(self, data: bytes, *, hub_keys: Mapping[bytes, VerifyKey], device: bytes) -> None:
        """The hub's answer.

        1. Signed by the hub, for this device and the session that asked.
        2. Not later than 10 s after the question: it cannot be kept and told later, or told again.
        3. Not before the newest signed time.
        4. Where the kernel knows the time, its difference is only noted. Otherwise the hub's time holds from now on.

        Raises:
            ProtocolError: it is not, and nothing has changed.
        """
        # 1.
        session, asked_ns = self._asked or (b"", 0)
        hint = open_time(data, hub_keys=hub_keys, device=device, session=session)
        # 2.
        mono_ns = self._mono_ns()
        if mono_ns - asked_ns > HINT_WITHIN_S * 10**9:
            raise RollbackError("time hint", "it comes too long after the question")
        # 3.
        if hint.at_ms < self._floor_s * 1000:
            raise RollbackError("time hint", "before the newest time that was signed")
        # 4.
        now_ms, source = self._read()
        self.offset_ms = hint.at_ms - now_ms
        if abs(self.offset_ms) > _REPORT_MS:
            _LOG.warning("clock: the hub's differs by %d ms from ours, whose source is %s", self.offset_ms, source)
        stays = self._synchronised() or abs(self.offset_ms) <= _STEP_MS
        self._anchor = _Anchor(now_ms if stays else hint.at_ms, mono_ns)

    def _read(self) -> tuple[int, ClockSource]:
        """The time, and whose word it is."""
        kernel_ms, mono_ns = self._now_ns() // 1_000_000, self._mono_ns()
        if self._synchronised():
            self._kernel = _Anchor(kernel_ms, mono_ns)
            return kernel_ms, self._word
        anchor, word = self._anchor, ClockSource.HUB
        if self._kernel is not None and (anchor is None or anchor.mono_ns < self._kernel.mono_ns):
            anchor, word = self._kernel, self._word
        if anchor is None:
            return kernel_ms, ClockSource.NONE
        lasts = mono_ns - anchor.mono_ns <= HINT_LASTS_S * 10**9
        return anchor.carried_ms(mono_ns), word if lasts else ClockSource.NONE

    def _read_floor(self) -> int:
        if self._believed is None:
            return 0
        path = self._believed.folder / _FLOOR_FILE
        data = self._believed.read(path, limit=_FLOOR_BYTES)
        if data is None:
            return 0
        text = data.strip()
        if len(data) > _FLOOR_BYTES or not text.isdigit():
            self._believed.set_aside(path, ValueError("not a number of seconds"))
            return 0
        return int(text)
