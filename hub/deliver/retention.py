"""The clock that forgets: subject, masked name and sealed bytes go when their time after the receipt is over; counts by
the minute become counts by the hour, and go after 13 months.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from hub.health import Health, Metrics
from hub.store.errors import StoreWriteError
from hub.store.live_ports import LiveStore
from hub.store.ports import OutboxStore

_LOG: Final = logging.getLogger(__name__)
_EVERY_S: Final = 60.0
_BEAT_S: Final = 10.0  # Well within the 30 s after which a loop counts as stalled.
_BATCHES: Final = 10  # At most 10,000 rows a transaction, as ingest waits for it: some 50 ms.
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
MINUTES_KEPT: Final = 48 * 60
"""Today and yesterday are looked at by the minute."""
HOURS_KEPT: Final = 13 * 31 * 24
"""A year ago can be compared with now."""
_MINUTES_AT_ONCE: Final = 10
"""A thousand gates with three sorts each are 30,000 rows: a tenth of a second in which nothing else is written."""
_HOURS_AT_ONCE: Final = 5000


class ForgettingStore(OutboxStore, LiveStore, Protocol):
    """Where both are."""


class Retention:
    """Erases personal fields of receipted rows `personal_h` hours after they were received.

    Bytes in quarantine, which people look at as evidence, stay for `quarantine_h`.
    """

    def __init__(
        self,
        *,
        store: ForgettingStore,
        personal_h: int,
        quarantine_h: int,
        health: Health,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._store, self._now_ms = store, now_ms
        self._personal_ms, self._quarantine_ms = personal_h * _HOUR_MS, quarantine_h * _HOUR_MS
        self._health, self._metrics = health, metrics

    async def run(self) -> None:
        """Every minute; ends only by cancellation or an error of ours."""
        while True:
            try:
                await self.step()
            except StoreWriteError as error:  # The next minute will do.
                _LOG.error("retention_failed", extra={"what": str(error)})
            for _ in range(round(_EVERY_S / _BEAT_S)):
                self._health.beat("retention")
                await asyncio.sleep(_BEAT_S)

    async def step(self) -> None:
        """Forget all that is due now, in transactions of bounded size."""
        before_ms = self._now_ms() - self._personal_ms
        while True:
            taken = await self._store.forget_personal(received_before_ms=before_ms, limit_batches=_BATCHES)
            self._metrics.forgotten.inc(taken)
            if taken < _BATCHES:
                break
        await self._store.forget_quarantine(received_before_ms=self._now_ms() - self._quarantine_ms)
        await self._thin_counts()

    async def _thin_counts(self) -> None:
        """Minutes that nobody looks at any more become hours, hours of more than a year ago go, in small steps."""
        now_minute = self._now_ms() // _MINUTE_MS
        minutes = {"before_minute": now_minute - MINUTES_KEPT, "limit_minutes": _MINUTES_AT_ONCE}
        while await self._store.roll_up(**minutes):
            self._health.beat("retention")
        hours = {"before_hour": now_minute // 60 - HOURS_KEPT, "limit": _HOURS_AT_ONCE}
        while await self._store.forget_counts(**hours):
            self._health.beat("retention")
