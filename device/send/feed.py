"""What comes down besides receipts, on its way from one connection to the downlink."""

from collections import deque
from collections.abc import Callable

from device.send.ports import Downlink, Received, WirePort

_WHOLE_LIST = "/snapshot"
_TURN_MS = 20
"""How long the downlink may work before receipts and check-ins have their turn again. One message is always taken."""

_HINTS_MOST = 256
"""Messages of QoS 0 that wait here; the oldest is dropped beyond. Those of QoS 1 are bounded by the wire."""

_LISTS_AT_ONCE = 4
"""Whole status lists that are asked for together: a receipt stands behind 2 MiB at most, seconds on a slow line."""

_LIST_MS = 60_000
"""One that does not come for so long lets another have its turn."""


class Feed:
    """Follows the downlink's subscriptions over one connection, and hands it message after message.

    A large message must not hold up what is urgent: whoever has the thread calls `take_some` once a turn.

    Attributes:
        dropped: hints that had to go unread.
    """

    def __init__(self, *, wire: WirePort, downlink: Downlink, mono_ms: Callable[[], int]) -> None:
        self.dropped = 0
        self._wire = wire
        self._downlink = downlink
        self._mono_ms = mono_ms
        self._subscribed: tuple[str, ...] = ()
        # Topics of whole lists -> when their turn began.
        self._turns: dict[str, int] = {}
        self._waiting: deque[Received] = deque()
        self._hints: deque[Received] = deque()

    def follow(self) -> None:
        """Subscribes to what the downlink wants now, and unsubscribes from what it no longer wants."""
        wanted = self._in_turn(tuple(dict.fromkeys(self._downlink.subscriptions)))
        if wanted == self._subscribed:
            return
        before, after = set(self._subscribed), set(wanted)
        # What is wanted anew after it was not is retained once more: it goes off before it comes on.
        self._wire.unsubscribe([topic for topic in self._subscribed if topic not in after])
        self._wire.subscribe([topic for topic in wanted if topic not in before])
        self._subscribed = wanted

    def _in_turn(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Without the whole lists whose turn it is not yet."""
        lists = [topic for topic in wanted if topic.endswith(_WHOLE_LIST)]
        self._turns = {topic: self._turns[topic] for topic in lists if topic in self._turns}
        if not lists:
            return wanted
        now_ms = self._mono_ms()
        chosen = [topic for topic in lists if topic in self._subscribed and now_ms - self._turns[topic] < _LIST_MS]
        # Those that had no turn yet first, then those that had theirs longest ago.
        others = sorted((topic for topic in lists if topic not in chosen), key=lambda topic: self._turns.get(topic, -1))
        for topic in others[: _LISTS_AT_ONCE - len(chosen)]:
            self._turns[topic] = now_ms
            chosen.append(topic)
        return tuple(topic for topic in wanted if topic in chosen or not topic.endswith(_WHOLE_LIST))

    def put(self, message: Received) -> None:
        """One message that is not the uplink's own."""
        if message.mid:
            self._waiting.append(message)
            return
        if len(self._hints) >= _HINTS_MOST:
            self._hints.popleft()
            self.dropped += 1
        self._hints.append(message)

    def take_some(self) -> bool:
        """Has the downlink work for some 20 ms; whether more is waiting."""
        end_ms = self._mono_ms() + _TURN_MS
        while self._hints or self._waiting:
            # Hints are short and grow old; a signed object waits without harm.
            message = self._hints.popleft() if self._hints else self._waiting.popleft()
            self._downlink.take(message.topic, message.payload)
            self._wire.taken(message)
            self.follow()
            if self._mono_ms() >= end_ms:
                break
        return bool(self._hints or self._waiting)


class Silence:
    """A downlink for who only sends."""

    subscriptions: tuple[str, ...] = ()

    def take(self, topic: str, payload: bytes) -> None:
        """Nothing was subscribed to."""
