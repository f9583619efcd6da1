"""One TCP or TLS connection to the broker: hands bytes to its session and remembers how it ended."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from hub.broker.wire import BrokerError, Connected, MqttSession, Published, State, Subscribed

KEEP_ALIVE_S: Final = 30
"""A dead path is noticed within 45 s; devices are told by our will after the broker's own 45 s."""
_FAREWELL_S: Final = 2.0


class Link(asyncio.Protocol):
    """asyncio calls the first three methods; the client the others."""

    def __init__(
        self, *, session: MqttSession, number: int, on_data: Callable[["Link", list[Published]], None]
    ) -> None:
        self.session = session
        self.number = number
        self.connected = asyncio.Event()
        self.subscribed = asyncio.Event()
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self._on_data = on_data
        self._transport: asyncio.Transport | None = None
        self._error: BrokerError | None = None
        self._paused = False
        self._heard_s = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is open, TLS included."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- create_connection gives no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """asyncio: one read, up to 256 KiB."""
        self._heard_s = time.monotonic()
        try:
            events = self.session.receive(data)
        except BrokerError as error:
            self._error = error
            if self._transport is not None:
                self._transport.abort()
            return
        messages: list[Published] = []
        for event in events:
            if isinstance(event, Published):
                messages.append(event)
            elif isinstance(event, Connected):
                self.connected.set()
            elif isinstance(event, Subscribed):
                self.subscribed.set()
        self._on_data(self, messages)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is closed."""
        if self._error is None:
            self._error = BrokerError("lost", str(exc) if exc else "the broker closed the connection")
        self.lost.set()

    @property
    def waiting_bytes(self) -> int:
        """Bytes written that the socket has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; nothing happens once it is lost."""
        if self._transport is not None and not self.lost.is_set():
            self._transport.write(data)

    def pause(self) -> None:
        """Stop reading: the inbox is full."""
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and self._paused and not self._transport.is_closing():
            self._paused = False
            self._heard_s = time.monotonic()
            self._transport.resume_reading()

    async def until(self, event: asyncio.Event) -> None:
        """Wait for the event. Raises BrokerError when the connection ends first."""
        waiters = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.lost.wait())]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
        if self._error is not None:
            raise self._error

    async def stay_alive(self) -> None:
        """Ping at half the keep-alive until the connection ends. Raises BrokerError, always."""
        while not self.lost.is_set():
            # A broker may turn it off (0, MQTT 5.0 §3.1.2.10); we ping all the same, to notice a dead path.
            keep_alive_s = self.session.keep_alive_s or KEEP_ALIVE_S
            try:
                async with asyncio.timeout(keep_alive_s / 2):
                    await self.lost.wait()
            except TimeoutError:
                if not self._paused and time.monotonic() - self._heard_s > 1.5 * keep_alive_s:
                    raise BrokerError("silent", "no answer to our pings") from None
                self.write(self.session.ping())
        raise self._error or BrokerError("lost", "the connection is closed")

    async def close(self) -> None:
        """Close the socket and wait until it is. What was written is sent first, unless that takes too long."""
        if self._transport is None:
            return
        if self.session.state is State.CLOSED and self._error is None:
            self._transport.close()
            try:
                async with asyncio.timeout(_FAREWELL_S):
                    await self.lost.wait()
                return
            except TimeoutError:
                pass
        self._transport.abort()
