"""Go-back-N between spool and hub (PROTOCOL §6): what may be sent now, and when to begin again. Pure.

The caller tells what happened (each event takes the monotonic time `now_ms` where time matters) and then takes
what there is to do: `next_message` until it gives None, `take_presence`, `take_hang_up`.

::

    state     event                          next state, and what follows
    -------   ----------------------------   ---------------------------------------------------------------
    OFFLINE   connected                      WAITING; presence is due
    OFFLINE   anything else                  OFFLINE
    WAITING   hub online                     SENDING; rewind; presence is due if it is another session than the
                                             one before it on this connection
    SENDING   hub online, same session       SENDING; nothing (a retained message seen twice)
    SENDING   hub online, new session        SENDING; rewind; presence is due
    any       hub offline                    WAITING; the hub may have lost what was on the way: rewind
    any       disconnected                   OFFLINE
    any       appended                       same; one more may be sent
    SENDING   PUBACK                         same; the wire has room for one message more, nothing else
    SENDING   receipt beyond the last one    same; the window moves, back-off and probing end
    SENDING   receipt equal to the last      same; if messages are under way and this is the first such answer
                                             since the last progress or timeout: rewind
    SENDING   receipt before the last        same; as above, and presence is due: the hub lost rows, and learns
                                             from the oldest seq which of them this device no longer has
    SENDING   no receipt in time             same; rewind, longer wait, one message at a time until progress;
                                             hang up if meanwhile not even the broker has answered

Rewind: send again from the one after the last receipt. In time: 5 s after the first message without answer or
after the last progress, jittered, twice as long each time, at most 60 s.

A receipt reaches this machine only after its signature and hash have been checked; it alone moves `base`, and what
lies before `base` is what the spool may forget. Nothing here deletes.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from device.send.backoff import Backoff
from protocol.limits import MESSAGE_BYTES, MESSAGE_CHECKINS, WINDOW_MESSAGES

RECEIPT_FIRST_MS = 5_000
RECEIPT_BOUND_MS = 60_000
_ARRAY_HEADER_BYTES = 3
_ITEM_HEADER_BYTES = 3
"""What CBOR adds at most: to an array of 64, and to a byte string of 1 KiB."""


class LinkState(Enum):
    """How far the way to the hub is open."""

    OFFLINE = "offline"
    WAITING = "waiting"
    SENDING = "sending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One message to send: from seq `first`, at most `most` check-ins."""

    first: int
    most: int


def fill(sizes: Sequence[int]) -> int:
    """How many of the sealed check-ins of these sizes (bytes) fit into one message: 64, and 64 KiB."""
    total = _ARRAY_HEADER_BYTES
    for count, size in enumerate(sizes[:MESSAGE_CHECKINS]):
        total += _ITEM_HEADER_BYTES + size
        if total > MESSAGE_BYTES:
            return count
    return min(len(sizes), MESSAGE_CHECKINS)


class GoBackN:
    """The sender's side. One object for the life of the process, over all connections.

    Args:
        oldest: lowest seq that the spool holds, `newest + 1` when it is empty.
        newest: the last seq of the spool.
        random: returns a float in [0, 1); spreads the waits.

    Attributes:
        state: how far the way to the hub is open.
        rewinds: how often sending began again.
    """

    def __init__(self, *, oldest: int, newest: int, random: Callable[[], float]) -> None:
        self.state = LinkState.OFFLINE
        self.rewinds = 0
        self._base = oldest
        self._next = oldest
        self._newest = newest
        self._backoff = Backoff(first_ms=RECEIPT_FIRST_MS, bound_ms=RECEIPT_BOUND_MS, random=random)
        self._session: bytes | None = None
        self._under_way: deque[int] = deque()
        """The last seq of each message that was sent beyond the last receipt."""
        self._unacknowledged = 0
        self._deadline_ms: int | None = None
        self._probing = False
        self._answered = False
        """A receipt without progress has led to a rewind already: the other ones of that burst must not."""
        self._broker_spoke = False
        self._presence_due = False
        self._hang_up_due = False

    @property
    def deadline_ms(self) -> int | None:
        """When `tick` will begin again unless a receipt comes; None when nothing is under way."""
        return self._deadline_ms

    def connected(self) -> None:
        """The broker has let us in and will deliver what we subscribed to."""
        self.state = LinkState.WAITING
        self._session = None
        self._unacknowledged = 0
        self._presence_due = True
        self._hang_up_due = False
        self._start_over()

    def disconnected(self) -> None:
        """The connection is gone, and with it everything that was under way."""
        self.state = LinkState.OFFLINE
        self._presence_due = False
        self._hang_up_due = False
        self._start_over()

    def hub_presence(self, *, session: bytes, online: bool) -> None:
        """The hub came, went, or is a new one."""
        if self.state is LinkState.OFFLINE:
            return
        if not online:
            self.state = LinkState.WAITING
            self._start_over()
            return
        if self.state is LinkState.SENDING and session == self._session:
            return
        # The first session finds what was said at connect, which still holds: without a hub, nothing is forgotten.
        self._presence_due |= self._session is not None and session != self._session
        self._session = session
        self.state = LinkState.SENDING
        self._backoff.reset()
        self._probing = False
        self._start_over()

    def appended(self, newest: int) -> None:
        """The spool has grown to `newest`."""
        self._newest = newest

    def puback(self) -> None:
        """The broker has taken one message off the wire. Says nothing about the hub."""
        self._unacknowledged = max(0, self._unacknowledged - 1)
        self._broker_spoke = True

    def receipt(self, seq: int, *, now_ms: int) -> None:
        """A verified receipt, whose hash is ours or too old to be compared: all up to `seq` is stored."""
        if seq >= self._base:
            self._progress(seq, now_ms)
            return
        if self.state is not LinkState.SENDING:
            return
        if seq < self._base - 1:
            if not self._answered:
                self._presence_due = True
        elif not self._under_way:
            return
        if not self._answered:
            self._rewind()
            self._answered = True

    def tick(self, *, now_ms: int) -> None:
        """Time has passed."""
        if self._deadline_ms is None or now_ms < self._deadline_ms:
            return
        # A broker that owes PUBACKs for a whole wait and gave none will not get better by our waiting.
        if self._unacknowledged and not self._broker_spoke:
            self._hang_up_due = True
        self._rewind()
        self._probing = True

    def next_message(self) -> Wanted | None:
        """What to send now; ask again after `sent`. None: nothing, or the window is full."""
        window = 1 if self._probing else WINDOW_MESSAGES
        if (
            self.state is not LinkState.SENDING
            or self._hang_up_due
            or self._next > self._newest
            or len(self._under_way) >= window
            or self._unacknowledged >= WINDOW_MESSAGES
        ):
            return None
        return Wanted(first=self._next, most=min(MESSAGE_CHECKINS, self._newest - self._next + 1))

    def sent(self, last: int, *, now_ms: int) -> None:
        """The message that was wanted is on the wire, and ends with seq `last`."""
        if not self._next <= last <= self._newest:
            raise ValueError(f"sent up to {last}, but {self._next} to {self._newest} was to be sent")
        self._next = last + 1
        self._under_way.append(last)
        self._unacknowledged += 1
        if self._deadline_ms is None:
            self._arm(now_ms)

    def take_presence(self) -> bool:
        """Whether to publish this device's presence now; says so once."""
        due, self._presence_due = self._presence_due, False
        return due

    def take_hang_up(self) -> bool:
        """Whether to give this connection up and make a new one; says so once."""
        due, self._hang_up_due = self._hang_up_due, False
        return due

    def _progress(self, seq: int, now_ms: int) -> None:
        self._base = seq + 1
        self._next = max(self._next, self._base)
        while self._under_way and self._under_way[0] <= seq:
            self._under_way.popleft()
        self._backoff.reset()
        self._probing = False
        self._answered = False
        if self._under_way:
            self._arm(now_ms)
        else:
            self._deadline_ms = None

    def _arm(self, now_ms: int) -> None:
        self._deadline_ms = now_ms + self._backoff.next_ms()
        self._broker_spoke = False

    def _rewind(self) -> None:
        self.rewinds += 1
        self._start_over()

    def _start_over(self) -> None:
        self._next = self._base
        self._under_way.clear()
        self._deadline_ms = None
        self._answered = False
