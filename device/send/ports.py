"""What lies between the uplink and a connection: events in, bytes out. `wire.Wire` is the real one."""

from collections.abc import Callable
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
    """The broker has let us in and granted every subscription."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message, already limited in size."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A PUBACK, or a QoS 0 message that has left; `ok` is False when the broker refused the message."""

    mid: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Oversized:
    """A message was dropped unseen, because it was longer than anything that we subscribe to."""


Event = Up | Received | Acknowledged | Oversized


class WirePort(Protocol):
    """What the uplink needs of a connection, which lives from its making to `close`."""

    @property
    def ended(self) -> str | None:
        """Why it is over; None while it lives."""

    def events(self) -> list[Event]:
        """What has happened since the last call."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """Sends; the message's number, or None when the connection is going."""

    def close(self) -> None:
        """Says goodbye and ends it."""


class OpenWire(Protocol):
    """Makes a connection: `wire.Wire.open` with the broker and the client id filled in."""

    def __call__(self, *, subscriptions: tuple[str, ...], will: Will, notify: Callable[[], None]) -> WirePort:
        """Raises WireError when it cannot be made."""
