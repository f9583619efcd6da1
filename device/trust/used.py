"""One code, one person, at every gate of the place: what the other gates say was just used (PROTOCOL §6).

A hint travels without receipt (QoS 0) and may be lost. A lost hint can only fail open, and no further than this: the
same code passes once more, within the reuse window, at each gate that did not hear of it. The gate that admitted it
remembers it on its own disk and does not let it pass again.

Hints are not signed; the broker lets only gates of the place speak. One of them that goes wrong can make others hold
a person until an attendant comes, for at most the reuse window after it falls silent; it can never admit anybody.
Every end is counted on the monotonic clock, so a wall clock that jumps afterwards changes nothing.
"""

import threading
from collections.abc import Callable

from protocol import topics
from protocol.errors import ProtocolError
from protocol.used import Used, decode_used, encode_used

CODES_MOST = 4096
"""Fifty gates that pass 60 people a minute, for more than a minute; or 13 for the usual 5. About 0.5 MB. The code
that was heard of first goes first."""


class UsedElsewhere:
    """Told by the uplink's thread, asked by the scan thread.

    Args:
        device: this device's id, 8 bytes.
        place: whose gates talk to each other.
        longest_ms: how long a code can count as used under the policy in force.
        put: sends a message (topic, payload, QoS); must not block.
        now_ms: wall clock.
        mono_ms: monotonic clock.

    Attributes:
        refused: hints that could not be read.
        forgotten: codes that had to go before their time.
    """

    def __init__(
        self,
        *,
        device: bytes,
        place: str,
        longest_ms: Callable[[], int],
        put: Callable[[str, bytes, int], object],
        now_ms: Callable[[], int],
        mono_ms: Callable[[], int],
    ) -> None:
        self.refused = 0
        self.forgotten = 0
        self._device = device
        self._topic = topics.used(place)
        self._longest_ms = longest_ms
        self._put = put
        self._now_ms = now_ms
        self._mono_ms = mono_ms
        self._lock = threading.Lock()
        # Code hash -> its end on the monotonic clock; in the order of hearing.
        self._ends: dict[bytes, int] = {}

    def take(self, payload: bytes) -> None:
        """A hint, as received. One that cannot be read is counted and not logged: anybody may send a thousand."""
        try:
            used = decode_used(payload)
        except ProtocolError:
            self.refused += 1
            return
        if used.device == self._device:
            return  # The broker sends everything to everybody who listens, and we listen.
        left_ms = min(used.until_ms - self._now_ms(), self._longest_ms())
        if left_ms > 0:
            with self._lock:
                self._keep(used.code, self._mono_ms() + left_ms)

    def used(self, code: bytes) -> bool:
        """Whether another gate of the place admitted the code with this hash, and its time is not over."""
        with self._lock:
            end_ms = self._ends.get(code)
            if end_ms is None:
                return False
            if end_ms > self._mono_ms():
                return True
            del self._ends[code]
            return False

    def announce(self, code: bytes, until_ms: int) -> None:
        """Tells the other gates that this one admitted the code; until when by the wall clock. Returns at once."""
        self._put(self._topic, encode_used(Used(code=code, until_ms=until_ms, device=self._device)), 0)

    def _keep(self, code: bytes, end_ms: int) -> None:
        # Taken out first, so that it stands last. A later hint never makes the time shorter.
        before_ms = self._ends.pop(code, 0)
        if len(self._ends) >= CODES_MOST:
            self._make_room()
        self._ends[code] = max(before_ms, end_ms)

    def _make_room(self) -> None:
        mono_ms = self._mono_ms()
        lasting = [(code, end_ms) for code, end_ms in self._ends.items() if end_ms > mono_ms]
        # By an eighth at once: under a flood this is rare, and the scan thread waits 1 ms for it.
        kept = lasting[-(CODES_MOST * 7 // 8) :]
        self.forgotten += len(lasting) - len(kept)
        self._ends = dict(kept)
