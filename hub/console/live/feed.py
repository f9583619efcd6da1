"""Database -> board, at most twice a second however many look at it, and never when nobody does.

What a stream costs does not grow with check-ins: rows are read once for all, and each stream tells the gates that have
changed. A thousand check-ins between two looks are read in one query of 20 ms; more than `ROWS_MOST`, as when gates
bring what they kept for days, and the board is made anew from the counts.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from hub.console.live.board import HOUR_MS, Board
from hub.deliver.occupancy import DAYS_MOST, Day, Doubts, Occupancy, occupancy
from hub.model import Device, DeviceState, Gate, Place
from hub.store.live_ports import Alert, AlertFilter, LiveStore, PlaceLive
from hub.store.trust_ports import DeviceSeen
from protocol.terms import Direction, Verdict

LOOK_S: Final = 0.5
ROWS_MOST: Final = 5000
_LIGHTS_ROWS: Final = 5000
"""Looked through for each gate's last lights when the board is made."""
_NAMES_S: Final = 5.0
"""So long after somebody asked for names they are read: nobody's names are in memory for nothing."""
_REGISTRY_S: Final = 10.0
SILENT_MS: Final = 180_000
"""The hub writes once a minute when a scanner was last heard."""
ALERTS_MOST: Final = 200


class FeedStore(LiveStore, Protocol):
    """The part of the store that is used here."""

    async def places(self) -> tuple[Place, ...]:
        """All places."""

    async def gates(self) -> tuple[Gate, ...]:
        """All gates."""

    async def devices(self) -> tuple[Device, ...]:
        """All devices."""

    async def devices_seen(self) -> tuple[DeviceSeen, ...]:
        """When each was last heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What is registered, and how it is watched; some seconds old at most."""

    places: dict[str, Place]
    gates: dict[str, dict[str, str]]
    """place -> gate -> name"""
    live: dict[str, PlaceLive]
    doubts: dict[str, Doubts]

    def live_of(self, place_id: str) -> PlaceLive:
        """How a place is watched, where nothing was set too."""
        return self.live.get(place_id) or PlaceLive(place_id=place_id)


class Feed:
    """One for the process. Every method may raise StoreError.

    Args:
        store: read only.
        timezone: whose days these are.
        now_ms: the clock.
        now_s: a clock that never jumps.
    """

    def __init__(
        self,
        store: FeedStore,
        *,
        timezone: str,
        now_ms: Callable[[], int],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._zone, self._now_ms, self._now_s = store, ZoneInfo(timezone), now_ms, now_s
        self._one_at_a_time = asyncio.Lock()
        self._board: Board | None = None
        self._registry: Registry | None = None
        self._hour = -1
        self._looked_s = self._registry_s = self._alerts_s = self._names_s = float("-inf")
        self._before: dict[tuple[str, int], tuple[Day, ...]] = {}
        self._alerts: tuple[Alert, ...] = ()
        self._event_id = -1

    async def board(self, *, names: bool = False) -> Board:
        """As things are, half a second ago at most."""
        if names:
            self._names_s = self._now_s()
        async with self._one_at_a_time:
            await self._refresh_registry()
            hour = self._now_ms() // HOUR_MS
            if self._board is None or hour != self._hour:
                self._board = await self._load(tick=self._board.tick + 1 if self._board else 1)
                self._hour, self._looked_s = hour, self._now_s()
            elif self._now_s() - self._looked_s >= LOOK_S:
                self._board = await self._caught_up(self._board)
                self._looked_s = self._now_s()
            return self._board

    async def registry(self) -> Registry:
        """What is registered."""
        async with self._one_at_a_time:
            return await self._refresh_registry()

    def forget_registry(self) -> None:
        """Something of it was changed here: the next look reads it again."""
        self._registry_s, self._hour = float("-inf"), -1
        self._before.clear()

    async def alerts(self) -> tuple[Alert, ...]:
        """Everything open, newest first, half a second ago at most."""
        async with self._one_at_a_time:
            if self._now_s() - self._alerts_s >= LOOK_S:
                newest = await self._store.newest_event_id()
                if newest != self._event_id:
                    self._alerts = await self._store.alerts(AlertFilter(state="open"), limit=ALERTS_MOST)
                    self._event_id = newest
                self._alerts_s = self._now_s()
            return self._alerts

    async def limit_of(self, place_id: str) -> int | None:
        """How many may be inside; None: nobody has said."""
        return (await self.registry()).live_of(place_id).people_most

    async def occupancy_of(self, place_id: str) -> Occupancy:
        """How many are inside a place now."""
        board = await self.board()
        registry = await self.registry()
        place = board.of(place_id)
        doubts = replace(registry.doubts.get(place_id) or Doubts(), untimed=place.untimed)
        return occupancy(place.day, before=await self._days_before(place_id, registry), doubts=doubts)

    def day_hour(self, place_id: str, registry: Registry) -> int:
        """At which hour since 1970 the place's day began."""
        now = datetime.fromtimestamp(self._now_ms() / 1000, UTC).astimezone(self._zone)
        begins_h = registry.live_of(place_id).day_begins_h
        day = now.date() if now.hour >= begins_h else now.date() - timedelta(days=1)
        begins = datetime(day.year, day.month, day.day, begins_h, tzinfo=self._zone)
        return int(begins.timestamp()) // 3600

    async def _days_before(self, place_id: str, registry: Registry) -> tuple[Day, ...]:
        """Whole days, newest first. They are read once a day: what comes late changes little of a fortnight."""
        today = self.day_hour(place_id, registry)
        known = self._before.get((place_id, today))
        if known is not None:
            return known
        counts = await self._store.hour_counts(place_id=place_id, from_hour=today - 24 * DAYS_MOST, to_hour=today)
        days = [[0, 0] for _ in range(DAYS_MOST)]
        for count in counts:
            if count.verdict is Verdict.ADMIT:
                days[(today - 1 - count.hour) // 24][count.direction is Direction.OUT] += count.n
        found = tuple(Day(entries=entries, exits=exits) for entries, exits in days if entries or exits)
        self._before = {key: value for key, value in self._before.items() if key[0] != place_id}
        self._before[place_id, today] = found
        return found

    async def _refresh_registry(self) -> Registry:
        if self._registry is None or self._now_s() - self._registry_s >= _REGISTRY_S:
            gates: dict[str, dict[str, str]] = {}
            for gate in await self._store.gates():
                gates.setdefault(gate.place_id, {})[gate.gate_id] = gate.name
            self._registry = Registry(
                places={place.place_id: place for place in await self._store.places()},
                gates=gates,
                live={place.place_id: place for place in await self._store.places_live()},
                doubts=_doubts(
                    await self._store.devices(), await self._store.devices_seen(), silent_ms=self._now_ms() - SILENT_MS
                ),
            )
            self._registry_s = self._now_s()
            if self._board is not None:
                # Doubts are part of what is told.
                self._board.said.clear()
        return self._registry

    async def _load(self, *, tick: int) -> Board:
        registry = self._registry
        if registry is None:
            raise RuntimeError("the registry is read first")
        hours: dict[str, int] = {}

        def day_hour(place_id: str) -> int:
            if place_id not in hours:
                hours[place_id] = self.day_hour(place_id, registry)
            return hours[place_id]

        # The earliest day began a day ago at most.
        counts = await self._store.counts_since(from_hour=self._now_ms() // HOUR_MS - 24)
        board = Board(counts, day_hour=day_hour, tick=tick)
        after_id = max(0, board.newest_id - _LIGHTS_ROWS)
        board.light(await self._store.live_rows(after_id=after_id, limit=_LIGHTS_ROWS, masked=self._names))
        return board

    async def _caught_up(self, board: Board) -> Board:
        rows = await self._store.live_rows(after_id=board.newest_id, limit=ROWS_MOST, masked=self._names)
        if len(rows) == ROWS_MOST:
            return await self._load(tick=board.tick + 1)
        if rows:
            board.add(rows)
        return board

    @property
    def _names(self) -> bool:
        return self._now_s() - self._names_s < _NAMES_S


def _doubts(devices: tuple[Device, ...], seen: tuple[DeviceSeen, ...], *, silent_ms: int) -> dict[str, Doubts]:
    """By place: what its scanners have still to send, and how many of those that were ever heard are not now."""
    heard = {one.device_id: one for one in seen}
    doubts: dict[str, Doubts] = {}
    for device in devices:
        one = heard.get(device.device_id)
        if device.state is DeviceState.REVOKED or one is None:
            continue
        known = doubts.get(device.place_id) or Doubts()
        silent = not one.online or one.seen_ms < silent_ms
        doubts[device.place_id] = replace(
            known,
            waiting=known.waiting + (one.spool or 0),
            gates=known.gates + 1,
            gates_silent=known.gates_silent + silent,
        )
    return doubts
