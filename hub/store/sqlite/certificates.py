"""SQLite: the keys of devices over time, and the certificates that the hub's authority has signed."""

from typing import Any, Final

import aiosqlite

from hub.model import AuditEntry, Device, DeviceState
from hub.store.enrol_ports import Certificate, StoredKey
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import SELECT_DEVICE, changing, device_of, exists, insert_key

_SELECT_KEY: Final = "SELECT kid, device, cose_key, from_ms, until_ms, announced_ms FROM device_key"
_SELECT_CERTIFICATE: Final = (
    "SELECT serial, device, name, key, der, issued_ms, not_after_ms, revoked_ms FROM certificate"
)


class SqliteCertificates:
    """The part of `hub.store.enrol_ports.EnrolStore` that is about keys and certificates."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def find_device(self, device_id: bytes) -> Device | None:
        """The device with this id, in whatever state."""
        rows = await self._connections.read(f"{SELECT_DEVICE} WHERE device.id = ?", (device_id,))
        return device_of(rows[0]) if rows else None

    async def device_keys(self, device_id: bytes | None = None) -> tuple[StoredKey, ...]:
        """The keys of one device, or of all, the oldest of a device first."""
        if device_id is None:
            rows = await self._connections.read(f"{_SELECT_KEY} ORDER BY device, from_ms, kid")
        else:
            rows = await self._connections.read(f"{_SELECT_KEY} WHERE device = ? ORDER BY from_ms, kid", (device_id,))
        return tuple(_key(row) for row in rows)

    async def keys_to_announce(self, *, limit: int) -> tuple[StoredKey, ...]:
        """Keys that the platform has not been told of, oldest first."""
        rows = await self._connections.read(
            f"{_SELECT_KEY} WHERE announced_ms IS NULL ORDER BY from_ms, kid LIMIT ?", (limit,)
        )
        return tuple(_key(row) for row in rows)

    async def mark_key_announced(self, kid: bytes, *, at_ms: int) -> None:
        """The platform knows this key."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall("UPDATE device_key SET announced_ms = ? WHERE kid = ?", (at_ms, kid))

    async def end_older_keys(self, device_id: bytes, *, kid: bytes, audit: AuditEntry) -> None:
        """Those that the device had before `kid` sign nothing new."""
        async with changing(self._connections, audit, refused=f"the keys of {device_id.hex()} cannot end") as db:
            await db.execute_fetchall(
                "UPDATE device_key SET until_ms = ?1 WHERE device = ?2 AND kid <> ?3 AND until_ms IS NULL"
                " AND from_ms <= (SELECT from_ms FROM device_key WHERE kid = ?3 AND device = ?2)",
                (audit.at_ms, device_id, kid),
            )

    async def add_certificate(self, certificate: Certificate, *, audit: AuditEntry) -> None:
        """Write down a certificate before it is handed out."""
        async with changing(self._connections, audit, refused="a certificate with this serial is known") as db:
            await insert_certificate(db, certificate)

    async def renew(self, certificate: Certificate, *, new_key: StoredKey | None, audit: AuditEntry) -> None:
        """A device's next certificate and key, unless it was revoked meanwhile."""
        device_id = certificate.device_id
        async with changing(self._connections, audit, refused="the certificate cannot be stored") as db:
            if not await exists(
                db, "SELECT 1 FROM device WHERE id = ? AND state <> ?", (device_id, DeviceState.REVOKED)
            ):
                raise RegistryConflictError("the device is not registered, or is revoked")
            await insert_certificate(db, certificate)
            if new_key is not None and not await exists(
                db,
                "SELECT 1 FROM device_key WHERE kid = ? AND device = ? AND until_ms IS NULL",
                (new_key.kid, device_id),
            ):
                await insert_key(
                    db,
                    device_id=new_key.device_id,
                    kid=new_key.kid,
                    cose_key=new_key.cose_key,
                    from_ms=new_key.from_ms,
                )

    async def find_certificate(self, serial: bytes) -> Certificate | None:
        """The certificate with this serial number."""
        rows = await self._connections.read(f"{_SELECT_CERTIFICATE} WHERE serial = ?", (serial,))
        return _certificate(rows[0]) if rows else None

    async def certificates_of_key(self, key: bytes) -> tuple[Certificate, ...]:
        """The certificates for one public key, newest first."""
        rows = await self._connections.read(
            f"{_SELECT_CERTIFICATE} WHERE key = ? ORDER BY issued_ms DESC, not_after_ms DESC", (key,)
        )
        return tuple(_certificate(row) for row in rows)

    async def device_certificates(self, device_id: bytes) -> tuple[Certificate, ...]:
        """Those of one device, newest first."""
        rows = await self._connections.read(
            f"{_SELECT_CERTIFICATE} WHERE device = ? ORDER BY issued_ms DESC", (device_id,)
        )
        return tuple(_certificate(row) for row in rows)


async def insert_certificate(db: aiosqlite.Connection, certificate: Certificate) -> None:
    """A certificate with a new serial number."""
    await db.execute_fetchall(
        "INSERT INTO certificate (serial, device, name, key, der, issued_ms, not_after_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            certificate.serial,
            certificate.device_id,
            certificate.name,
            certificate.key,
            certificate.der,
            certificate.issued_ms,
            certificate.not_after_ms,
        ),
    )


def _key(row: tuple[Any, ...]) -> StoredKey:
    kid, device_id, cose_key, from_ms, until_ms, announced_ms = row
    return StoredKey(
        kid=kid,
        device_id=device_id,
        cose_key=cose_key,
        from_ms=from_ms,
        until_ms=until_ms,
        announced_ms=announced_ms,
    )


def _certificate(row: tuple[Any, ...]) -> Certificate:
    serial, device_id, name, key, der, issued_ms, not_after_ms, revoked_ms = row
    return Certificate(
        serial=serial,
        device_id=device_id,
        name=name,
        key=key,
        der=der,
        issued_ms=issued_ms,
        not_after_ms=not_after_ms,
        revoked_ms=revoked_ms,
    )
