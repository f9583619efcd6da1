"""bytes -> events, requests -> bytes. One MQTT 5 connection without its socket and without a clock.

Order of a connection (MQTT 5.0 §3, §4):

    state       allowed from the broker                        next
    NEW         nothing: we speak first                        CONNECTING, when `connect` was written
    CONNECTING  CONNACK success                                READY
                CONNACK refusal                                CLOSED, BrokerError("refused")
    READY       PUBLISH (QoS 0, 1), PUBACK, SUBACK, PINGRESP   READY
                DISCONNECT                                     CLOSED, BrokerError("disconnected")
    any         anything else, or bytes that are not MQTT      CLOSED, BrokerError("protocol_error")
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import mqtt5

from protocol.record import record

_HEADER_BYTES_MAX: Final = 5  # Packet type and four bytes of length, MQTT 5.0 §2.1.
_FAILURE: Final = 128  # Reason codes from here on are failures, §2.4. The codec's enumerations are not integers.


class BrokerError(Exception):
    """The connection is over. `reason` is stable: refused, disconnected, protocol_error, silent, lost."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(f"{reason}: {what}")
        self.reason = reason


@record
class Outgoing:
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The broker took us. `keep_alive_s` is the one in force, which the broker may have changed."""

    keep_alive_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """Every filter of the one subscription was granted."""


@record
class Published:
    """A message from a device. `packet_id` is None at QoS 0: nothing to acknowledge."""

    topic: str
    payload: bytes
    packet_id: int | None


Event = Connected | Subscribed | Published


class State(enum.Enum):
    """Where a connection stands; see the table above."""

    NEW = "new"
    CONNECTING = "connecting"
    READY = "ready"
    CLOSED = "closed"


class MqttSession:
    """The client's side of one connection. Feed it with `receive`; write what the other methods return."""

    def __init__(
        self, *, client_id: str, will: Outgoing, keep_alive_s: int, receive_max: int, packet_bytes_max: int
    ) -> None:
        self.state = State.NEW
        self.keep_alive_s = keep_alive_s
        self._client_id = client_id
        self._will = will
        self._receive_max = receive_max
        self._packet_bytes_max = packet_bytes_max
        self._rest = b""
        self._unacknowledged: dict[int, bool] = {}
        """Packet ids in the order in which they came, and whether their messages are done with."""
        self._own_packet_id = 0
        self._published: set[int] = set()
        self._publish_max = 0

    @property
    def unacknowledged(self) -> int:
        """QoS 1 messages received and not acknowledged; the broker should send at most `receive_max` of them."""
        return len(self._unacknowledged)

    def connect(self) -> bytes:
        """CONNECT: clean start and session expiry 0, since the broker holds nothing that matters."""
        self.state = State.CONNECTING
        will = mqtt5.Will(
            self._will.topic,
            payload=self._will.payload,
            qos=mqtt5.QoS(self._will.qos),
            retain=self._will.retain,
        )
        packet = mqtt5.ConnectPacket(
            self._client_id,
            clean_start=True,
            will=will,
            keep_alive=self.keep_alive_s,
            receive_max=self._receive_max,
            max_packet_size=self._packet_bytes_max,
        )
        return packet.write()

    def subscribe(self, filters: Iterable[str]) -> bytes:
        """SUBSCRIBE at QoS 1; its answer is `Subscribed`, or BrokerError when any filter is refused."""
        wanted = [mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS.AT_LEAST_ONCE) for pattern in filters]
        return mqtt5.SubscribePacket(self._next_packet_id(), wanted).write()

    def publish(self, message: Outgoing) -> bytes:
        """PUBLISH. Raises BrokerError when the broker's own receive maximum is used up (QoS 1 only)."""
        packet_id = None
        if message.qos:
            if len(self._published) >= self._publish_max:
                raise BrokerError("protocol_error", "more unanswered messages than the broker takes")
            packet_id = self._next_packet_id()
            self._published.add(packet_id)
        return mqtt5.PublishPacket(
            message.topic,
            message.payload,
            qos=mqtt5.QoS(message.qos),
            retain=message.retain,
            packet_id=packet_id,
        ).write()

    def acknowledge(self, packet_ids: Iterable[int]) -> bytes:
        """These messages are done with. Gives all PUBACKs that are due, as one write.

        They leave in the order in which the messages came (MQTT 5.0 §4.6): what is done early waits for those before.
        """
        for packet_id in packet_ids:
            self._unacknowledged[packet_id] = True
        due = list(takewhile(self._unacknowledged.__getitem__, self._unacknowledged))
        for packet_id in due:
            del self._unacknowledged[packet_id]
        return b"".join([mqtt5.PubAckPacket(packet_id).write() for packet_id in due])

    @staticmethod
    def ping() -> bytes:
        """PINGREQ."""
        return mqtt5.PingReqPacket().write()

    def disconnect(self) -> bytes:
        """DISCONNECT: an orderly end, after which the broker does not publish the will."""
        self.state = State.CLOSED
        return mqtt5.DisconnectPacket().write()

    def receive(self, data: bytes) -> list[Event]:
        """Events of all packets that are whole in what was received so far.

        Holds back at most one unfinished packet of `packet_bytes_max`. Raises BrokerError; the connection is
        then of no more use.
        """
        if self._rest:
            data = self._rest + data
        events: list[Event] = []
        start, size = 0, len(data)
        view = memoryview(data)
        try:
            while start < size:
                end = self._packet_end(data, start)
                if end > size:
                    break
                event = self._handle(_decode(view[start:end]))
                if event is not None:
                    events.append(event)
                start = end
        except BrokerError:
            self.state = State.CLOSED
            raise
        self._rest = data[start:]
        return events

    def _packet_end(self, data: bytes, start: int) -> int:
        """Index after the packet at `start`; beyond the data while its length is not there yet (§1.5.5)."""
        length = 0
        for index in range(1, _HEADER_BYTES_MAX):
            if start + index >= len(data):
                return len(data) + 1
            byte = data[start + index]
            length |= (byte & 0x7F) << (7 * (index - 1))
            if byte < 0x80:
                if length + index + 1 > self._packet_bytes_max:
                    raise BrokerError("protocol_error", "a packet above the maximum that we announced")
                return start + index + 1 + length
        raise BrokerError("protocol_error", "a packet length of more than four bytes")

    def _handle(self, packet: mqtt5.Packet) -> Event | None:
        if isinstance(packet, mqtt5.PublishPacket) and self.state is State.READY:
            return self._message(packet)
        if isinstance(packet, mqtt5.ConnAckPacket) and self.state is State.CONNECTING:
            return self._connected(packet)
        if isinstance(packet, mqtt5.DisconnectPacket):
            raise BrokerError("disconnected", packet.reason_code.name.lower())
        if self.state is State.READY:
            if isinstance(packet, mqtt5.PubAckPacket):
                self._published_answer(packet)
                return None
            if isinstance(packet, mqtt5.SubAckPacket):
                if any(int(code) >= _FAILURE for code in packet.reason_codes):
                    raise BrokerError("refused", "the broker does not grant the subscription")
                return Subscribed()
            if isinstance(packet, mqtt5.PingRespPacket):
                return None
        raise BrokerError("protocol_error", f"{type(packet).__name__} while {self.state.value}")

    def _connected(self, packet: mqtt5.ConnAckPacket) -> Connected:
        if int(packet.reason_code) >= _FAILURE:
            raise BrokerError("refused", packet.reason_code.name.lower())
        self.state = State.READY
        self._publish_max = packet.receive_max
        if packet.server_keep_alive is not None:
            self.keep_alive_s = packet.server_keep_alive
        return Connected(keep_alive_s=self.keep_alive_s)

    def _message(self, packet: mqtt5.PublishPacket) -> Published:
        packet_id = packet.packet_id
        if packet.topic_alias is not None or not packet.topic:
            raise BrokerError("protocol_error", "a topic alias, of which we allow none")
        if packet.qos == mqtt5.QoS.EXACTLY_ONCE:
            raise BrokerError("protocol_error", "QoS 2, which we did not subscribe to")
        if packet_id is not None:
            if packet_id in self._unacknowledged or not packet_id:
                raise BrokerError("protocol_error", "a packet id that is in use, or is 0 (MQTT 5.0 §2.2.1)")
            # More than our receive maximum is let pass: Mosquitto 2.0 sends that after many PUBACKs in one
            # write. The packet ids bound it, and whoever holds the inbox stops reading when it is full.
            self._unacknowledged[packet_id] = False
        return Published(topic=packet.topic, payload=packet.payload, packet_id=packet_id)

    def _published_answer(self, packet: mqtt5.PubAckPacket) -> None:
        if packet.packet_id not in self._published:
            raise BrokerError("protocol_error", "a PUBACK for nothing that we sent")
        self._published.discard(packet.packet_id)
        if int(packet.reason_code) >= _FAILURE:
            raise BrokerError("refused", f"our message: {packet.reason_code.name.lower()}")

    def _next_packet_id(self) -> int:
        """1 to 65535 in turn. The few messages we send at QoS 1 are answered long before it comes round."""
        self._own_packet_id = self._own_packet_id % 0xFFFF + 1
        return self._own_packet_id


def _decode(packet: memoryview) -> mqtt5.Packet:
    """One whole packet. Raises BrokerError for anything that the codec does not take.

    The codec raises ValueError, or IndexError where a field runs over the packet, or a Rust panic (for text
    that is not UTF-8), which is a BaseException of a class that cannot be imported.
    """
    try:
        decoded, used = mqtt5.read(packet)
    except (ValueError, IndexError) as error:
        raise BrokerError("protocol_error", str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise BrokerError("protocol_error", "the codec gave up on a packet") from error
    if used != len(packet):
        raise BrokerError("protocol_error", "a packet longer than its fields")
    return decoded
