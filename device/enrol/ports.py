"""What an enrolment needs of the machine around it. `main` gives it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from protocol.enrolment import EnrolmentAnswer


class Network(Protocol):
    """Whoever joins wireless networks."""

    def join(self, ssid: str, psk: str) -> None:
        """Joins the network, for good; returns when it is up. One that this joined before is left.

        Raises:
            JoinError: it is not there, refuses, or takes too long.
        """

    def leave(self) -> None:
        """Forgets the network that `join` joined. Nothing happens where there is none.

        Raises:
            JoinError: it may still be known.
        """


class Hub(Protocol):
    """The hub's side, as far as an enrolment sees it."""

    def enrol(self, request: bytes) -> EnrolmentAnswer:
        """Asks with a sealed request."""

    def look(self, enrolment: bytes) -> EnrolmentAnswer:
        """What became of an enrolment."""


class Events(Protocol):
    """Where events are told; `device.logs.Log` is one."""

    def event(self, event: str, **fields: Any) -> None:
        """One event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the device says of itself; each 1 to 64 printable characters."""

    serial: str
    model: str
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """How the device shows people where it is. `waiting` and `working` are shown again from time to time.

    `fingerprint` gets the four words and the four characters of the device's key.
    """

    waiting: Callable[[], None]
    working: Callable[[], None]
    fingerprint: Callable[[tuple[str, str, str, str], str], None]
    failed: Callable[[], None]
    done: Callable[[], None]
