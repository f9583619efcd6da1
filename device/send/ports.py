"""What the uplink stands between: a connection (`wire.Wire` is the real one) and whoever reads what comes down."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol


class WireError(Exception):
    """No connection could be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker says, retained, when this device is cut off."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Up:
    """The broker has let us in and granted the subscriptions without which nothing can be sent."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message, already limited in size. `mid` is for `WirePort.taken`; 0 where nobody waits for that (QoS 0)."""

    topic: str
    payload: bytes
    mid: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A PUBACK, or a QoS 0 message that has left; `ok` is False when the broker refused the message."""

    mid: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Oversized:
    """So many messages were dropped unseen, because they were longer than anything that we subscribe to."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Missed:
    """So many messages of QoS 0 were dropped unseen, because more came than were taken."""

    count: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker refused a subscription that was made after `Up`."""


Event = Up | Received | Acknowledged | Oversized | Missed | Refused


class WirePort(Protocol):
    """What the uplink needs of a connection, which lives from its making to `close`."""

    @property
    def ended(self) -> str | None:
        """Why it is over; None while it lives."""

    def events(self) -> list[Event]:
        """What has happened since the last call."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """Sends; the message's number, or None when the connection is going."""

    def subscribe(self, topics: Iterable[str]) -> None:
        """Asks for more, QoS 1; what is retained comes once more for each."""

    def unsubscribe(self, topics: Iterable[str]) -> None:
        """Asks for less. What is on the way may still come."""

    def taken(self, message: Received) -> None:
        """The message has been worked on: the broker may send another in its place."""

    def close(self) -> None:
        """Says goodbye and ends it."""


class OpenWire(Protocol):
    """Makes a connection: `wire.Wire.open` with the broker and the client id filled in."""

    def __call__(self, *, subscriptions: tuple[str, ...], will: Will, notify: Callable[[], None]) -> WirePort:
        """Raises WireError when it cannot be made."""


class Downlink(Protocol):
    """Reads what comes down besides receipts: trust, lists, policy, commands, answers, hints.

    Called by the uplink's thread alone, one message at a time.
    """

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """What it wants to hear now; compared after each message and at least once a second."""

    def take(self, topic: str, payload: bytes) -> None:
        """One message, as received, not longer than a status list. Never raises over what it says."""
