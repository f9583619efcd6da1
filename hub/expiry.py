"""The hub's own certificates, whose end nobody else sees coming: a warning at 30, 7 and 1 days."""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cryptography import x509

from hub.health import Health

_LOG: Final = logging.getLogger(__name__)
_ROUND_S: Final = 10.0
WARN_DAYS: Final = (30, 7, 1)
_FILE_BYTES: Final = 64 * 1024
_DAY: Final = dt.timedelta(days=1)


class Expiry:
    """Looks at certificate files, so that one which was replaced is seen. `run` it in a task.

    Args:
        files: name for people -> PEM file.
    """

    def __init__(self, *, files: Mapping[str, Path], health: Health, now_ms: Callable[[], int]) -> None:
        self._files, self._health, self._now_ms = files, health, now_ms
        self._said: dict[str, int | None] = {}

    async def run(self) -> None:
        """Look, wait, again; ends only by cancellation."""
        while True:
            self._health.beat("expiry")
            self.step()
            await asyncio.sleep(_ROUND_S)

    def step(self) -> None:
        """One look at every file."""
        for name, path in self._files.items():
            due = self._due(path)
            if due == self._said.get(name):
                continue
            self._said[name] = due
            what = None if due is None else "has ended" if due == 0 else f"ends within {due} days"
            self._health.warn(f"certificate {name}", what)
            if what is not None:
                _LOG.warning("certificate_ends", extra={"certificate": name, "days": due})

    def _due(self, path: Path) -> int | None:
        """The smallest threshold that is passed; 0 when it has ended; None when none is, or it cannot be read."""
        try:
            with path.open("rb") as file:
                ends = x509.load_pem_x509_certificate(file.read(_FILE_BYTES)).not_valid_after_utc
        except (OSError, ValueError) as error:
            _LOG.error("certificate_unreadable", extra={"file": path.name, "what": str(error)[:200]})
            return None
        left = ends - dt.datetime.fromtimestamp(self._now_ms() / 1000, dt.UTC)
        if left < dt.timedelta():
            return 0
        return min((days for days in WARN_DAYS if left <= days * _DAY), default=None)
