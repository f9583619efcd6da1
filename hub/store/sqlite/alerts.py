"""SQLite: alerts, what happened to each, and who is told."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import aiosqlite

from hub.model import AuditEntry
from hub.store.errors import RegistryConflictError
from hub.store.live_ports import (
    RED,
    Alert,
    AlertEvent,
    AlertFilter,
    Channel,
    Delivery,
    DeliveryState,
    Level,
    NewAlert,
)
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values, exists

_ALERT: Final = """
SELECT id, kind, about, place, gate, device, row_id, slip, detail, at_ms, raised_ms, newest_ms, times, level, level_ms,
    acknowledged_ms, acknowledged_by, ended_ms FROM alert
"""
_EVENT: Final = "SELECT id, alert, at_ms, who, what, note FROM alert_event"
_INSERT_EVENT: Final = "INSERT INTO alert_event (alert, at_ms, who, what, note) VALUES (?, ?, ?, ?, ?)"
_CHANNEL: Final = """
SELECT id, name, level, place, region, reds, troubles, language, url, enabled, changed_ms FROM alert_channel
"""
_DELIVERY: Final = """
SELECT alert_delivery.id, alert, channel, coalesce(name, ''), state, attempts, made_ms, next_try_ms, ended_ms, detail
FROM alert_delivery LEFT JOIN alert_channel ON alert_channel.id = channel
"""

# A channel is told of an alert once, however often it is raised again.
_TELL: Final = """
INSERT INTO alert_delivery (alert, channel, state, made_ms, next_try_ms)
SELECT alert.id, alert_channel.id, 'waiting', ?2, ?2
FROM alert JOIN alert_channel ON alert_channel.level = alert.level LEFT JOIN place ON place.id = alert.place
WHERE alert.id = ?1 AND enabled AND iif(alert.kind = 'red', reds, troubles)
    AND (alert_channel.place = '' OR alert_channel.place = alert.place)
    AND (alert_channel.region = '' OR place.region LIKE alert_channel.region || '%')
ON CONFLICT DO NOTHING
"""

_STANDING_AT_GATE: Final = """
SELECT count(*), max(id) FROM alert
WHERE kind = 'red' AND ended_ms IS NULL AND acknowledged_ms IS NULL AND place = ? AND gate = ?
"""

_DUE_TO_ESCALATE: Final = """
SELECT alert.id FROM alert LEFT JOIN place_live ON place_live.place = alert.place
WHERE ended_ms IS NULL AND acknowledged_ms IS NULL AND kind = 'red' AND level < 3
    AND level_ms <= ?1 - coalesce(escalate_min, ?2) * 60000
"""


class SqliteAlerts:
    """The part of `hub.store.live_ports.LiveStore` that is about alerts, on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def alert_cursor(self) -> int:
        """Rows up to here have been looked at."""
        return int((await self._connections.read("SELECT last_id FROM alert_cursor"))[0][0])

    async def raise_alerts(
        self, alerts: Sequence[NewAlert], *, looked_upto: int | None, now_ms: int, most_at_gate: int
    ) -> None:
        """Raise each, or add it to the one that stands; see the port."""
        await self._connections.transact(
            partial(_raise, alerts=alerts, looked_upto=looked_upto, now_ms=now_ms, most_at_gate=most_at_gate)
        )

    async def end_troubles(self, troubles: Sequence[tuple[str, str]], *, now_ms: int) -> None:
        """These are no more."""
        async with self._connections.transaction() as db:
            for kind, about in troubles:
                ended = await db.execute_fetchall(
                    "UPDATE alert SET ended_ms = ? WHERE kind = ? AND about = ? AND ended_ms IS NULL RETURNING id",
                    (now_ms, kind, about),
                )
                for (alert_id,) in ended:
                    await db.execute_fetchall(_INSERT_EVENT, (alert_id, now_ms, "hub", "ended", ""))

    async def standing_troubles(self) -> tuple[tuple[str, str], ...]:
        """Every trouble that has not ended."""
        rows = await self._connections.read(
            "SELECT kind, about FROM alert WHERE ended_ms IS NULL AND kind <> ?", (RED,)
        )
        return tuple((kind, about) for kind, about in rows)

    async def escalate_due(self, *, now_ms: int, after_min: int) -> int:
        """Open reds that nobody answered go one level up."""
        # Looked at without a transaction first: nearly always there is none, and the writer has better to do.
        if not await self._connections.read(_DUE_TO_ESCALATE, (now_ms, after_min)):
            return 0
        async with self._connections.transaction() as db:
            due = [row[0] for row in await db.execute_fetchall(_DUE_TO_ESCALATE, (now_ms, after_min))]
            for alert_id in due:
                await _escalate(db, alert_id, who="hub", note="nobody answered", now_ms=now_ms)
        return len(due)

    async def escalate(self, alert_id: int, *, note: str, audit: AuditEntry) -> Alert:
        """One level up by hand."""
        async with self._connections.transaction() as db:
            alert = await _must_be_open(db, alert_id)
            if alert.level is Level.HEADQUARTERS:
                raise RegistryConflictError("it is at the highest level already")
            await _escalate(db, alert_id, who=audit.who, note=note, now_ms=audit.at_ms)
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
            return await _one(db, alert_id)

    async def acknowledge(self, alert_id: int, *, done: str, audit: AuditEntry) -> Alert:
        """Somebody has looked after it."""
        async with self._connections.transaction() as db:
            alert = await _must_be_open(db, alert_id)
            await db.execute_fetchall(
                "UPDATE alert SET acknowledged_ms = ?1, acknowledged_by = ?2, ended_ms = iif(kind = ?3, ?1, NULL)"
                " WHERE id = ?4",
                (audit.at_ms, audit.who, RED, alert_id),
            )
            await db.execute_fetchall(_INSERT_EVENT, (alert.alert_id, audit.at_ms, audit.who, "acknowledged", done))
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
            return await _one(db, alert_id)

    async def find_alert(self, alert_id: int) -> Alert | None:
        """It, in whatever state."""
        rows = await self._connections.read(f"{_ALERT} WHERE id = ?", (alert_id,))
        return _alert(rows[0]) if rows else None

    async def alerts(self, wanted: AlertFilter, *, limit: int) -> tuple[Alert, ...]:
        """Those asked for, newest first."""
        where, values = _where(wanted)
        rows = await self._connections.read(f"{_ALERT} WHERE {where} ORDER BY id DESC LIMIT ?", (*values, limit))
        return tuple(_alert(row) for row in rows)

    async def alert_events(self, alert_id: int) -> tuple[AlertEvent, ...]:
        """What happened to it, in order."""
        rows = await self._connections.read(f"{_EVENT} WHERE alert = ? ORDER BY id", (alert_id,))
        return tuple(_event(row) for row in rows)

    async def newest_event_id(self) -> int:
        """Grows with whatever happens to any alert."""
        return int((await self._connections.read("SELECT coalesce(max(id), 0) FROM alert_event"))[0][0])

    async def events_after(self, event_id: int, *, limit: int) -> tuple[AlertEvent, ...]:
        """What happened to any alert after that."""
        rows = await self._connections.read(f"{_EVENT} WHERE id > ? ORDER BY id LIMIT ?", (event_id, limit))
        return tuple(_event(row) for row in rows)

    async def channels(self) -> tuple[Channel, ...]:
        """All channels, by level and name."""
        rows = await self._connections.read(f"{_CHANNEL} ORDER BY level, name, id")
        return tuple(_channel(row) for row in rows)

    async def put_channel(self, channel: Channel, *, audit: AuditEntry) -> int:
        """A new one, or another content for one."""
        values = (
            channel.name,
            channel.level,
            channel.place_id,
            channel.region,
            channel.reds,
            channel.troubles,
            channel.language,
            channel.url,
            channel.enabled,
            channel.changed_ms,
        )
        async with self._connections.transaction() as db:
            if channel.channel_id:
                found = await db.execute_fetchall(
                    "UPDATE alert_channel SET name = ?, level = ?, place = ?, region = ?, reds = ?, troubles = ?,"
                    " language = ?, url = ?, enabled = ?, changed_ms = ? WHERE id = ? RETURNING id",
                    (*values, channel.channel_id),
                )
            else:
                found = await db.execute_fetchall(
                    "INSERT INTO alert_channel (name, level, place, region, reds, troubles, language, url, enabled,"
                    " changed_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                    values,
                )
            ids = [int(row[0]) for row in found]
            if not ids:
                raise RegistryConflictError("there is no such channel")
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        return ids[0]

    async def remove_channel(self, channel_id: int, *, audit: AuditEntry) -> None:
        """It, and what waits for it."""
        async with self._connections.transaction() as db:
            if not await exists(db, "SELECT 1 FROM alert_channel WHERE id = ?", (channel_id,)):
                raise RegistryConflictError("there is no such channel")
            await db.execute_fetchall("DELETE FROM alert_channel WHERE id = ?", (channel_id,))
            await db.execute_fetchall(
                "UPDATE alert_delivery SET state = 'given_up', ended_ms = ?, detail = 'the channel was removed'"
                " WHERE channel = ? AND state = 'waiting'",
                (audit.at_ms, channel_id),
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def deliveries_of(self, alert_id: int) -> tuple[Delivery, ...]:
        """Who was told of an alert, and who is still to be."""
        rows = await self._connections.read(f"{_DELIVERY} WHERE alert = ? ORDER BY alert_delivery.id", (alert_id,))
        return tuple(_delivery(row) for row in rows)

    async def due_deliveries(self, *, now_ms: int, limit: int) -> tuple[Delivery, ...]:
        """Those whose time has come, longest due first."""
        rows = await self._connections.read(
            f"{_DELIVERY} WHERE state = 'waiting' AND next_try_ms <= ? ORDER BY next_try_ms, alert_delivery.id LIMIT ?",
            (now_ms, limit),
        )
        return tuple(_delivery(row) for row in rows)

    async def waiting_deliveries(self) -> int:
        """How many are still to be told."""
        rows = await self._connections.read("SELECT count(*) FROM alert_delivery WHERE state = 'waiting'")
        return int(rows[0][0])

    async def end_delivery(self, delivery_id: int, *, state: DeliveryState, detail: str, now_ms: int) -> None:
        """It went, or is given up."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "UPDATE alert_delivery SET state = ?, detail = ?, ended_ms = ?, attempts = attempts + 1"
                " WHERE id = ? AND state = 'waiting'",
                (state, detail, now_ms, delivery_id),
            )

    async def retry_delivery(self, delivery_id: int, *, next_try_ms: int, detail: str) -> None:
        """It did not go."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "UPDATE alert_delivery SET attempts = attempts + 1, next_try_ms = ?, detail = ?"
                " WHERE id = ? AND state = 'waiting'",
                (next_try_ms, detail, delivery_id),
            )


def _raise(
    db: sqlite3.Connection, *, alerts: Sequence[NewAlert], looked_upto: int | None, now_ms: int, most_at_gate: int
) -> None:
    if looked_upto is not None:
        # The cursor moves with what was found before it, so that no row raises anything twice.
        moved = db.execute("UPDATE alert_cursor SET last_id = ?1 WHERE last_id < ?1", (looked_upto,)).rowcount
        if not moved:
            return
    for new in alerts:
        standing = db.execute(
            "SELECT id FROM alert WHERE kind = ? AND about = ? AND ended_ms IS NULL", (new.kind, new.about)
        ).fetchone()
        if standing is None and new.kind == RED:
            n, newest = db.execute(_STANDING_AT_GATE, (new.place_id, new.gate_id)).fetchone()
            standing = (newest,) if n >= most_at_gate else None
        if standing is None:
            _insert(db, new, now_ms=now_ms)
        elif new.kind == RED:
            db.execute(
                "UPDATE alert SET times = times + 1, newest_ms = ?, row_id = ? WHERE id = ?",
                (now_ms, new.row_id, standing[0]),
            )
            db.execute(_INSERT_EVENT, (standing[0], now_ms, "hub", "again", new.slip))


def _insert(db: sqlite3.Connection, new: NewAlert, *, now_ms: int) -> None:
    alert_id = db.execute(
        "INSERT INTO alert (kind, about, place, gate, device, row_id, slip, detail, at_ms, raised_ms, newest_ms, times,"
        " level, level_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, 1, 1, ?10)",
        (
            new.kind,
            new.about,
            new.place_id,
            new.gate_id,
            new.device_id,
            new.row_id,
            new.slip,
            new.detail,
            new.at_ms,
            now_ms,
        ),
    ).lastrowid
    db.execute(_INSERT_EVENT, (alert_id, now_ms, "hub", "raised", ""))
    db.execute(_TELL, (alert_id, now_ms))


async def _escalate(db: aiosqlite.Connection, alert_id: int, *, who: str, note: str, now_ms: int) -> None:
    await db.execute_fetchall("UPDATE alert SET level = level + 1, level_ms = ? WHERE id = ?", (now_ms, alert_id))
    await db.execute_fetchall(_INSERT_EVENT, (alert_id, now_ms, who, "escalated", note))
    await db.execute_fetchall(_TELL, (alert_id, now_ms))


async def _one(db: aiosqlite.Connection, alert_id: int) -> Alert:
    for row in await db.execute_fetchall(f"{_ALERT} WHERE id = ?", (alert_id,)):
        return _alert(tuple(row))
    raise RegistryConflictError("there is no such alert")


async def _must_be_open(db: aiosqlite.Connection, alert_id: int) -> Alert:
    alert = await _one(db, alert_id)
    if alert.acknowledged_ms is not None:
        raise RegistryConflictError(f"{alert.acknowledged_by} has acknowledged it already")
    if alert.ended_ms is not None:
        raise RegistryConflictError("it is over by itself")
    return alert


_STATES: Final = {
    "open": "acknowledged_ms IS NULL AND ended_ms IS NULL",
    "acknowledged": "acknowledged_ms IS NOT NULL",
    "ended": "ended_ms IS NOT NULL AND acknowledged_ms IS NULL",
}


def _where(wanted: AlertFilter) -> tuple[str, list[Any]]:
    """A filter -> SQL. Only the parts of it that we wrote are SQL; all else is bound."""
    parts: list[str] = [_STATES[wanted.state]] if wanted.state else []
    values: list[Any] = []
    if wanted.kind == "trouble":
        parts.append("kind <> 'red'")
    elif wanted.kind:
        parts.append("kind = ?")
        values.append(wanted.kind)
    for column, operator, value in (
        ("place", "=", wanted.place_id or None),
        ("id", "<", wanted.before_id),
        ("raised_ms", ">=", wanted.from_ms),
        ("raised_ms", "<", wanted.to_ms),
    ):
        if value is not None:
            parts.append(f"{column} {operator} ?")
            values.append(value)
    if wanted.scope is not None:
        mine = ["(place = ? AND gate = ?)" if gate else "place = ?" for _, gate in sorted(wanted.scope)]
        parts.append(f"({' OR '.join(mine) or '0'})")
        values += [value for place, gate in sorted(wanted.scope) for value in ((place, gate) if gate else (place,))]
    return " AND ".join(parts) or "1", values


def _alert(row: tuple[Any, ...]) -> Alert:
    alert_id, kind, about, place, gate, device, row_id, slip, detail, at_ms, raised_ms, newest_ms, *rest = row
    times, level, level_ms, acknowledged_ms, acknowledged_by, ended_ms = rest
    return Alert(
        alert_id=alert_id,
        kind=kind,
        about=about,
        place_id=place,
        gate_id=gate,
        device_id=device,
        row_id=row_id,
        slip=slip,
        detail=detail,
        at_ms=at_ms,
        raised_ms=raised_ms,
        newest_ms=newest_ms,
        times=times,
        level=Level(level),
        level_ms=level_ms,
        acknowledged_ms=acknowledged_ms,
        acknowledged_by=acknowledged_by,
        ended_ms=ended_ms,
    )


def _event(row: tuple[Any, ...]) -> AlertEvent:
    event_id, alert_id, at_ms, who, what, note = row
    return AlertEvent(event_id=event_id, alert_id=alert_id, at_ms=at_ms, who=who, what=what, note=note)


def _channel(row: tuple[Any, ...]) -> Channel:
    channel_id, name, level, place, region, reds, troubles, language, url, enabled, changed_ms = row
    return Channel(
        channel_id=channel_id,
        name=name,
        level=Level(level),
        place_id=place,
        region=region,
        reds=bool(reds),
        troubles=bool(troubles),
        language=language,
        url=url,
        enabled=bool(enabled),
        changed_ms=changed_ms,
    )


def _delivery(row: tuple[Any, ...]) -> Delivery:
    delivery_id, alert_id, channel_id, channel, state, attempts, made_ms, next_try_ms, ended_ms, detail = row
    return Delivery(
        delivery_id=delivery_id,
        alert_id=alert_id,
        channel_id=channel_id,
        channel=channel,
        state=DeliveryState(state),
        attempts=attempts,
        made_ms=made_ms,
        next_try_ms=next_try_ms,
        ended_ms=ended_ms,
        detail=detail,
    )
