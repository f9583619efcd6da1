"""SQLite: how devices fare, and what the page of one device shows."""

import sqlite3
from dataclasses import fields
from typing import Any, Final

from hub.model import AuditEntry, Device, Gap, MinuteCount, QuarantineRow
from hub.store.firmware_ports import RING_PLAIN
from hub.store.fleet_ports import HOUR_SLOTS, DeviceHealth, DeviceSample, FleetRow
from hub.store.sqlite.commands import SELECT_SEEN, seen_of
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import SELECT_DEVICE, device_of
from hub.store.sqlite.reports import SELECT_QUARANTINE, quarantine_of
from protocol.health import ClockSource, State, Supply, UpdateFailure
from protocol.terms import Colour, Direction, Verdict

_AUDIT_ROWS: Final = 100_000
_HEALTH: Final = tuple(field.name for field in fields(DeviceHealth))
_COLUMNS: Final = ", ".join({"device_id": "device", "foreign": "unreadable"}.get(name, name) for name in _HEALTH)
_MARKS: Final = ", ".join("?" for _ in _HEALTH)
# The columns are our own names.
_KEEP_HEALTH: Final = f"INSERT OR REPLACE INTO device_health ({_COLUMNS}) VALUES ({_MARKS})"  # noqa: S608
_SELECT_HEALTH: Final = f"SELECT {_COLUMNS} FROM device_health"  # noqa: S608
_KINDS: Final = (
    ("state", State),
    ("clock_source", ClockSource),
    ("supply", Supply),
    ("update_failure", UpdateFailure),
)
_BOOLEANS: Final = tuple(_HEALTH.index(name) for name in ("clock_trusted", "enabled", "thermometer_ok"))
_ENUMS: Final = tuple((_HEALTH.index(name), kind) for name, kind in _KINDS)
_SCANS: Final = "SELECT device, sum(scans) FROM device_sample WHERE slot >= ? AND slot < ?"
_RINGS: Final = "SELECT device, ring FROM device_ring"
_ENDS: Final = "SELECT device, max(not_after_ms) FROM certificate WHERE device IS NOT NULL AND revoked_ms IS NULL"


class SqliteFleet:
    """`hub.store.fleet_ports.FleetStore` on SQLite, but for a device's certificates and commands."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep_fares(
        self, healths: tuple[DeviceHealth, ...], samples: tuple[DeviceSample, ...], *, forget_before_slot: int
    ) -> None:
        """One transaction, in one hand-over."""
        health_rows = [tuple(getattr(health, name) for name in _HEALTH) for health in healths]
        sample_rows = [
            (each.slot, each.device_id, each.scans, each.spool, each.board_cc, each.frame_rate_c, each.decode_us)
            for each in samples
        ]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(_KEEP_HEALTH, health_rows)
            db.executemany("INSERT OR REPLACE INTO device_sample VALUES (?, ?, ?, ?, ?, ?, ?)", sample_rows)
            db.execute(
                "DELETE FROM device_sample WHERE slot < ? AND slot = (SELECT min(slot) FROM device_sample)",
                (forget_before_slot,),
            )

        await self._connections.transact(work)

    async def fleet(self, *, slot: int) -> tuple[FleetRow, ...]:
        """Every device, by id."""
        return await self._fleet(slot, "", ())

    async def fleet_row(self, device_id: bytes, *, slot: int) -> FleetRow | None:
        """One device."""
        found = await self._fleet(slot, "= ?", (device_id,))
        return found[0] if found else None

    async def _fleet(self, slot: int, which: str, values: tuple[bytes, ...]) -> tuple[FleetRow, ...]:
        async def read(select: str, column: str, *before: int, more: str = "", joined: str = "WHERE") -> list[Any]:
            where = f"{joined} {column} {which}" if which else ""
            return await self._connections.read(f"{select} {where} {more}", (*before, *values))

        seen = {row[0]: seen_of(row) for row in await read(SELECT_SEEN, "device")}
        health = {row[0]: _health(row) for row in await read(_SELECT_HEALTH, "device")}
        scans = dict(await read(_SCANS, "device", slot - HOUR_SLOTS, slot, more="GROUP BY device", joined="AND"))
        ends = dict(await read(_ENDS, "device", more="GROUP BY device", joined="AND"))
        rings = dict(await read(_RINGS, "device"))
        devices: list[Device] = [
            device_of(row) for row in await read(SELECT_DEVICE, "device.id", more="ORDER BY device.id")
        ]
        return tuple(
            FleetRow(
                device=device,
                seen=seen.get(device.device_id),
                health=health.get(device.device_id),
                scans_hour=scans.get(device.device_id, 0),
                certificate_ms=ends.get(device.device_id),
                ring=rings.get(device.device_id, RING_PLAIN),
            )
            for device in devices
        )

    async def device_samples(self, device_id: bytes, *, from_slot: int, to_slot: int) -> tuple[DeviceSample, ...]:
        """One look-up by the primary key for each slot: the device comes second in it."""
        rows = await self._connections.read(
            "WITH RECURSIVE slots (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM slots WHERE n + 1 < ?2)"
            " SELECT slot, scans, spool, board_cc, frame_rate_c, decode_us"
            " FROM slots CROSS JOIN device_sample ON slot = n AND device = ?3 WHERE n < ?2 ORDER BY slot",
            (from_slot, to_slot, device_id),
        )
        return tuple(
            DeviceSample(
                device_id=device_id,
                slot=slot,
                scans=scans,
                spool=spool,
                board_cc=board_cc,
                frame_rate_c=frame_rate_c,
                decode_us=decode_us,
            )
            for slot, scans, spool, board_cc, frame_rate_c, decode_us in rows
        )

    async def minutes_of_gate(
        self, place_id: str, gate_id: str, *, from_minute: int, to_minute: int
    ) -> tuple[MinuteCount, ...]:
        """One gate's counts; each minute is a look-up by the primary key."""
        rows = await self._connections.read(
            "WITH RECURSIVE minutes (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM minutes WHERE n + 1 < ?2)"
            " SELECT minute, colour, verdict, direction, count_minute.n FROM minutes CROSS JOIN count_minute"
            " ON minute = minutes.n AND place = ?3 AND gate = ?4 WHERE minutes.n < ?2",
            (from_minute, to_minute, place_id, gate_id),
        )
        return tuple(
            MinuteCount(
                place_id=place_id,
                gate_id=gate_id,
                minute=minute,
                colour=Colour(colour),
                verdict=Verdict(verdict),
                direction=Direction(direction),
                n=n,
            )
            for minute, colour, verdict, direction, n in rows
        )

    async def device_quarantine(self, device_id: bytes, *, limit: int) -> tuple[QuarantineRow, ...]:
        """Newest first."""
        rows = await self._connections.read(
            f"{SELECT_QUARANTINE} WHERE device = ? AND data IS NOT NULL ORDER BY id DESC LIMIT ?", (device_id, limit)
        )
        return tuple(quarantine_of(row) for row in rows)

    async def device_gaps(self, device_id: bytes, *, limit: int) -> tuple[Gap, ...]:
        """Newest first."""
        rows = await self._connections.read(
            "SELECT epoch, from_seq, to_seq, why FROM gap WHERE device = ? ORDER BY id DESC LIMIT ?",
            (device_id, limit),
        )
        return tuple(
            Gap(device_id=device_id, epoch=epoch, from_seq=from_seq, to_seq=to_seq, why=why)
            for epoch, from_seq, to_seq, why in rows
        )

    async def audit_about(self, text: str, *, limit: int) -> tuple[AuditEntry, ...]:
        """Newest first."""
        rows = await self._connections.read(
            "SELECT at_ms, who, action, detail FROM audit WHERE id > (SELECT coalesce(max(id), 0) FROM audit) - ?"
            " AND instr(detail, ?) ORDER BY id DESC LIMIT ?",
            (_AUDIT_ROWS, text, limit),
        )
        return tuple(
            AuditEntry(at_ms=at_ms, who=who, action=action, detail=detail) for at_ms, who, action, detail in rows
        )


def _health(row: tuple[Any, ...]) -> DeviceHealth:
    values = list(row)
    for index in _BOOLEANS:
        values[index] = None if values[index] is None else bool(values[index])
    for index, kind in _ENUMS:
        values[index] = None if values[index] is None else kind(values[index])
    return DeviceHealth(**dict(zip(_HEALTH, values, strict=True)))
