"""One MQTT 5 connection over TLS 1.3: bytes out, events in. paho-mqtt is a wire here, and nothing else.

Each connection is a `Wire` and a paho client of its own, so that nothing which paho had queued or counted can
come back on the next one: a QoS 1 publish while offline returns an error *and still queues*. paho neither
reconnects nor persists here; the spool does what must last.
"""

import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any, Self, cast

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.send.ports import Acknowledged, Event, Oversized, Received, Up, Will, WireError
from protocol.limits import PRESENCE_BYTES, WINDOW_MESSAGES

_DIAL_S = 5.0
"""For the TCP connection, and again for the handshake."""

_KEEPALIVE_S = 30
"""A cut that nobody announces is noticed after 45 s at most; receipts that stay away are noticed sooner."""

_RECEIVED_BYTES = PRESENCE_BYTES
"""Receipts (256 bytes) and the hub's presence are all that a device reads here."""

_PACKET_BYTES = 2 * _RECEIVED_BYTES
"""Payload, topic and properties: the broker must not send more."""

_INBOX_EVENTS = 256
"""Far above a window of PUBACKs and receipts. When full: the newest event is dropped and the connection given up,
since a lost PUBACK would never come again; the next connection starts clean."""

_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and the PEM files with which both sides prove who they are."""

    host: str
    port: int
    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _LetIn:
    """CONNACK: now the subscriptions are due."""


class _Inbox:
    """What paho's thread calls. It only puts events down and never raises: an exception would end that thread."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._events: deque[Event | _LetIn] = deque()
        self.ended: str | None = None

    def take_all(self) -> list[Event | _LetIn]:
        events: list[Event | _LetIn] = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def _put(self, event: Event | _LetIn) -> None:
        if len(self._events) < _INBOX_EVENTS:
            self._events.append(event)
        else:
            self.ended = self.ended or "more events than can be kept"
        self._notify()

    def _end(self, reason: str) -> None:
        self.ended = self.ended or reason
        self._notify()

    def on_connect(
        self, _client: Client, _userdata: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._end(f"the broker refused: {code}")
        else:
            self._put(_LetIn())

    def on_subscribe(
        self, _client: Client, _userdata: Any, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(code.is_failure for code in codes):
            self._end("the broker refused a subscription")
        else:
            self._put(Up())

    def on_disconnect(
        self, _client: Client, _userdata: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._end(f"disconnected: {code}")

    def on_publish(
        self, _client: Client, _userdata: Any, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._put(Acknowledged(mid=mid, ok=not code.is_failure))

    def on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if len(message.payload) > _RECEIVED_BYTES:
            self._put(Oversized())
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # No topic of ours.
        self._put(Received(topic=topic, payload=bytes(message.payload)))


class Wire:
    """One connection, from `open` to `close`. For one thread, which is not paho's."""

    def __init__(self, *, client: Client, inbox: _Inbox, subscriptions: tuple[str, ...]) -> None:
        self._client = client
        self._inbox = inbox
        self._subscriptions = subscriptions
        client.loop_start()
        # paho gives no other way to see its thread, which ends without a word when something raises in it.
        self._thread: threading.Thread | None = client._thread  # noqa: SLF001

    @classmethod
    def open(
        cls, *, broker: Broker, client_id: str, subscriptions: tuple[str, ...], will: Will, notify: Callable[[], None]
    ) -> Self:
        """Connects, which takes at most some 10 s; the broker's answer comes as an event.

        Args:
            broker: where, and with which certificates.
            client_id: the device id, which is also the certificate's CN.
            subscriptions: topics to subscribe to, QoS 1, as soon as the broker lets us in.
            will: the presence to leave behind.
            notify: called from paho's thread whenever `events` or `ended` has something new; must not block or raise.

        Raises:
            WireError: no network, no broker, or no trust between the two.
        """
        inbox = _Inbox(notify)
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5, reconnect_on_failure=False)
        client.connect_timeout = _DIAL_S
        client.max_inflight_messages_set(2 * WINDOW_MESSAGES)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = inbox.on_connect
        client.on_subscribe = inbox.on_subscribe
        client.on_disconnect = inbox.on_disconnect
        client.on_publish = inbox.on_publish
        client.on_message = inbox.on_message
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho left it without types
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = 2 * WINDOW_MESSAGES
        properties.MaximumPacketSize = _PACKET_BYTES
        try:
            client.tls_set_context(_tls(broker))
            client.connect(broker.host, broker.port, _KEEPALIVE_S, clean_start=True, properties=properties)
        except OSError as error:  # TLS errors are OSErrors as well.
            raise WireError(f"{broker.host}:{broker.port}: {error}") from error
        return cls(client=client, inbox=inbox, subscriptions=subscriptions)

    @property
    def ended(self) -> str | None:
        """Why this connection is over; None while it lives."""
        if self._inbox.ended is not None:
            return self._inbox.ended
        if self._thread is None or not self._thread.is_alive():
            return "its thread has ended"
        return None

    def events(self) -> list[Event]:
        """What has happened since the last call, in order."""
        events: list[Event] = []
        for event in self._inbox.take_all():
            if isinstance(event, _LetIn):
                self._client.subscribe([(topic, 1) for topic in self._subscriptions])
            else:
                events.append(event)
        return events

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """Sends one message; its number, or None when the connection is going. Only after `Up`."""
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        return info.mid if info.rc is MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def close(self) -> None:
        """Says goodbye, so that the will stays unsaid, and ends paho's thread. Takes at most some 4 s."""
        self._client.disconnect()
        if self._thread is None:
            return
        self._thread.join(_CLOSE_S)
        connected = cast("socket | None", self._client.socket())
        if self._thread.is_alive() and connected is not None:
            # The other side takes nothing any more, not even the goodbye.
            connected.shutdown(SHUT_RDWR)
            self._thread.join(_CLOSE_S)


def _tls(broker: Broker) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(broker.ca)
    context.load_cert_chain(broker.cert, broker.key)
    return context
