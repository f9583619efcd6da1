"""What other threads want said to the hub: hints, questions, results. Memory only; check-ins go by the spool.

Two sorts, by QoS:

- 0, a hint or a question: worthless when old, so it is dropped after 3 s without a connection.
- 1, a result: kept until the hub is there and the broker acknowledged it; said again on the next connection.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator

HINTS_MOST = 256
"""More than a gate's lane makes in 3 s, whatever happens. The oldest is dropped beyond."""

RESULTS_MOST = 64
"""A gate gets far fewer commands while it is cut off. The oldest is dropped beyond."""

HINT_MS = 3_000
"""A question is given up by its asker after 2 s; a hint may help a moment longer."""

_UNDER_WAY_MOST = 4
"""Results beside the window of check-ins, so that paho never has to queue."""

_HINTS_A_TURN = 32
"""Each leaves an event behind, and events are bounded."""


class Entry:
    """One message that was put. `wait` for it only where its QoS is 1."""

    def __init__(self, *, topic: str, payload: bytes, qos: int, put_ms: int) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.put_ms = put_ms
        self._acknowledged = threading.Event()

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has it."""
        return self._acknowledged.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Whether the broker has it, after at most `timeout_s`."""
        return self._acknowledged.wait(timeout_s)

    def acknowledge(self) -> None:
        """The broker has it; for the outbox."""
        self._acknowledged.set()


class Outbox:
    """Put into by any thread, emptied by the uplink's.

    Args:
        mono_ms: ms on a clock that only goes forward.

    Attributes:
        dropped: messages that were given up: too old, too many, refused, or the connection broke under a hint.
    """

    def __init__(self, *, mono_ms: Callable[[], int]) -> None:
        self.dropped = 0
        self._mono_ms = mono_ms
        self._lock = threading.Lock()
        self._hints: deque[Entry] = deque()
        self._results: deque[Entry] = deque()
        self._under_way: dict[int, Entry] = {}
        self._wake: Callable[[], None] = lambda: None

    def on_put(self, wake: Callable[[], None]) -> None:
        """Has `wake` called after each `put`, on the thread that puts; it must not block."""
        self._wake = wake

    def put(self, topic: str, payload: bytes, qos: int) -> Entry:
        """Has a message sent when there is a connection. Returns at once; for any thread."""
        entry = Entry(topic=topic, payload=payload, qos=qos, put_ms=self._mono_ms())
        with self._lock:
            kept, most = (self._results, RESULTS_MOST - len(self._under_way)) if qos else (self._hints, HINTS_MOST)
            if len(kept) >= most:
                kept.popleft()
                self.dropped += 1
            kept.append(entry)
        self._wake()
        return entry

    def begin(self) -> None:
        """A new connection: whatever was not acknowledged on the last one is due again, in its order."""
        with self._lock:
            self._results.extendleft(reversed(self._under_way.values()))
            self._under_way.clear()

    def send(self, publish: Callable[[Entry], int | None], *, hub_online: bool) -> bool:
        """Sends what may go now; whether more hints wait, which may go in the next turn.

        Args:
            publish: gives the message's number, or None when the connection is going.
            hub_online: whether somebody is there who reads results; hints are for other gates as well.
        """
        for entry in self._due_hints():
            if publish(entry) is None:
                with self._lock:
                    self.dropped += 1
                return False
        while hub_online and (due := self._due_result()) is not None:
            mid = publish(due)
            with self._lock:
                if mid is None:
                    self._results.appendleft(due)
                    return False
                self._under_way[mid] = due
        return bool(self._hints)

    def acknowledged(self, mid: int, *, ok: bool) -> bool:
        """The broker has answered message `mid`; whether that was one of ours.

        One that it refused is given up: it would be refused again, and whoever misses a result may ask again.
        """
        with self._lock:
            entry = self._under_way.pop(mid, None)
            if entry is None:
                return False
            if not ok:
                self.dropped += 1
        if ok:
            entry.acknowledge()
        return True

    def _due_hints(self) -> Iterator[Entry]:
        oldest_ms = self._mono_ms() - HINT_MS
        sent = 0
        while sent < _HINTS_A_TURN:
            with self._lock:
                if not self._hints:
                    return
                entry = self._hints.popleft()
                if entry.put_ms < oldest_ms:
                    self.dropped += 1
                    continue
            yield entry
            sent += 1

    def _due_result(self) -> Entry | None:
        with self._lock:
            if not self._results or len(self._under_way) >= _UNDER_WAY_MOST:
                return None
            return self._results.popleft()
