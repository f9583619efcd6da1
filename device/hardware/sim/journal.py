"""What the simulated parts did: kept in memory, and where asked appended to a file and shown on a terminal."""

import json
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

HISTORY_CHANGES = 1000
"""The oldest changes are dropped: a simulated gate may run for days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One switched output: `part` "lights", "buzzer", "gate", "screen" or "voice"; `name` is for people.

    `value` is RGB, Hz, energised, or what was told.
    """

    at_mono_ns: int
    part: str
    name: str
    value: tuple[float, float, float] | int | bool | str


class Journal:
    """Records changes, in order, from any thread.

    `path`: each change is one JSON line, written by a single `write` to a file opened for appending before the
    switch returns, so it is there even when the process is killed next. (It is not synced: power loss is another
    story.) `terminal`: each change is shown as a line, in colour when the terminal has it.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, *, path: Path | None = None, terminal: TextIO | None = None) -> None:
        self._lock = threading.Lock()
        self._changes: deque[Change] = deque(maxlen=HISTORY_CHANGES)
        self._terminal = terminal
        self._file: int | None = None
        if path is not None:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The last HISTORY_CHANGES changes, oldest first."""
        with self._lock:
            return tuple(self._changes)

    def record(self, *, part: str, name: str, value: tuple[float, float, float] | int | bool | str) -> None:
        """Keep one change.

        Raises:
            OSError: the file takes no more.
        """
        with self._lock:
            change = Change(at_mono_ns=time.monotonic_ns(), part=part, name=name, value=value)
            self._changes.append(change)
            if self._file is not None:
                os.write(self._file, as_line(change).encode())
            if self._terminal is not None:
                self._terminal.write(as_text(change, in_colour=self._terminal.isatty()) + "\n")
                self._terminal.flush()

    def close(self) -> None:
        """Close the file; later changes stay in memory only. May be called twice."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def as_line(change: Change) -> str:
    """One JSON object and a line break, as the file holds it."""
    entry = {"at_mono_ns": change.at_mono_ns, "part": change.part, "name": change.name, "value": change.value}
    return json.dumps(entry, separators=(",", ":")) + "\n"


def as_text(change: Change, *, in_colour: bool) -> str:
    """One line for people; lights get a block in their colour."""
    text = f"{change.part:<6} {change.name}"
    if not in_colour or not isinstance(change.value, tuple):
        return text
    red, green, blue = (round(255 * part) for part in change.value)
    return f"\x1b[48;2;{red};{green};{blue}m    \x1b[0m {text}"
