"""What paho's thread puts down, for the uplink's thread to take up. Bounded, whoever floods."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.send.ports import Acknowledged, Event, Missed, Oversized, Received, Refused, Up
from protocol.limits import STATUS_LIST_BYTES

EVENTS_MOST = 1024
"""Far above a window of PUBACKs, receipts and what one turn of the uplink leaves waiting. When full: the newest event
is dropped and the connection given up, since a lost PUBACK would never come again; the next connection starts clean."""

UNTAKEN_MOST = 1024
UNTAKEN_BYTES = 32 * STATUS_LIST_BYTES
"""Messages of QoS 1 that may wait in our memory, 16 MiB. The broker is asked for 16 at a time, but Mosquitto 2.0.11
lets more through in a burst (its issue 2301); beyond these bounds the connection is given up."""

HINTS_MOST = 64
"""Messages of QoS 0 that wait; the newest is dropped beyond. Nobody can fill with them what the others need."""

HINT_BYTES = 1024
"""A hint of a used code is about 35 bytes, and nothing that comes with QoS 0 is much longer."""


@dataclass(frozen=True, slots=True)
class LetIn:
    """CONNACK: now the first subscriptions are due."""


class Arrivals:
    """What paho's thread calls. It only puts events down and never raises: an exception would end that thread.

    Messages of QoS 1 are bounded by the broker: it sends no more than it was asked for before one is `taken`.

    Args:
        notify: called, from paho's thread, after each event.

    Attributes:
        ended: why the connection is over; None while it lives.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self.ended: str | None = None
        self._notify = notify
        self._events: deque[Event | LetIn] = deque()
        self._hints: deque[Received] = deque()
        # Counted by paho's thread and only read by the other, which keeps what it has told.
        self._missed = self._missed_told = 0
        self._oversized = self._oversized_told = 0
        # Each counted by one thread: messages and bytes.
        self._came = self._came_bytes = 0
        self._taken = self._taken_bytes = 0
        self._up = False

    def taken(self, message: Received) -> None:
        """A message of QoS 1 has been worked on."""
        self._taken += 1
        self._taken_bytes += len(message.payload)

    def take_all(self) -> list[Event | LetIn]:
        """Everything since the last call, the hints last."""
        events: list[Event | LetIn] = []
        while self._events:
            events.append(self._events.popleft())
        while self._hints:
            events.append(self._hints.popleft())
        if (missed := self._missed) != self._missed_told:
            events.append(Missed(count=missed - self._missed_told))
            self._missed_told = missed
        if (oversized := self._oversized) != self._oversized_told:
            events.append(Oversized(count=oversized - self._oversized_told))
            self._oversized_told = oversized
        return events

    def on_connect(
        self, _client: Client, _userdata: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        """As paho says."""
        if code.is_failure:
            self._end(f"the broker refused: {code}")
        else:
            self._put(LetIn())

    def on_subscribe(
        self, _client: Client, _userdata: Any, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        """As paho says. The first answer is to the first subscriptions, for others are made only after it."""
        refused = any(code.is_failure for code in codes)
        if self._up:
            if refused:
                self._put(Refused())
        elif refused:
            self._end("the broker refused a subscription")
        else:
            self._up = True
            self._put(Up())

    def on_disconnect(
        self, _client: Client, _userdata: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        """As paho says."""
        self._end(f"disconnected: {code}")

    def on_publish(
        self, _client: Client, _userdata: Any, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        """As paho says."""
        self._put(Acknowledged(mid=mid, ok=not code.is_failure))

    def on_message(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        """As paho says."""
        if len(message.payload) > (STATUS_LIST_BYTES if message.qos else HINT_BYTES):
            client.ack(message.mid, message.qos)
            self._oversized += 1
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            client.ack(message.mid, message.qos)
            return  # No topic of ours.
        if message.qos:
            self._came += 1
            self._came_bytes += len(message.payload)
            if self._came - self._taken > UNTAKEN_MOST or self._came_bytes - self._taken_bytes > UNTAKEN_BYTES:
                self._end("the broker sends more than it may")
                return
            self._put(Received(topic=topic, payload=bytes(message.payload), mid=message.mid))
        elif len(self._hints) < HINTS_MOST:
            self._hints.append(Received(topic=topic, payload=bytes(message.payload)))
            self._notify()
        else:
            self._missed += 1

    def _put(self, event: Event | LetIn) -> None:
        if len(self._events) < EVENTS_MOST:
            self._events.append(event)
        else:
            self.ended = self.ended or "more events than can be kept"
        self._notify()

    def _end(self, reason: str) -> None:
        self.ended = self.ended or reason
        self._notify()
