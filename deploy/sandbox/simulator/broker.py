"""The broker and the network around it: MQTT as far as delivery goes, with everything that it may do to a message.

A connection is a pair of one-way streets, each in order, as TCP is. It ends in one of three ways: both sides see it,
one side sees it, or, half-open, nobody does until keep-alive runs out. Beyond that the broker itself is bad: it
acknowledges before it delivers and then forgets, delivers twice, late and out of order, refuses, and restarts empty.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from deploy.sandbox.simulator.world import World
from protocol import topics

KEEP_ALIVE_MS = 30_000
"""As device and hub ask for."""

_LATENCY_MS = (1.0, 15.0)
HUB = "hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is published."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(slots=True, kw_only=True)
class Weather:
    """What may happen to a message between broker and subscriber, by probability; and how slow the network is."""

    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    refused: float = 0.0
    slow_ms: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One client's connection, as both ends see it.

    `on_message`, `on_ack` (message number, taken) and `on_end` (why) are called at the client's end.
    """

    client: str
    will: Message
    on_up: Callable[[], None]
    on_message: Callable[[Message], None]
    on_ack: Callable[[int, bool], None]
    on_end: Callable[[str], None]
    subscriptions: set[str] = field(default_factory=set)
    client_open: bool = True
    broker_open: bool = True
    black_hole: bool = False
    """Half-open: whatever is sent vanishes."""
    to_broker_us: int = 0
    to_client_us: int = 0
    """Until when each street is busy: what comes later arrives later."""


class Broker:
    """One broker, which keeps nothing on any disk."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.weather = Weather()
        self.unreachable: set[str] = set()
        """Clients whose network is cut: they cannot connect."""
        self._running = True
        self._clients: dict[str, Connection] = {}
        self._retained: dict[str, Message] = {}
        self._listening: set[str] = set()

    def reachable(self, client: str) -> bool:
        """Whether a connection can be made."""
        return self._running and client not in self.unreachable

    def connect(self, connection: Connection) -> None:
        """A client knocks; `on_up` follows when it is let in. Whoever had its name is put out."""

        def let_in() -> None:
            if not (self._running and connection.broker_open):
                return
            before = self._clients.get(connection.client)
            if before is not None:
                self._end(before, say_will=True)
            self._clients[connection.client] = connection
            self._to_client(connection, connection.on_up)
            for topic in sorted(connection.subscriptions):
                self._send_retained(connection, topic)

        self._to_broker(connection, let_in)

    def publish(self, connection: Connection, message: Message, number: int) -> None:
        """What a client sends. `number` is acknowledged when its QoS asks for it."""

        def take() -> None:
            if not connection.broker_open or self._clients.get(connection.client) is not connection:
                return
            refused = self._world.likely(self.weather.refused)
            if number:
                self._to_client(connection, lambda: connection.on_ack(number, not refused))
            if not refused:
                self._spread(message)

        self._to_broker(connection, take)

    def subscribe(self, connection: Connection, wanted: list[str]) -> None:
        """More topics; what is retained comes once more for each."""

        def take() -> None:
            if connection.broker_open:
                connection.subscriptions.update(wanted)
                for topic in wanted:
                    self._send_retained(connection, topic)

        self._to_broker(connection, take)

    def leave(self, connection: Connection) -> None:
        """An orderly farewell: no will."""
        connection.client_open = False
        self._to_broker(connection, lambda: self._end(connection, say_will=False))

    def vanish(self, connection: Connection) -> None:
        """The client's process is dead: its kernel closes the connection, and the broker says the will."""
        connection.client_open = False
        self._to_broker(connection, lambda: self._end(connection, say_will=True))

    def cut(self, client: str, *, seen: bool) -> None:
        """The connection breaks: at once for both ends, or unseen, until keep-alive tells."""
        connection = self._clients.get(client)
        if connection is None:
            return
        connection.black_hole = True
        self._end_both(connection, after_ms=0 if seen else 1.5 * KEEP_ALIVE_MS, why="cut" if seen else "keep-alive")

    def restart(self, *, away_ms: float) -> None:
        """Everything forgotten: sessions, queues, what was retained. No will is said."""
        for connection in list(self._clients.values()):
            connection.black_hole = True
            self._end(connection, say_will=False)
            self._world.after(0, lambda gone=connection: self._client_ends(gone, "the broker is gone"))  # type: ignore[misc]
        self._retained.clear()
        self._running = False

        def back() -> None:
            self._running = True

        self._world.after(away_ms, back)

    def _end_both(self, connection: Connection, *, after_ms: float, why: str) -> None:
        # Each end runs out on its own.
        self._world.after(after_ms * self._world.between(0.7, 1), lambda: self._end(connection, say_will=True))
        self._world.after(after_ms * self._world.between(0.7, 1), lambda: self._client_ends(connection, why))

    def _client_ends(self, connection: Connection, why: str) -> None:
        if connection.client_open:
            connection.client_open = False
            connection.on_end(why)

    def _end(self, connection: Connection, *, say_will: bool) -> None:
        if not connection.broker_open:
            return
        connection.broker_open = False
        if self._clients.get(connection.client) is connection:
            del self._clients[connection.client]
            self._to_client(connection, lambda: self._client_ends(connection, "closed by the broker"))
            if say_will and self._running:
                self._spread(connection.will)

    def _spread(self, message: Message) -> None:
        if message.retain:
            self._retained[message.topic] = message
        for connection in list(self._clients.values()):
            if _wants(connection, message.topic):
                self._pass_on(connection, message)

    def _pass_on(self, connection: Connection, message: Message) -> None:
        """Here is where a message that was acknowledged gets lost."""
        weather = self.weather
        if self._world.likely(weather.lost):
            return
        for _ in range(2 if self._world.likely(weather.twice) else 1):
            if self._world.likely(weather.late):
                late_ms = self._world.between(5, 3_000)
                self._world.after(late_ms, lambda: self._deliver(connection, message))
            else:
                self._deliver(connection, message)

    def _deliver(self, connection: Connection, message: Message) -> None:
        self._to_client(connection, lambda: connection.on_message(message))

    def _send_retained(self, connection: Connection, topic: str) -> None:
        for message in list(self._retained.values()):
            if _matches(topic, message.topic):
                self._deliver(connection, message)

    def _to_broker(self, connection: Connection, act: Callable[[], None]) -> None:
        at_us = max(connection.to_broker_us, self._world.now_us + self._latency_us())
        connection.to_broker_us = at_us

        def arrive() -> None:
            if self._running and not connection.black_hole:
                act()

        self._world.after((at_us - self._world.now_us) / 1000, arrive)

    def _to_client(self, connection: Connection, act: Callable[[], None]) -> None:
        at_us = max(connection.to_client_us, self._world.now_us + self._latency_us())
        connection.to_client_us = at_us

        def arrive() -> None:
            if connection.client_open and not connection.black_hole:
                act()

        self._world.after((at_us - self._world.now_us) / 1000, arrive)

    def _latency_us(self) -> int:
        low, high = _LATENCY_MS
        return round(1000 * (self._world.between(low, high) + self._world.between(0, self.weather.slow_ms)))


def _wants(connection: Connection, topic: str) -> bool:
    return any(_matches(wanted, topic) for wanted in connection.subscriptions)


@lru_cache(maxsize=256)
def _matches(wanted: str, topic: str) -> bool:
    """MQTT's filters as far as they are used here: `+` for one level."""
    if "+" not in wanted:
        return wanted == topic
    levels, given = wanted.split("/"), topic.split("/")
    return len(levels) == len(given) and all(level in ("+", at) for level, at in zip(levels, given, strict=True))


HUB_FILTERS = (topics.CHECKINS_FILTER, topics.PRESENCE_FILTER)
"""What the hub's ingest listens to."""
