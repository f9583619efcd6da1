"""What time it is, signed, for each device that comes: it may have no clock of its own worth believing."""

from collections.abc import Callable
from typing import Final

from hub.trust.ports import Board, Clock
from protocol import topics
from protocol.keys import SigningKey
from protocol.timehint import TimeHint, seal_time

_AGAIN_MS: Final = 1000
_NEXT_MS: Final = 100  # A device that comes back at once is told at once, but it cannot keep the hub busy.


class ClockHint:
    """Tell it of presences. `trusted` says whether the hub believes its own clock: it passes on no other time."""

    def __init__(self, *, board: Board, key: SigningKey, trusted: Callable[[], bool], now_ms: Clock) -> None:
        self._board, self._key, self._trusted, self._now_ms = board, key, trusted, now_ms
        self._told: dict[bytes, tuple[bytes, int]] = {}

    def present(self, device: bytes, session: bytes) -> None:
        """A registered device is there, with the session that a hint must name."""
        now_ms = self._now_ms()
        told, told_ms = self._told.get(device, (b"", now_ms))
        pause_ms = _AGAIN_MS if told == session else _NEXT_MS
        # A clock that was set back must not silence the hub.
        if (told and 0 <= now_ms - told_ms < pause_ms) or not self._trusted():
            return
        sealed = seal_time(TimeHint(device=device, session=session, at_ms=now_ms), key=self._key)
        if self._board.live(topics.time(device), sealed):
            self._told[device] = (session, now_ms)
