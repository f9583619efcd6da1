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

SELECT_DEVICE: Final = """
SELECT device.id, place, gate, direction, name, cose_key, kid, state, reason, added_ms, changed_ms
FROM device JOIN device_key ON kid = (
    SELECT kid FROM device_key WHERE device = device.id ORDER BY from_ms DESC, kid LIMIT 1)
"""
"""Each device with the key that it has got last."""


def audit_values(entry: AuditEntry) -> tuple[int, str, str, str]:
    """The values of `INSERT_AUDIT`."""
    return (entry.at_ms, entry.who, entry.action, entry.detail)


class SqliteRegistry:
    """`hub.store.ports.RegistryStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def registry_version(self) -> int:
        """Differs from the last call when the registry may have changed since."""
        return await self._connections.registry_version()

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
        rows = await self._connections.read(f"{SELECT_DEVICE} ORDER BY device.id")
        return tuple(device_of(row) for row in rows)

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
        async with changing(self._connections, audit, refused=f"place {place.place_id} is registered already") as db:
            await db.execute_fetchall(
                "INSERT INTO place (id, name, region, responsible) VALUES (?, ?, ?, ?)",
                (place.place_id, place.name, place.region, place.responsible),
            )

    async def add_gate(self, gate: Gate, *, audit: AuditEntry) -> None:
        """Add a gate with a new id to a known place."""
        refused = f"gate {gate.gate_id} is registered already at place {gate.place_id}"
        async with changing(self._connections, audit, refused=refused) as db:
            if not await exists(db, "SELECT 1 FROM place WHERE id = ?", (gate.place_id,)):
                raise RegistryConflictError(f"place {gate.place_id} is not registered")
            await db.execute_fetchall(
                "INSERT INTO gate (place, id, name) VALUES (?, ?, ?)", (gate.place_id, gate.gate_id, gate.name)
            )

    async def add_device(self, device: Device, *, audit: AuditEntry) -> None:
        """Add a device with a new id and a new key to a known gate."""
        refused = f"device {device.device_id.hex()} is registered already"
        async with changing(self._connections, audit, refused=refused) as db:
            await insert_device(db, device)

    async def set_device_state(self, device_id: bytes, *, state: DeviceState, reason: str, audit: AuditEntry) -> None:
        """Move a known device, unless it is revoked, to another state."""
        refused = f"device {device_id.hex()} cannot be {state}"
        async with changing(self._connections, audit, refused=refused) as db:
            await move_device(db, device_id, state=state, reason=reason, at_ms=audit.at_ms)

    async def audit(self, entry: AuditEntry) -> None:
        """Write down an act that changes nothing else."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(INSERT_AUDIT, audit_values(entry))


@asynccontextmanager
async def changing(connections: Connections, audit: AuditEntry, *, refused: str) -> AsyncIterator[aiosqlite.Connection]:
    """One audited change of the registry; a broken constraint becomes the sentence `refused`."""
    async with connections.transaction() as db:
        try:
            yield db
        except sqlite3.IntegrityError as error:
            raise RegistryConflictError(refused) from error
        await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
    connections.note_registry_change()


async def insert_device(db: aiosqlite.Connection, device: Device) -> None:
    """A new device at a known gate, with its first key."""
    if not await exists(db, "SELECT 1 FROM gate WHERE place = ? AND id = ?", (device.place_id, device.gate_id)):
        raise RegistryConflictError(f"gate {device.gate_id} is not registered at place {device.place_id}")
    await db.execute_fetchall(
        "INSERT INTO device (id, place, gate, direction, name, state, reason, added_ms, changed_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            device.device_id,
            device.place_id,
            device.gate_id,
            None if device.direction is None else int(device.direction),
            device.name,
            device.state,
            device.reason,
            device.added_ms,
            device.changed_ms,
        ),
    )
    await insert_key(db, device_id=device.device_id, kid=device.kid, cose_key=device.cose_key, from_ms=device.added_ms)


async def insert_key(db: aiosqlite.Connection, *, device_id: bytes, kid: bytes, cose_key: bytes, from_ms: int) -> None:
    """A key that no device had before."""
    if await exists(db, "SELECT 1 FROM device_key WHERE kid = ?", (kid,)):
        raise RegistryConflictError(f"key {kid.hex()} is registered already: a key is one device's, for ever")
    await db.execute_fetchall(
        "INSERT INTO device_key (kid, device, cose_key, from_ms) VALUES (?, ?, ?, ?)",
        (kid, device_id, cose_key, from_ms),
    )


async def move_device(
    db: aiosqlite.Connection, device_id: bytes, *, state: DeviceState, reason: str, at_ms: int
) -> None:
    """A known device, unless it is revoked, to another state; with the last one its certificates end."""
    found = await db.execute_fetchall("SELECT state FROM device WHERE id = ?", (device_id,))
    states = [row[0] for row in found]
    if not states:
        raise RegistryConflictError(f"device {device_id.hex()} is not registered")
    if states[0] == DeviceState.REVOKED:
        raise RegistryConflictError(f"device {device_id.hex()} is revoked, which is final")
    if states[0] == state:
        raise RegistryConflictError(f"device {device_id.hex()} is {state} already")
    await db.execute_fetchall(
        "UPDATE device SET state = ?, reason = ?, changed_ms = ? WHERE id = ?", (state, reason, at_ms, device_id)
    )
    if state is DeviceState.REVOKED:
        await db.execute_fetchall(
            "UPDATE certificate SET revoked_ms = ? WHERE device = ? AND revoked_ms IS NULL", (at_ms, device_id)
        )


async def exists(db: aiosqlite.Connection, sql: str, parameters: Iterable[Any]) -> bool:
    """Whether a query finds a row."""
    return bool(list(await db.execute_fetchall(sql, parameters)))


def device_of(row: tuple[Any, ...]) -> Device:
    """A row of `SELECT_DEVICE`."""
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
