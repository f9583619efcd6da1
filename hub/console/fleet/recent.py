"""The whole fleet, judged, read once for all who look at the same time: half a second's work for 5,000 scanners."""

import asyncio
from collections.abc import Callable
from typing import Final

from hub.console.fleet.search import Judged, judged
from hub.store.fleet_ports import SLOT_MS, FleetStore

FRESH_MS: Final = 3_000
"""Figures are up to half a minute old when they come; nobody sees three seconds more."""


class Recent:
    """One for a process."""

    def __init__(self, *, store: FleetStore, now_ms: Callable[[], int]) -> None:
        self._store, self._now_ms = store, now_ms
        self._reading = asyncio.Lock()
        self._rows: list[Judged] = []
        self._read_ms: int | None = None

    async def rows(self) -> list[Judged]:
        """Every scanner, by id. Raises StoreError."""
        async with self._reading:
            now_ms = self._now_ms()
            if self._read_ms is None or not 0 <= now_ms - self._read_ms < FRESH_MS:
                self._rows = judged(await self._store.fleet(slot=now_ms // SLOT_MS), now_ms=now_ms)
                self._read_ms = now_ms
            return self._rows

    def forget(self) -> None:
        """Somebody has changed something here, and wants to see it."""
        self._read_ms = None
