"""The retained messages that should stand at the broker, and that they do.

`set` writes to the socket before it returns; the task is only for what could not be written then, and puts
everything there again after each new connection: the broker may have forgotten all of it.

Bounds: a message waits here once, in its newest form. Of the topics that were dropped the newest 4,096 are
remembered, so that a broker which keeps its retained messages hears of it after the next connection too.
"""

import asyncio
from typing import Final

from hub.broker.wire import Outgoing
from hub.health import Health
from hub.trust.ports import Publisher

_LOOK_S: Final = 0.1
_DROPPED_MAX: Final = 4096
_WRITE_BYTES: Final = 256 * 1024
_WRITE_MESSAGES: Final = 64


class Shelf:
    """`hub.trust.ports.Board`. `run` it in a task."""

    def __init__(self, *, publisher: Publisher, health: Health) -> None:
        self._publisher, self._health = publisher, health
        self._wanted: dict[str, bytes] = {}
        self._dropped: dict[str, None] = {}
        self._waiting: dict[str, None] = {}
        self._generation = publisher.generation

    def set(self, topic: str, payload: bytes) -> None:
        """From now on this is retained under the topic. It is written at once if the broker is there."""
        if self._wanted.get(topic) == payload:
            return
        self._dropped.pop(topic, None)
        self._wanted[topic] = payload
        self._write_later(topic)
        self.flush()

    def drop(self, topic: str) -> None:
        """From now on nothing is retained under the topic."""
        if topic in self._dropped:
            return
        self._wanted.pop(topic, None)
        self._dropped[topic] = None
        if len(self._dropped) > _DROPPED_MAX:
            oldest = next(iter(self._dropped))
            del self._dropped[oldest]
            self._waiting.pop(oldest, None)
        self._write_later(topic)
        self.flush()

    def live(self, topic: str, payload: bytes) -> bool:
        """Publish once, to whoever is there; False when it was dropped."""
        return self._publisher.publish([Outgoing(topic=topic, payload=payload)])

    def flush(self) -> None:
        """Write what waits, in order; everything, if the connection is a new one."""
        if self._publisher.generation != self._generation:
            self._generation = self._publisher.generation
            self._waiting = dict.fromkeys([*self._dropped, *self._wanted])
        while self._waiting:
            messages = self._next_write()
            if not self._publisher.publish(messages):
                return
            for message in messages:
                del self._waiting[message.topic]

    async def run(self) -> None:
        """Look for a new connection and for room to write; ends only by cancellation."""
        while True:
            self._health.beat("shelf")
            self.flush()
            await asyncio.sleep(_LOOK_S)

    def _write_later(self, topic: str) -> None:
        """At the end of what waits, so that changes arrive in the order in which they were made."""
        self._waiting.pop(topic, None)
        self._waiting[topic] = None

    def _next_write(self) -> list[Outgoing]:
        messages: list[Outgoing] = []
        size = 0
        for topic in self._waiting:
            payload = self._wanted.get(topic, b"")
            size += len(payload)
            if messages and (size > _WRITE_BYTES or len(messages) == _WRITE_MESSAGES):
                break
            messages.append(Outgoing(topic=topic, payload=payload, retain=True))
        return messages
