"""What has arrived and waits to be stored: two lanes, so that a gate with a queue of people never waits for a backlog.

    short   messages as live gates send them            taken first, all of them
    long    whole runs of check-ins, and whatever the   when the short lane is empty. While anything short came within a
            same device sends after them                second: one message, or 16 KiB, at a time; else a whole batch

A long message takes milliseconds to store and nobody stands before its gate. What one device sends keeps its order: it
goes to the long lane as long as something of it waits there, and what it sent before has left the short one by then.
The long lane does not starve: gates that get no receipts soon fill their messages, which makes them long ones.
"""

from collections import Counter, deque
from typing import Final

from protocol.record import record

_LONG_BYTES: Final = 4096
"""A dozen check-ins: a gate that has so many at once is behind."""
_SLICE_BYTES: Final = 16 * 1024
"""One full message of ordinary check-ins, about 5 ms of work: what a live one may have to wait for."""
_LIVE_S: Final = 1.0


@record
class Delivery:
    """A message taken from the inbox. `connection` says which connection its PUBACK belongs to."""

    topic: str
    payload: bytes
    packet_id: int | None
    connection: int
    arrived_s: float
    """Monotonic clock at the read that completed it."""


class Inbox:
    """Both lanes. It has no bound of its own: who fills it looks at `bytes` and its length, and stops reading."""

    def __init__(self) -> None:
        self.bytes = 0
        self._short: deque[Delivery] = deque()
        self._long: deque[Delivery] = deque()
        self._behind: Counter[str] = Counter()
        """Device's branch of the topics -> its messages in the long lane."""
        self._live_s = float("-inf")

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def put(self, delivery: Delivery) -> None:
        """A message that has arrived, after all those before it."""
        size = len(delivery.payload)
        self.bytes += size
        branch = _branch(delivery)
        if size > _LONG_BYTES or branch in self._behind:
            self._long.append(delivery)
            self._behind[branch] += 1
        else:
            self._short.append(delivery)
            self._live_s = delivery.arrived_s

    def take(self, *, messages_max: int, bytes_max: int, now_s: float) -> list[Delivery]:
        """What the next batch stores; ends before either bound is passed, but holds one message whatever its size."""
        taken: list[Delivery] = []
        taken_bytes = _move(self._short, taken, messages_max=messages_max, bytes_max=bytes_max)
        if self._long and not self._short and len(taken) < messages_max:
            if now_s - self._live_s < _LIVE_S:
                bytes_max = min(bytes_max, taken_bytes + _SLICE_BYTES)
            slice_: list[Delivery] = []
            room = max(0, bytes_max - taken_bytes)
            taken_bytes += _move(self._long, slice_, messages_max=messages_max - len(taken), bytes_max=room)
            for delivery in slice_:
                branch = _branch(delivery)
                self._behind[branch] -= 1
                if not self._behind[branch]:
                    del self._behind[branch]
            taken += slice_
        self.bytes -= taken_bytes
        return taken


def _branch(delivery: Delivery) -> str:
    return delivery.topic.rpartition("/")[0]


def _move(lane: deque[Delivery], taken: list[Delivery], *, messages_max: int, bytes_max: int) -> int:
    """From a lane to an empty list, one message at least; returns their bytes."""
    moved = 0
    while lane and len(taken) < messages_max:
        size = len(lane[0].payload)
        if taken and moved + size > bytes_max:
            break
        taken.append(lane.popleft())
        moved += size
    return moved
