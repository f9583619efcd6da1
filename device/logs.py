"""Logs on stdout, one line a unit of work: key=value on a terminal, else JSON. Never a code, a subject or a name.

The last lines are kept in memory for an operator who asks for them (`send_logs`). They leave the gate, so what is
kept is chosen and not filtered: no line about a scan, and of the others numbers, yes and no, the fields `KEPT_TEXTS`
where they look like ids, and sentences of our own source without the values in them. A text that came from outside
does not get in, whoever logs it.
"""

import json
import logging
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, TextIO

LINES_KEPT = 500
"""What a command can ask for at most; some 60 KB of memory."""

KEPT_TEXTS = frozenset({"device", "gate", "id", "level", "module", "name", "part", "place", "reason", "state"})
"""Fields with ids of ours, of our parts, of commands and of errors."""

ABOUT_PEOPLE = frozenset({"scan"})
"""Events that say when somebody passed, and what the gate made of it. They would also crowd out all others."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_OURS = ("device.", "protocol.")
_SENTENCE_CHARS = 160


class Log:
    """Writes events. Each line leaves the process before `event` returns, so a kill loses none. For every thread.

    Args:
        out: where lines go.
        now_ms: ms since 1970, for the lines that are kept: what reads stdout has a clock of its own.
    """

    def __init__(self, out: TextIO, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._out = out
        self._readable = out.isatty()
        self._now_ms = now_ms
        self._kept: deque[str] = deque(maxlen=LINES_KEPT)
        self._keeping = Lock()

    def event(self, event: str, **fields: Any) -> None:
        """One line: the event's name, then the fields in their order."""
        self._write(event, fields)
        self._keep(event, fields)

    def last(self, lines: int) -> list[str]:
        """The newest lines that were kept, oldest first, each a JSON object with the time in ms as `t`."""
        with self._keeping:
            kept = list(self._kept)
        return kept[max(0, len(kept) - lines) :]

    def _write(self, event: str, fields: dict[str, Any]) -> None:
        if self._readable:
            line = " ".join([event, *(f"{key}={value}" for key, value in fields.items())])
        else:
            line = json.dumps({"event": event, **fields}, separators=(",", ":"), ensure_ascii=False, default=str)
        self._out.write(line + "\n")
        self._out.flush()

    def _keep(self, event: str, fields: dict[str, Any]) -> None:
        if event in ABOUT_PEOPLE:
            return
        kept = {key: value for key, value in fields.items() if _may_leave(key, value)}
        self._keep_line({"t": self._now_ms(), "event": event, **kept})

    def message(self, record: logging.LogRecord) -> None:
        """What a module said through `logging`. Its sentence is kept as it stands in the source, without the values."""
        said = {"level": record.levelname.lower(), "module": record.name}
        self._write("log", {**said, "text": record.getMessage()})
        if record.name.startswith(_OURS):
            said["text"] = str(record.msg)[:_SENTENCE_CHARS]
        self._keep_line({"t": self._now_ms(), "event": "log", **said})

    def _keep_line(self, fields: dict[str, Any]) -> None:
        line = json.dumps(fields, separators=(",", ":"))
        with self._keeping:
            self._kept.append(line)


def _may_leave(key: str, value: object) -> bool:
    if isinstance(value, str):
        return key in KEPT_TEXTS and _ID.fullmatch(value) is not None
    return isinstance(value, bool | int | float)


class _Bridge(logging.Handler):
    """Whatever modules say through `logging`, as events of the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__(level=logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler.emit`."""
        self._log.message(record)


def stdout_log() -> Log:
    """The process's log, with everything from `logging` led into it."""
    log = Log(sys.stdout)
    logging.basicConfig(level=logging.INFO, handlers=[_Bridge(log)], force=True)
    return log
