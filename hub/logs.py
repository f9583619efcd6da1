"""Log records -> one JSON object a line on stdout, as journald and log collectors read it.

Fields are given as `extra`; none of them ever holds a code, a subject or a name.
"""

import json
import logging
import sys
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """`{"at_ms", "level", "event", ...extra}`; a traceback as `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without line breaks inside."""
        fields: dict[str, object] = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def log_as_json(level: int = logging.INFO) -> None:
    """Everything that is logged goes to stdout as JSON lines from here on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
