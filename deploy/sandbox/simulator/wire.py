"""The device's connection, as its uplink knows one (`WirePort`), over the simulated network."""

from collections.abc import Callable, Iterable

from deploy.sandbox.simulator.broker import Broker, Connection, Message
from device.send.ports import Acknowledged, Event, Received, Up, Will, WireError


class SimWire:
    """`device.send.ports.WirePort`. Built by `open_wire`."""

    def __init__(self, broker: Broker, *, client: str, will: Will, notify: Callable[[], None]) -> None:
        self._broker = broker
        self._notify = notify
        self._events: list[Event] = []
        self._number = 0
        self.ended: str | None = None
        self.connection = Connection(
            client=client,
            will=Message(topic=will.topic, payload=will.payload, qos=1, retain=True),
            on_up=lambda: self._put(Up()),
            on_message=lambda message: self._put(Received(topic=message.topic, payload=message.payload)),
            on_ack=lambda number, ok: self._put(Acknowledged(mid=number, ok=ok)),
            on_end=self._end,
        )

    def events(self) -> list[Event]:
        """As `WirePort`."""
        events, self._events = self._events, []
        return events

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """As `WirePort`."""
        if self.ended is not None:
            return None
        self._number += 1
        message = Message(topic=topic, payload=payload, qos=qos, retain=retain)
        self._broker.publish(self.connection, message, self._number if qos else 0)
        return self._number

    def subscribe(self, topics: Iterable[str]) -> None:
        """As `WirePort`."""
        self._broker.subscribe(self.connection, list(topics))

    def unsubscribe(self, topics: Iterable[str]) -> None:
        """As `WirePort`."""
        self.connection.subscriptions.difference_update(topics)

    def taken(self, message: Received) -> None:
        """As `WirePort`."""

    def close(self) -> None:
        """As `WirePort`."""
        if self.ended is None:
            self.ended = "closed"
            self._broker.leave(self.connection)

    def _put(self, event: Event) -> None:
        self._events.append(event)
        self._notify()

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        self._notify()


def open_wire(
    broker: Broker, *, client: str, subscriptions: tuple[str, ...], will: Will, notify: Callable[[], None]
) -> SimWire:
    """As `OpenWire`."""
    if not broker.reachable(client):
        raise WireError("no route to the broker")
    wire = SimWire(broker, client=client, will=will, notify=notify)
    wire.connection.subscriptions.update(subscriptions)
    broker.connect(wire.connection)
    return wire
