"""What the parts of `hub.trust` ask of their surroundings."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from hub.broker.wire import Outgoing
from hub.trust.sse import Event


class PlatformError(Exception):
    """No usable answer: network, TLS, an unexpected status, or one that is too long."""


class PlatformTimeoutError(PlatformError):
    """No answer in time."""


class PlatformRefusedError(PlatformError):
    """It read what it was given and does not take it; another try would end the same."""


class Publisher(Protocol):
    """The broker, as far as it is written to."""

    @property
    def generation(self) -> int:
        """Grows with each connection that is ready."""

    def publish(self, messages: Iterable[Outgoing]) -> bool:
        """One write with all of them; False when they were dropped."""


class Board(Protocol):
    """Where gates read: `hub.trust.shelf.Shelf`."""

    def set(self, topic: str, payload: bytes) -> None:
        """From now on this is retained under the topic."""

    def drop(self, topic: str) -> None:
        """From now on nothing is retained under the topic."""

    def live(self, topic: str, payload: bytes) -> bool:
        """Publish once, to whoever is there; False when it was dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPlace:
    """A place that the platform keeps closed."""

    place_id: str
    why: str


class Source(Protocol):
    """The platform's API. Every call may raise PlatformError."""

    async def trust(self, *, version: int) -> bytes | None:
        """The trust bundle; None when `version` is still the newest."""

    async def lists(self) -> tuple[str, ...]:
        """The addresses of all status lists."""

    async def snapshot(self, list_id: str, *, version: int) -> bytes | None:
        """A whole list; None when `version` is still the newest. 0 asks for whatever there is."""

    async def closed_places(self) -> tuple[ClosedPlace, ...]:
        """The places that the platform keeps closed."""

    def events(self, *, last_id: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """The stream, from the event after `last_id` on; it is open once entered."""

    async def resolve(self, sealed: bytes) -> bytes:
        """Sealed query -> signed answer. Raises PlatformTimeoutError when the gate's patience ends first."""

    async def desk(self, sealed: bytes) -> bytes:
        """A desk's sealed question -> signed answer, while an attendant waits."""

    async def put_device_key(self, kid: bytes, sealed: bytes) -> None:
        """Tell which key a device signs with."""


Clock = Callable[[], int]
"""Milliseconds since 1970, UTC."""
