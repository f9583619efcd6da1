"""SQLite: tokens and the enrolments that are asked for with them."""

from dataclasses import replace

import aiosqlite

from hub.model import AuditEntry, Device, DeviceState
from hub.store.enrol_ports import AskedEnrolment, Enrolment, EnrolToken, NewDevice, Refusal
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.certificates import SqliteCertificates, insert_certificate
from hub.store.sqlite.enrolment_steps import (
    SELECT_ENROLMENT,
    WAITING,
    enrolment_of,
    find,
    find_waiting,
    new_device,
    refuse,
    take,
    token_of,
)
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values, changing, insert_device, move_device
from protocol.enrolment import EnrolmentState


class SqliteEnrolment(SqliteCertificates):
    """`hub.store.enrol_ports.EnrolStore` on SQLite; keys and certificates stand in its base."""

    async def add_token(self, token: EnrolToken, *, audit: AuditEntry) -> None:
        """Add a token for a known place."""
        where = token.place_id if token.gate_id is None else f"{token.place_id}/{token.gate_id}"
        async with changing(self._connections, audit, refused=f"{where} is not registered") as db:
            await db.execute_fetchall(
                "INSERT INTO enrol_token (hash, place, gate, direction, devices, used, made_ms, expires_ms, who)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    token.hash,
                    token.place_id,
                    token.gate_id,
                    int(token.direction),
                    token.devices,
                    token.used,
                    token.made_ms,
                    token.expires_ms,
                    token.who,
                ),
            )

    async def find_token(self, token_hash: bytes) -> EnrolToken | None:
        """The token with this hash."""
        rows = await self._connections.read(
            "SELECT hash, place, gate, direction, devices, used, made_ms, expires_ms, who FROM enrol_token"
            " WHERE hash = ?",
            (token_hash,),
        )
        return token_of(rows[0]) if rows else None

    async def take_enrolment(
        self, asked: AskedEnrolment, *, waiting_max: int, audit: AuditEntry
    ) -> Enrolment | Refusal:
        """Check and take a request in one transaction, so that no two requests share what is left of a token."""
        async with self._connections.transaction() as db:
            taken = await take(db, asked, waiting_max=waiting_max)
            if taken is not None:
                return taken
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
            enrolment = await find(db, asked.enrolment_id)
        self._connections.note_registry_change()
        return enrolment

    async def find_enrolment(self, enrolment_id: bytes) -> Enrolment | None:
        """The enrolment with this id."""
        rows = await self._connections.read(f"{SELECT_ENROLMENT} WHERE enrolment.id = ?", (enrolment_id,))
        return enrolment_of(rows[0]) if rows else None

    async def enrolments(self, *, limit: int) -> tuple[Enrolment, ...]:
        """Those that wait, oldest first, then the others, newest first."""
        order = "ORDER BY state <> 0, iif(state = 0, asked_ms, -asked_ms), enrolment.id LIMIT ?"
        rows = await self._connections.read(f"{SELECT_ENROLMENT} {order}", (limit,))
        return tuple(enrolment_of(row) for row in rows)

    async def approve_enrolment(
        self, enrolment_id: bytes, new: NewDevice, *, replaced_id: bytes | None, audit: AuditEntry
    ) -> Device:
        """The device, its key, its certificate and the enrolment's end, together."""
        refused = f"device {new.device_id.hex()} cannot be registered"
        async with changing(self._connections, audit, refused=refused) as db:
            enrolment = await find_waiting(db, enrolment_id)
            device = await new_device(db, enrolment, new, replaced_id=replaced_id, at_ms=audit.at_ms)
            await insert_device(db, device)
            await insert_certificate(db, new.certificate)
            where = f"{device.device_id.hex()} at {device.place_id}/{device.gate_id}, key {device.kid.hex()}"
            await _audit(db, audit, "device.add", where)
            await db.execute_fetchall(
                "UPDATE enrolment SET state = ?, decided_ms = ?, who = ?, device = ?, certificate = ? WHERE id = ?",
                (
                    int(EnrolmentState.APPROVED),
                    audit.at_ms,
                    audit.who,
                    device.device_id,
                    new.certificate.serial,
                    enrolment_id,
                ),
            )
            if replaced_id is not None:
                reason = f"replaced by {device.device_id.hex()}"
                await move_device(db, replaced_id, state=DeviceState.REVOKED, reason=reason, at_ms=audit.at_ms)
                await _audit(db, audit, "device.revoked", f"{replaced_id.hex()}: {reason}")
        return device

    async def refuse_enrolment(self, enrolment_id: bytes, *, reason: str, audit: AuditEntry) -> None:
        """End a waiting enrolment and give its place back to its token."""
        refused = f"enrolment {enrolment_id.hex()} cannot be refused"
        async with changing(self._connections, audit, refused=refused) as db:
            enrolment = await find_waiting(db, enrolment_id)
            await refuse(db, enrolment.asked, reason=reason, audit=audit)

    async def lapse_enrolments(self, *, asked_before_ms: int, audit: AuditEntry) -> int:
        """Refuse those that nobody decided in time."""
        rows = await self._connections.read(
            f"{SELECT_ENROLMENT} WHERE state = ? AND asked_ms < ?", (WAITING, asked_before_ms)
        )
        lapsed = 0
        for enrolment in map(enrolment_of, rows):
            enrolment_id = enrolment.asked.enrolment_id
            entry = replace(audit, detail=f"{enrolment_id.hex()}: {audit.detail}")
            try:
                await self.refuse_enrolment(enrolment_id, reason=audit.detail, audit=entry)
            except RegistryConflictError:  # Somebody has just decided it.
                continue
            lapsed += 1
        return lapsed


async def _audit(db: aiosqlite.Connection, audit: AuditEntry, action: str, detail: str) -> None:
    """One more entry of the same person and moment."""
    await db.execute_fetchall(INSERT_AUDIT, (audit.at_ms, audit.who, action, detail))
