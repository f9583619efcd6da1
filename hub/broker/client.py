"""Keeps one connection to the broker alive: sockets, TLS, keep-alive, back-off. `wire` knows the protocol.

A message goes to the inbox, which `receive` empties and `acknowledge` answers, or to `on_side`, which takes it at once
and must not block; `route` says which, by topic.

Bounds and what happens at them
    inbox       `inbox_messages` or 16 MiB: the socket is not read until half of it was taken. TCP and the
                receive maximum then hold the broker back; what it drops, devices send again.
    to write    4 MiB: messages of QoS 0 are not sent and counted in `dropped`. Receipts are cumulative.
"""

import asyncio
import enum
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hub.broker.backoff import pause_s
from hub.broker.inbox import Delivery, Inbox
from hub.broker.link import KEEP_ALIVE_S, Link
from hub.broker.wire import BrokerError, MqttSession, Outgoing, Published

_LOG: Final = logging.getLogger(__name__)
_HANDSHAKE_S: Final = 15.0
_PAUSE_CAP_S: Final = 2.0  # A hub is one client, and every gate waits for it: a broker that came back is not crowded.
_RECEIVE_MAX: Final = 2048  # In flight: 35k messages/s (the broker's limit) times a commit of 50 ms.
_PACKET_BYTES_MAX: Final = 128 * 1024  # The largest message is 64 KiB; the rest is for topic and properties.
_INBOX_BYTES: Final = 16 * 1024 * 1024
_WRITE_BYTES: Final = 4 * 1024 * 1024
PRESENCE_S: Final = 60.0
"""How often we say again that we are there. Gates send nothing before they have heard it, and a broker with a full
queue drops even a retained message. With 5,000 gates that is 83 messages a second."""


class Route(enum.Flag):
    """Where a message goes."""

    INBOX = enum.auto()
    """To whoever stores it, and is acknowledged only then."""
    SIDE = enum.auto()
    """To `on_side`; acknowledged at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What one connection says about us: `online` once subscribed, `offline` at its end or as the will."""

    online: Outgoing
    offline: Outgoing


class BrokerClient:
    """A connection that comes back by itself. `run` it in a task; take messages with `receive`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        client_id: str,
        filters: Iterable[str],
        presence: Callable[[], Presence],
        route: Callable[[str], Route] = lambda _topic: Route.INBOX,
        on_side: Callable[[str, bytes], None] = lambda _topic, _payload: None,
        on_ready: Callable[[], None] = lambda: None,
        inbox_messages: int = 4096,
        keep_alive_s: int = KEEP_ALIVE_S,
        presence_s: float = PRESENCE_S,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._client_id = client_id
        self._filters = tuple(filters)
        self._presence = presence
        self._route, self._on_side, self._on_ready = route, on_side, on_ready
        self._inbox_messages = inbox_messages
        self._keep_alive_s, self._presence_s = keep_alive_s, presence_s
        self._inbox = Inbox()
        self._arrived = asyncio.Event()
        self._link: Link | None = None
        self._connections = 0
        self.generation = 0
        self.dropped = 0

    @property
    def ready(self) -> bool:
        """Connected, subscribed and announced."""
        return self._link is not None and self._link.ready.is_set() and not self._link.lost.is_set()

    async def run(self) -> None:
        """Connect, serve, connect again; ends only by cancellation, with an orderly farewell."""
        attempt = 0
        while True:
            started_s = time.monotonic()
            try:
                await self._serve_one_connection()
            except BrokerError as error:
                _LOG.warning("broker_connection_over", extra={"reason": error.reason, "what": str(error)})
            except OSError as error:  # TLS and time-outs too.
                _LOG.warning("broker_unreachable", extra={"reason": type(error).__name__, "what": str(error)})
            attempt = 0 if time.monotonic() - started_s > 2 * _PAUSE_CAP_S else attempt + 1
            # Jitter needs no secrecy.
            await asyncio.sleep(pause_s(attempt, cap_s=_PAUSE_CAP_S, draw=random.random()))  # noqa: S311

    async def receive(self, *, messages_max: int, bytes_max: int, wait_s: float) -> list[Delivery]:
        """What has arrived, in the order of `Inbox`; waits up to `wait_s` for the first message, then takes no pause.

        Ends before either bound is passed, but holds one message whatever its size; empty after `wait_s`.
        """
        if not self._inbox:
            self._arrived.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        taken = self._inbox.take(messages_max=messages_max, bytes_max=bytes_max, now_s=time.monotonic())
        if (
            self._link is not None
            and len(self._inbox) <= self._inbox_messages // 2
            and self._inbox.bytes <= _INBOX_BYTES // 2
        ):
            self._link.resume()
        return taken

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """One write with all PUBACKs. Those of an older connection went with it: the devices send again."""
        link = self._link
        if link is None:
            return
        ids = [
            delivery.packet_id
            for delivery in deliveries
            if delivery.packet_id is not None and delivery.connection == link.number
        ]
        if ids:
            link.write(link.session.acknowledge(ids))

    def publish(self, messages: Iterable[Outgoing]) -> bool:
        """One write with all messages (QoS 0). False when they were dropped: not connected, or 4 MiB wait."""
        link = self._link
        packets = list(messages)
        if link is None or not self.ready or link.waiting_bytes > _WRITE_BYTES:
            self.dropped += len(packets)
            return False
        link.write(b"".join([link.session.publish(message) for message in packets]))
        return True

    async def _serve_one_connection(self) -> None:
        self._connections += 1
        presence = self._presence()
        session = MqttSession(
            client_id=self._client_id,
            will=presence.offline,
            keep_alive_s=self._keep_alive_s,
            receive_max=_RECEIVE_MAX,
            packet_bytes_max=_PACKET_BYTES_MAX,
        )
        link = Link(session=session, number=self._connections, on_data=self._take)
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                await asyncio.get_running_loop().create_connection(lambda: link, self._host, self._port, ssl=self._tls)
                self._link = link
                link.write(session.connect())
                await link.until(link.connected)
                link.write(session.subscribe(self._filters))
                await link.until(link.subscribed)
            link.write(session.publish(presence.online))
            link.ready.set()
            self.generation += 1
            _LOG.info("broker_ready", extra={"connection": link.number})
            self._on_ready()
            await self._stay(link, presence)
        finally:
            if self.ready:
                link.write(session.publish(presence.offline) + session.disconnect())
            self._link = None
            await link.close()

    async def _stay(self, link: Link, presence: Presence) -> None:
        """Raises BrokerError when the connection ends."""
        again = asyncio.create_task(self._say_again(link, presence))
        try:
            await link.stay_alive()
        finally:
            again.cancel()

    async def _say_again(self, link: Link, presence: Presence) -> None:
        # A broker that has no room for one more unanswered message is not helped by saying so.
        with suppress(BrokerError):
            while True:
                await asyncio.sleep(self._presence_s)
                link.write(link.session.publish(presence.online))

    def _take(self, link: Link, messages: list[Published]) -> None:
        arrived_s = time.monotonic()
        done: list[int] = []
        for message in messages:
            route = self._route(message.topic)
            if Route.SIDE in route:
                self._on_side(message.topic, message.payload)
            if Route.INBOX not in route:
                if message.packet_id is not None:
                    done.append(message.packet_id)
                continue
            self._inbox.put(
                Delivery(
                    topic=message.topic,
                    payload=message.payload,
                    packet_id=message.packet_id,
                    connection=link.number,
                    arrived_s=arrived_s,
                )
            )
        if done:
            link.write(link.session.acknowledge(done))
        if self._inbox:
            self._arrived.set()
        if len(self._inbox) >= self._inbox_messages or self._inbox.bytes >= _INBOX_BYTES:
            link.pause()
