"""Stored rows, and what is wrong -> alerts. By a cursor over the rows, so that none is lost when the hub restarts.

Receipts never wait for it: it reads what is committed. A red is found at most a quarter of a second after its commit.
The cursor is written with what was found before it, in one transaction; where nothing is found it is written once a
minute, and the rows since are looked at again after a restart, to no effect.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from hub.deliver.aggregate import timed
from hub.deliver.troubles import DeviceFacts, SiteFacts, troubles
from hub.health import Health
from hub.store.errors import StoreError
from hub.store.live_ports import RED, LiveRow, LiveStore, NewAlert
from protocol.slip import slip_number

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 0.25
_SPAN_ROWS: Final = 20_000
"""Read at once while catching up: a tenth of a second in the reader's thread."""
_TROUBLES_S: Final = 15.0
_ESCALATE_S: Final = 5.0
_KEEP_S: Final = 60.0
ESCALATE_MIN: Final = 5
"""Where a place has set nothing else."""
_NEWS_MS: Final = 86_400_000
"""What was stored longer ago, by a hub that raised no alerts, is for the register."""
GATE_ALERTS_MOST: Final = 50
"""Open at one gate. More is no news to anybody: they join the newest."""

Look = Callable[[], Awaitable[tuple[tuple[DeviceFacts, ...], SiteFacts]]]


class Alerts:
    """`run` it in a task; `wake` it when something was stored."""

    def __init__(self, *, store: LiveStore, look: Look, health: Health, now_ms: Callable[[], int]) -> None:
        self._store, self._look, self._health, self._now_ms = store, look, health, now_ms
        self._woken = asyncio.Event()
        self._cursor: int | None = None
        self._kept = 0
        self._due_s = {"troubles": 0.0, "escalate": 0.0, "keep": 0.0}

    def wake(self) -> None:
        """Something was stored."""
        self._woken.set()

    async def run(self) -> None:
        """Look, wait, again; ends only by cancellation or an error of ours."""
        while True:
            self._health.beat("alerts")
            try:
                await self.watch()
                await self._in_their_time()
            except StoreError as error:  # The next look will do.
                _LOG.warning("alerts_failed", extra={"what": str(error)})
            await self._pause()

    async def _pause(self) -> None:
        """A quarter of a second after something was stored, or some seconds."""
        try:
            async with asyncio.timeout(_ESCALATE_S):
                await self._woken.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_LOOK_S)
        self._woken.clear()

    async def watch(self) -> None:
        """Raise what the rows since the last look ask for."""
        self._woken.clear()
        if self._cursor is None:
            self._cursor = self._kept = await self._store.alert_cursor()
        newest = await self._store.newest_row_id()
        while self._cursor < newest:
            upto = min(newest, self._cursor + _SPAN_ROWS)
            reds = await self._store.red_rows(after_id=self._cursor, upto_id=upto)
            since_ms = self._now_ms() - _NEWS_MS
            if reds:
                await self._keep(upto, tuple(_red(row) for row in reds if row.received_ms >= since_ms))
            self._cursor = upto

    async def check(self) -> None:
        """Raise what is wrong with scanners or with us, and end what is no longer."""
        devices, site = await self._look()
        now = troubles(devices, site, now_ms=self._now_ms())
        found = {(alert.kind, alert.about) for alert in now.found}
        standing = set(await self._store.standing_troubles())
        new = [alert for alert in now.found if (alert.kind, alert.about) not in standing]
        if new:
            await self._store.raise_alerts(new, looked_upto=None, now_ms=self._now_ms(), most_at_gate=GATE_ALERTS_MOST)
        over = [each for each in sorted(standing - found) if each[0] not in now.unknown]
        if over:
            await self._store.end_troubles(over, now_ms=self._now_ms())

    async def _in_their_time(self) -> None:
        if self._due("escalate", _ESCALATE_S):
            await self._store.escalate_due(now_ms=self._now_ms(), after_min=ESCALATE_MIN)
        if self._due("troubles", _TROUBLES_S):
            await self.check()
        if self._due("keep", _KEEP_S) and self._cursor is not None and self._cursor > self._kept:
            await self._keep(self._cursor, ())

    async def _keep(self, upto: int, alerts: tuple[NewAlert, ...]) -> None:
        await self._store.raise_alerts(alerts, looked_upto=upto, now_ms=self._now_ms(), most_at_gate=GATE_ALERTS_MOST)
        self._kept = upto

    def _due(self, what: str, every_s: float) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._due_s[what]:
            return False
        self._due_s[what] = now_s + every_s
        return True


def _red(row: LiveRow) -> NewAlert:
    """The same code at the same place is the same person: one alert, however often it is shown."""
    believed = timed(at_ms=row.at_ms, clock=row.clock, received_ms=row.received_ms)
    return NewAlert(
        kind=RED,
        about=f"{row.place_id}/{row.code.hex()}",
        place_id=row.place_id,
        gate_id=row.gate_id,
        device_id=row.device_id,
        row_id=row.row_id,
        slip=slip_number(row.hash),
        at_ms=row.at_ms if believed else row.received_ms,
    )
