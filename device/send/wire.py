"""One MQTT 5 connection over TLS 1.3: bytes out, events in. paho-mqtt is a wire here, and nothing else.

Each connection is a `Wire` and a paho client of its own, so that nothing which paho had queued or counted can
come back on the next one: a QoS 1 publish while offline returns an error *and still queues*. paho neither
reconnects nor persists here; the spool does what must last.
"""

import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Self, cast

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from device.send.arrivals import Arrivals, LetIn
from device.send.ports import Event, Received, Will, WireError
from protocol.limits import STATUS_LIST_BYTES, WINDOW_MESSAGES
from protocol.topics import is_shared

_DIAL_S = 5.0
"""For the TCP connection, and again for the handshake."""

_KEEPALIVE_S = 30
"""A cut that nobody announces is noticed after 45 s at most; receipts that stay away are noticed sooner."""

_PACKET_BYTES = STATUS_LIST_BYTES + 2 * 1024
"""The longest payload that we subscribe to is a status list; its topic and properties need far less than 2 KiB.
The broker must not send more, and drops what is longer."""

_RECEIVE_MESSAGES = 2 * WINDOW_MESSAGES
"""Messages of QoS 1 that the broker may send before one is taken; it keeps the others."""

_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and the PEM files with which both sides prove who they are."""

    host: str
    port: int
    ca: Path
    cert: Path
    key: Path


class Wire:
    """One connection, from `open` to `close`. For one thread, which is not paho's."""

    def __init__(self, *, client: Client, arrivals: Arrivals, subscriptions: tuple[str, ...]) -> None:
        self._client = client
        self._arrivals = arrivals
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
            subscriptions: topics to subscribe to, QoS 1, as soon as the broker lets us in; without them the
                connection is of no use.
            will: the presence to leave behind.
            notify: called from paho's thread whenever `events` or `ended` has something new; must not block or raise.

        Raises:
            WireError: no network, no broker, or no trust between the two.
        """
        arrivals = Arrivals(notify)
        client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5, reconnect_on_failure=False, manual_ack=True
        )
        client.connect_timeout = _DIAL_S
        client.max_inflight_messages_set(2 * WINDOW_MESSAGES)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = arrivals.on_connect
        client.on_subscribe = arrivals.on_subscribe
        client.on_disconnect = arrivals.on_disconnect
        client.on_publish = arrivals.on_publish
        client.on_message = arrivals.on_message
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho left it without types
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = _RECEIVE_MESSAGES
        properties.MaximumPacketSize = _PACKET_BYTES
        try:
            client.tls_set_context(_tls(broker))
            client.connect(broker.host, broker.port, _KEEPALIVE_S, clean_start=True, properties=properties)
        except (OSError, UnicodeError) as error:
            # TLS errors are OSErrors as well; a name that DNS cannot have is a UnicodeError.
            raise WireError(f"{broker.host}:{broker.port}: {error}") from error
        return cls(client=client, arrivals=arrivals, subscriptions=subscriptions)

    @property
    def ended(self) -> str | None:
        """Why this connection is over; None while it lives."""
        if self._arrivals.ended is not None:
            return self._arrivals.ended
        if self._thread is None or not self._thread.is_alive():
            return "its thread has ended"
        return None

    def events(self) -> list[Event]:
        """What has happened since the last call, in order."""
        events: list[Event] = []
        for event in self._arrivals.take_all():
            if isinstance(event, LetIn):
                self.subscribe(self._subscriptions)
            else:
                events.append(event)
        return events

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """Sends one message; its number, or None when the connection is going. Only after `Up`."""
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        return info.mid if info.rc is MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def subscribe(self, topics: Iterable[str]) -> None:
        """Asks for more topics. A refusal comes as an event; what is retained comes once more for each.

        QoS 1, but for what any gate of the place may say: sent with QoS 1 and in a flood, that would fill what the
        broker keeps for us, and then what we keep, in the place of receipts and commands.
        """
        if wanted := [(topic, 0 if is_shared(topic) else 1) for topic in topics]:
            self._client.subscribe(wanted)

    def unsubscribe(self, topics: Iterable[str]) -> None:
        """Asks for fewer topics."""
        if unwanted := list(topics):
            self._client.unsubscribe(unwanted)

    def taken(self, message: Received) -> None:
        """Acknowledges a message, so that the broker may send another one."""
        if message.mid:
            self._arrivals.taken(message)
            self._client.ack(message.mid, 1)

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
