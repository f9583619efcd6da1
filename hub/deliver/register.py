"""Keeps registers quick to search, and erases what somebody wants gone: small steps beside ingest, never within it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hub.health import Health
from hub.store.errors import StoreWriteError
from hub.store.register_ports import RegisterStore

_LOG: Final = logging.getLogger(__name__)
_EVERY_S: Final = 2.0
_PAUSE_S: Final = 0.02
"""Between two steps, so that ingest's commits come first: a step holds the writer for some milliseconds."""
_STEPS: Final = 200
"""At once; a database of an older Gatelight has all its rows to be entered."""
_AGAIN_MS: Final = 60_000
"""Rows that wait for the platform's receipt are looked at again after so long."""


class Register:
    """`run` it in a task."""

    def __init__(self, *, store: RegisterStore, health: Health, now_ms: Callable[[], int]) -> None:
        self._store, self._health, self._now_ms = store, health, now_ms

    async def run(self) -> None:
        """Every two seconds; ends only by cancellation or an error of ours."""
        while True:
            self._health.beat("register")
            try:
                await self.step()
            except StoreWriteError as error:
                _LOG.error("register_failed", extra={"what": str(error)})
            await asyncio.sleep(_EVERY_S)

    async def step(self, *, pause_s: float = _PAUSE_S) -> None:
        """What is due now, or a part of it."""
        for _ in range(_STEPS):
            entered = await self._store.enter_span()
            now_ms = self._now_ms()
            erased = await self._store.erase_part(now_ms=now_ms, again_ms=now_ms + _AGAIN_MS)
            if not entered and not erased:
                return
            await asyncio.sleep(pause_s)
