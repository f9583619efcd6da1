"""Bytes -> server-sent events (HTML standard, §9.2), without a socket; hostile ones end the stream."""

import re
from dataclasses import dataclass
from typing import Final

LINE_BYTES: Final = 512 * 1024
"""The longest, a delta of 64 KiB in Base64, takes a sixth of it."""
EVENT_BYTES: Final = 1024 * 1024
"""Data of one event, however many lines it has."""
_ID_DIGITS: Final = 19  # The largest number that a database's integer holds.
_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class StreamError(Exception):
    """These bytes are no event stream, or one that no honest platform sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `last_id` is what to ask for again after it; empty before the first id."""

    kind: str
    data: str
    last_id: str


class SseReader:
    """Feed it what was read; it gives the events that are complete."""

    def __init__(self, *, last_id: str = "") -> None:
        self._last_id = last_id
        self._rest = bytearray()
        self._searched = 0
        self._after_cr = False
        self._first = True
        self._kind = ""
        self._data: list[str] = []
        self._bytes = 0

    def feed(self, data: bytes) -> list[Event]:
        """Bytes -> complete events, in order.

        Raises:
            StreamError: a line or an event is too long, not UTF-8, or has an id that is no number.
        """
        if self._after_cr and data:
            data = data.removeprefix(b"\n")  # The end of a line that began with the CR before.
            self._after_cr = False
        self._rest += data
        events: list[Event] = []
        begin, search = 0, self._searched
        while (found := _LINE_END.search(self._rest, search)) is not None:
            line = bytes(self._rest[begin : found.start()])
            begin = search = found.end()
            self._after_cr = found[0] == b"\r" and begin == len(self._rest)
            if len(line) > LINE_BYTES:
                raise StreamError(f"a line of {len(line)} bytes")
            event = self._take(line)
            if event is not None:
                events.append(event)
        del self._rest[:begin]
        self._searched = len(self._rest)
        if self._searched > LINE_BYTES:
            raise StreamError(f"a line of more than {LINE_BYTES} bytes")
        return events

    def _take(self, line: bytes) -> Event | None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        try:
            name, _, value = line.decode().partition(":")
        except UnicodeDecodeError as error:
            raise StreamError("not UTF-8") from error
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._kind = value
            case "data":
                self._bytes += len(value) + 1
                if self._bytes > EVENT_BYTES:
                    raise StreamError(f"an event of more than {EVENT_BYTES} bytes")
                self._data.append(value)
            case "id":
                if value and not (value.isascii() and value.isdigit() and len(value) <= _ID_DIGITS):
                    raise StreamError("an id that is no number")
                self._last_id = value
            case _:  # A comment, `retry`, or what a later version of the standard may bring.
                pass
        return None

    def _dispatch(self) -> Event | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data, self._bytes = "", [], 0
        if not data:
            return None
        return Event(kind=kind, data="\n".join(data), last_id=self._last_id)
