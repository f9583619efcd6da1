"""Logs on stdout, one line a unit of work: key=value on a terminal, else JSON. Never a code, a subject or a name."""

import json
import logging
import sys
from typing import Any, TextIO


class Log:
    """Writes events. Each line leaves the process before `event` returns, so a kill loses none."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._readable = out.isatty()

    def event(self, event: str, **fields: Any) -> None:
        """One line: the event's name, then the fields in their order."""
        if self._readable:
            line = " ".join([event, *(f"{key}={value}" for key, value in fields.items())])
        else:
            line = json.dumps({"event": event, **fields}, separators=(",", ":"), ensure_ascii=False, default=str)
        self._out.write(line + "\n")
        self._out.flush()


class _Bridge(logging.Handler):
    """Whatever modules say through `logging`, as events of the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__(level=logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler.emit`."""
        self._log.event("log", level=record.levelname.lower(), module=record.name, text=record.getMessage())


def stdout_log() -> Log:
    """The process's log, with everything from `logging` led into it."""
    log = Log(sys.stdout)
    logging.basicConfig(level=logging.INFO, handlers=[_Bridge(log)], force=True)
    return log
