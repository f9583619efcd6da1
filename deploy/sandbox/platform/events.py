"""What has just changed, to every hub that listens: server-sent events (WHATWG HTML §9.2).

The newest events are kept for a hub that comes back; one that missed more is told to fetch everything.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

KEPT_EVENTS = 1_000
WAITING_EVENTS = 2_000
"""A hub that lets more pile up is cut off, and comes back with the last number it has seen."""

QUIET_S = 10.0


class Events:
    """The stream. Numbers grow for ever, also over a restart.

    Args:
        first: the number before the first event; the wall clock in ms will do.
    """

    def __init__(self, *, first: int) -> None:
        self._newest = first
        self._oldest = first
        self._kept: deque[tuple[int, bytes]] = deque()
        self._listeners: set[asyncio.Queue[bytes | None]] = set()

    def publish(self, event: str, data: str) -> None:
        """Tell everybody. `data` has no line breaks."""
        self._newest += 1
        text = f"id: {self._newest}\nevent: {event}\ndata: {data}\n\n".encode()
        self._kept.append((self._newest, text))
        if len(self._kept) > KEPT_EVENTS:
            self._oldest = self._kept.popleft()[0]
        for listener in list(self._listeners):
            if listener.qsize() >= WAITING_EVENTS:
                self._listeners.discard(listener)
                listener.put_nowait(None)
            else:
                listener.put_nowait(text)

    async def stream(self, *, last_id: str | None) -> AsyncIterator[bytes]:
        """Bytes to send, from after `last_id` on, until the listener is too slow."""
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._listeners.add(waiting)
        try:
            for text in self._missed(last_id):
                yield text
            while True:
                try:
                    async with asyncio.timeout(QUIET_S):
                        news = await waiting.get()
                except TimeoutError:
                    news = b": still here\n\n"
                if news is None:
                    return
                yield news
        finally:
            self._listeners.discard(waiting)

    def _missed(self, last_id: str | None) -> list[bytes]:
        reset = f"id: {self._newest}\nevent: reset\ndata: \n\n".encode()
        if last_id is None or not last_id.isascii() or not last_id.isdigit():
            return [reset]
        last = int(last_id)
        if not self._oldest <= last <= self._newest:
            return [reset]
        return [text for number, text in self._kept if number > last]
