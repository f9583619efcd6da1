"""SQLite: newest rows, counts by the hour, and what a place is watched by."""

import json
import sqlite3
from functools import partial
from typing import Any, Final

from hub.model import AuditEntry
from hub.store.errors import RegistryConflictError
from hub.store.live_ports import CountsNow, HourCount, LiveRow, PlaceLive
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import changing, exists
from protocol.terms import Clock, Colour, Direction, Verdict

_LIVE_ROWS: Final = """
SELECT id, device, hash, at_ms, received_ms, place, gate, direction, colour, verdict, clock, code, iif(?3, masked, NULL)
FROM checkin WHERE id > ?1 ORDER BY id LIMIT ?2
"""

_RED_ROWS: Final = """
SELECT id, device, hash, at_ms, received_ms, place, gate, direction, colour, verdict, clock, code, NULL
FROM checkin WHERE id > ? AND id <= ? AND colour = 1 ORDER BY id
"""

# One statement sees one moment: a row is either in the counts or after `newest`, never both or neither. The minutes
# and the hours are summed apart, as the view over both would be sorted through a table of its own.
_COUNTS_SINCE: Final = """
WITH newest (id) AS (SELECT coalesce(max(id), 0) FROM checkin)
SELECT place, minute / 60, gate, colour, verdict, direction, sum(n), (SELECT id FROM newest)
FROM count_minute WHERE minute >= ?1 * 60 GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
SELECT place, hour, gate, colour, verdict, direction, n, (SELECT id FROM newest) FROM count_hour WHERE hour >= ?1
UNION ALL
SELECT place, hour, '', -1, 0, 0, n, (SELECT id FROM newest) FROM count_untimed WHERE hour >= ?1
UNION ALL
SELECT '', 0, '', -2, 0, 0, 0, id FROM newest
"""
_UNTIMED, _NEWEST = -1, -2

_HOUR_COUNTS: Final = """
SELECT place, hour, gate, colour, verdict, direction, sum(n) FROM (
    SELECT * FROM count_hour WHERE place = ?1 AND hour >= ?2 AND hour < ?3
    UNION ALL
    SELECT place, minute / 60, gate, colour, verdict, direction, n FROM count_minute
    WHERE minute >= ?2 * 60 AND minute < ?3 * 60 AND place = ?1)
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 2, 3, 4, 5, 6
"""


class SqliteLive:
    """The part of `hub.store.live_ports.LiveStore` that is not about alerts, on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def newest_row_id(self) -> int:
        """Of the check-ins."""
        return int((await self._connections.read("SELECT coalesce(max(id), 0) FROM checkin"))[0][0])

    async def live_rows(self, *, after_id: int, limit: int, masked: bool) -> tuple[LiveRow, ...]:
        """The rows after one, in order of arrival."""
        return tuple(_live(row) for row in await self._connections.read(_LIVE_ROWS, (after_id, limit, masked)))

    async def red_rows(self, *, after_id: int, upto_id: int) -> tuple[LiveRow, ...]:
        """The red ones in a span of ids."""
        return tuple(_live(row) for row in await self._connections.read(_RED_ROWS, (after_id, upto_id)))

    async def counts_since(self, *, from_hour: int) -> CountsNow:
        """Everything counted since an hour, at one moment."""
        counts, untimed, newest_id = [], {}, 0
        for row in await self._connections.read(_COUNTS_SINCE, (from_hour,)):
            place, hour, colour, n, newest_id = row[0], row[1], row[3], row[6], row[7]
            if colour == _UNTIMED:
                untimed[place, hour] = n
            elif colour != _NEWEST:
                counts.append(_count(row[:7]))
        return CountsNow(counts=tuple(counts), untimed=untimed, newest_id=newest_id)

    async def hour_counts(self, *, place_id: str, from_hour: int, to_hour: int) -> tuple[HourCount, ...]:
        """A place's counts by the hour, however old."""
        rows = await self._connections.read(_HOUR_COUNTS, (place_id, from_hour, to_hour))
        return tuple(_count(row) for row in rows)

    async def roll_up(self, *, before_minute: int, limit_minutes: int) -> int:
        """Move the oldest minutes into the counts by hour."""
        taken: list[int] = []
        await self._connections.transact(
            partial(_roll_up, before_minute=before_minute, limit_minutes=limit_minutes, taken=taken)
        )
        return sum(taken)

    async def forget_counts(self, *, before_hour: int, limit: int) -> int:
        """Delete the oldest counts by hour."""
        taken: list[int] = []
        await self._connections.transact(partial(_forget, before_hour=before_hour, limit=limit, taken=taken))
        return sum(taken)

    async def certificates_until(self) -> dict[bytes, int]:
        """By device: when the last of its certificates ends."""
        rows = await self._connections.read(
            "SELECT device, max(not_after_ms) FROM certificate WHERE device IS NOT NULL AND revoked_ms IS NULL"
            " GROUP BY device"
        )
        return {row[0]: row[1] for row in rows}

    async def places_live(self) -> tuple[PlaceLive, ...]:
        """Of every place for which something was set."""
        rows = await self._connections.read("SELECT place, people_most, day_begins_h, escalate_min FROM place_live")
        return tuple(
            PlaceLive(place_id=place, people_most=most, day_begins_h=begins, escalate_min=after)
            for place, most, begins, after in rows
        )

    async def set_place_live(self, place: PlaceLive, *, audit: AuditEntry) -> None:
        """What a known place is watched by."""
        async with changing(self._connections, audit, refused=f"place {place.place_id} cannot be set so") as db:
            if not await exists(db, "SELECT 1 FROM place WHERE id = ?", (place.place_id,)):
                raise RegistryConflictError(f"place {place.place_id} is not registered")
            await db.execute_fetchall(
                "INSERT INTO place_live (place, people_most, day_begins_h, escalate_min) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET people_most = excluded.people_most,"
                " day_begins_h = excluded.day_begins_h, escalate_min = excluded.escalate_min",
                (place.place_id, place.people_most, place.day_begins_h, place.escalate_min),
            )


def _roll_up(db: sqlite3.Connection, *, before_minute: int, limit_minutes: int, taken: list[int]) -> None:
    (oldest,) = db.execute("SELECT min(minute) FROM count_minute WHERE minute < ?", (before_minute,)).fetchone()
    if oldest is None:
        return
    upto = min(before_minute, oldest + limit_minutes)
    db.execute(
        "INSERT INTO count_hour (place, hour, gate, colour, verdict, direction, n)"
        " SELECT place, minute / 60, gate, colour, verdict, direction, sum(n) FROM count_minute WHERE minute < ?"
        " GROUP BY 1, 2, 3, 4, 5, 6 ON CONFLICT DO UPDATE SET n = n + excluded.n",
        (upto,),
    )
    gone = db.execute("DELETE FROM count_minute WHERE minute < ?", (upto,)).rowcount
    taken.append(gone)


def _forget(db: sqlite3.Connection, *, before_hour: int, limit: int, taken: list[int]) -> None:
    gone = db.execute(
        "DELETE FROM count_hour WHERE (place, hour, gate, colour, verdict, direction) IN ("
        "SELECT place, hour, gate, colour, verdict, direction FROM count_hour WHERE hour < ? ORDER BY hour LIMIT ?)",
        (before_hour, limit),
    ).rowcount
    gone += db.execute(
        "DELETE FROM count_untimed WHERE (hour, place) IN"
        " (SELECT hour, place FROM count_untimed WHERE hour < ? ORDER BY hour LIMIT ?)",
        (before_hour, limit),
    ).rowcount
    taken.append(gone)


def _count(row: tuple[Any, ...]) -> HourCount:
    place, hour, gate, colour, verdict, direction, n = row
    return HourCount(
        place_id=place,
        hour=hour,
        gate_id=gate,
        colour=Colour(colour),
        verdict=Verdict(verdict),
        direction=Direction(direction),
        n=n,
    )


def _live(row: tuple[Any, ...]) -> LiveRow:
    row_id, device, hash_, at_ms, received_ms, place, gate, direction, colour, verdict, clock, code, masked = row
    return LiveRow(
        row_id=row_id,
        device_id=device,
        hash=hash_,
        at_ms=at_ms,
        received_ms=received_ms,
        place_id=place,
        gate_id=gate,
        direction=Direction(direction),
        colour=Colour(colour),
        verdict=Verdict(verdict),
        clock=Clock(clock),
        code=code,
        masked=None if masked is None else tuple(json.loads(masked)),
    )
