"""SQLite: places, gates, devices, and the audit log that every change of them writes."""

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiosqlite

from hub.model import AuditEntry, Device, DeviceState, Gate, Place
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.connection import Connections
from protocol.terms import Direction

INSERT_AUDIT: Final = "INSERT INTO audit (at_ms, who, action, detail) VALUES (?, ?, ?, ?)"


def audit_values(entry: AuditEntry) -> tuple[int, str, str, str]:
    """The values of `INSERT_AUDIT`."""
    return (entry.at_ms, entry.who, entry.action, entry.detail)


class SqliteRegistry:
    """`hub.store.ports.RegistryStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def registry_version(self) -> int:
        """Differs from the last call when another process has written since."""
        return await self._connections.data_version()

    async def places(self) -> tuple[Place, ...]:
        """All places, by id."""
        rows = await self._connections.read("SELECT id, name, region, responsible FROM place ORDER BY id")
        return tuple(
            Place(place_id=place_id, name=name, region=region, responsible=responsible)
            for place_id, name, region, responsible in rows
        )

    async def gates(self) -> tuple[Gate, ...]:
        """All gates, by place and id."""
        rows = await self._connections.read("SELECT place, id, name FROM gate ORDER BY place, id")
        return tuple(Gate(place_id=place_id, gate_id=gate_id, name=name) for place_id, gate_id, name in rows)

    async def devices(self) -> tuple[Device, ...]:
        """All devices in every state, by id."""
        rows = await self._connections.read(
            "SELECT id, place, gate, direction, name, cose_key, kid, state, reason, added_ms, changed_ms"
            " FROM device ORDER BY id"
        )
        return tuple(_device(row) for row in rows)

    async def audit_log(self, *, limit: int) -> tuple[AuditEntry, ...]:
        """The newest entries, newest first."""
        rows = await self._connections.read(
            "SELECT at_ms, who, action, detail FROM audit ORDER BY id DESC LIMIT ?", (limit,)
        )
        return tuple(
            AuditEntry(at_ms=at_ms, who=who, action=action, detail=detail) for at_ms, who, action, detail in rows
        )

    async def add_place(self, place: Place, *, audit: AuditEntry) -> None:
        """Add a place with a new id."""
        async with self._change(audit, refused=f"place {place.place_id} is registered already") as db:
            await db.execute_fetchall(
                "INSERT INTO place (id, name, region, responsible) VALUES (?, ?, ?, ?)",
                (place.place_id, place.name, place.region, place.responsible),
            )

    async def add_gate(self, gate: Gate, *, audit: AuditEntry) -> None:
        """Add a gate with a new id to a known place."""
        refused = f"gate {gate.gate_id} is registered already at place {gate.place_id}"
        async with self._change(audit, refused=refused) as db:
            if not await _exists(db, "SELECT 1 FROM place WHERE id = ?", (gate.place_id,)):
                raise RegistryConflictError(f"place {gate.place_id} is not registered")
            await db.execute_fetchall(
                "INSERT INTO gate (place, id, name) VALUES (?, ?, ?)", (gate.place_id, gate.gate_id, gate.name)
            )

    async def add_device(self, device: Device, *, audit: AuditEntry) -> None:
        """Add a device with a new id and a new key to a known gate."""
        name = device.device_id.hex()
        async with self._change(audit, refused=f"device {name} is registered already") as db:
            if not await _exists(
                db, "SELECT 1 FROM gate WHERE place = ? AND id = ?", (device.place_id, device.gate_id)
            ):
                raise RegistryConflictError(f"gate {device.gate_id} is not registered at place {device.place_id}")
            if await _exists(db, "SELECT 1 FROM device WHERE kid = ? AND id <> ?", (device.kid, device.device_id)):
                raise RegistryConflictError(f"the key of device {name} is registered for another device")
            await db.execute_fetchall(
                "INSERT INTO device (id, place, gate, direction, name, cose_key, kid, state, reason, added_ms,"
                " changed_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    device.device_id,
                    device.place_id,
                    device.gate_id,
                    None if device.direction is None else int(device.direction),
                    device.name,
                    device.cose_key,
                    device.kid,
                    device.state,
                    device.reason,
                    device.added_ms,
                    device.changed_ms,
                ),
            )

    async def set_device_state(self, device_id: bytes, *, state: DeviceState, reason: str, audit: AuditEntry) -> None:
        """Move a known device, unless it is revoked, to another state."""
        async with self._change(audit, refused=f"device {device_id.hex()} cannot be {state}") as db:
            found = await db.execute_fetchall("SELECT state FROM device WHERE id = ?", (device_id,))
            states = [row[0] for row in found]
            if not states:
                raise RegistryConflictError(f"device {device_id.hex()} is not registered")
            if states[0] == DeviceState.REVOKED:
                raise RegistryConflictError(f"device {device_id.hex()} is revoked, which is final")
            if states[0] == state:
                raise RegistryConflictError(f"device {device_id.hex()} is {state} already")
            await db.execute_fetchall(
                "UPDATE device SET state = ?, reason = ?, changed_ms = ? WHERE id = ?",
                (state, reason, audit.at_ms, device_id),
            )

    async def audit(self, entry: AuditEntry) -> None:
        """Write down an act that changes nothing else."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(INSERT_AUDIT, audit_values(entry))

    @asynccontextmanager
    async def _change(self, audit: AuditEntry, *, refused: str) -> AsyncIterator[aiosqlite.Connection]:
        """One audited change; a broken constraint becomes the sentence `refused`."""
        async with self._connections.transaction() as db:
            try:
                yield db
            except sqlite3.IntegrityError as error:
                raise RegistryConflictError(refused) from error
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))


async def _exists(db: aiosqlite.Connection, sql: str, parameters: Iterable[Any]) -> bool:
    return bool(list(await db.execute_fetchall(sql, parameters)))


def _device(row: tuple[Any, ...]) -> Device:
    device_id, place_id, gate_id, direction, name, cose_key, kid, state, reason, added_ms, changed_ms = row
    return Device(
        device_id=device_id,
        place_id=place_id,
        gate_id=gate_id,
        direction=None if direction is None else Direction(direction),
        name=name,
        cose_key=cose_key,
        kid=kid,
        state=DeviceState(state),
        reason=reason,
        added_ms=added_ms,
        changed_ms=changed_ms,
    )
