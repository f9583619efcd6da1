"""SQLite: the steps of an enrolment inside its transactions, and its rows."""

from typing import Any, Final

import aiosqlite

from hub.model import AuditEntry, Device, DeviceState
from hub.store.enrol_ports import AskedEnrolment, Enrolment, EnrolToken, NewDevice, Refusal
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.registry import INSERT_AUDIT, SELECT_DEVICE, audit_values, device_of, exists
from protocol.enrolment import EnrolmentState
from protocol.terms import Direction

SELECT_ENROLMENT: Final = """
SELECT enrolment.id, token, kid, cose_key, csr, tls_key, enrolment.serial, model, firmware, address, asked_ms,
    place, gate, direction, state, decided_ms, enrolment.who, reason, enrolment.device, der
FROM enrolment JOIN enrol_token ON token = hash LEFT JOIN certificate ON certificate = certificate.serial
"""
WAITING: Final = int(EnrolmentState.WAITING)
_REFUSE: Final = "UPDATE enrolment SET state = ?, decided_ms = ?, who = ?, reason = ? WHERE id = ?"
_GIVE_BACK: Final = "UPDATE enrol_token SET used = used - 1 WHERE hash = ?"


async def take(db: aiosqlite.Connection, asked: AskedEnrolment, *, waiting_max: int) -> Enrolment | Refusal | None:
    """What is there already, or why not; None: it waits now."""
    # The same key and token again.
    found = await _all(db, f"{SELECT_ENROLMENT} WHERE token = ? AND kid = ?", (asked.token_hash, asked.kid))
    if found:
        enrolment = enrolment_of(found[0])
        return enrolment if enrolment.asked.tls_key == asked.tls_key else Refusal.KEY_KNOWN
    # The token.
    rows = await _all(db, "SELECT devices, used, expires_ms FROM enrol_token WHERE hash = ?", (asked.token_hash,))
    if not rows:
        return Refusal.TOKEN_UNKNOWN
    devices, used, expires_ms = rows[0]
    if asked.asked_ms >= expires_ms:
        return Refusal.TOKEN_EXPIRED
    if used >= devices:
        return Refusal.TOKEN_USED
    # The keys: each is one device's.
    if await exists(db, "SELECT 1 FROM device_key WHERE kid = ?", (asked.kid,)):
        return Refusal.KEY_KNOWN
    if await exists(
        db,
        "SELECT 1 FROM enrolment WHERE tls_key = ?1 AND kid <> ?2 UNION ALL SELECT 1 FROM certificate WHERE key = ?1",
        (asked.tls_key, asked.kid),
    ):
        return Refusal.KEY_KNOWN
    # The queue.
    waiting = await _all(db, "SELECT count(*) FROM enrolment WHERE state = ? AND kid <> ?", (WAITING, asked.kid))
    if waiting[0][0] >= waiting_max:
        return Refusal.TOO_MANY_WAITING
    # A key waits once: the code that was shown last counts.
    for row in await _all(db, f"{SELECT_ENROLMENT} WHERE kid = ? AND state = ?", (asked.kid, WAITING)):
        reason = "asked again with another code"
        detail = f"{row[0].hex()}: {reason}"
        entry = AuditEntry(at_ms=asked.asked_ms, who="hub", action="enrol.refuse", detail=detail)
        await refuse(db, enrolment_of(row).asked, reason=reason, audit=entry)
        await db.execute_fetchall(INSERT_AUDIT, audit_values(entry))
    await db.execute_fetchall("UPDATE enrol_token SET used = used + 1 WHERE hash = ?", (asked.token_hash,))
    await db.execute_fetchall(
        "INSERT INTO enrolment (id, token, state, kid, cose_key, csr, tls_key, serial, model, firmware, address,"
        " asked_ms, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
        (
            asked.enrolment_id,
            asked.token_hash,
            WAITING,
            asked.kid,
            asked.cose_key,
            asked.csr,
            asked.tls_key,
            asked.serial,
            asked.model,
            asked.firmware,
            asked.address,
            asked.asked_ms,
        ),
    )
    return None


async def new_device(
    db: aiosqlite.Connection, enrolment: Enrolment, new: NewDevice, *, replaced_id: bytes | None, at_ms: int
) -> Device:
    """What is registered: as `new` says, or where the replaced device stood."""
    place_id, gate_id, direction, name = new.place_id, new.gate_id, new.direction, new.name
    if replaced_id is not None:
        rows = await _all(db, f"{SELECT_DEVICE} WHERE device.id = ?", (replaced_id,))
        if not rows:
            raise RegistryConflictError(f"device {replaced_id.hex()} is not registered")
        old = device_of(rows[0])
        place_id, gate_id, direction, name = old.place_id, old.gate_id, old.direction, old.name
    elif gate_id is None:
        gate_id = await _next_gate(db, place_id)
    return Device(
        device_id=new.device_id,
        place_id=place_id,
        gate_id=gate_id,
        direction=direction,
        name=name,
        cose_key=enrolment.asked.cose_key,
        kid=enrolment.asked.kid,
        state=DeviceState.ACTIVE,
        reason="",
        added_ms=at_ms,
        changed_ms=at_ms,
    )


async def _next_gate(db: aiosqlite.Connection, place_id: str) -> str:
    """The first of G1, G2, ... at which no device stands, registered if need be."""
    taken = await _all(db, "SELECT gate FROM device WHERE place = ? AND state <> ?", (place_id, DeviceState.REVOKED))
    names = {row[0] for row in taken}
    # One more than there are taken ones is enough to meet a free one.
    gate_id = next(gate for n in range(1, len(names) + 2) if (gate := f"G{n}") not in names)
    await db.execute_fetchall(
        "INSERT INTO gate (place, id, name) VALUES (?, ?, '') ON CONFLICT DO NOTHING", (place_id, gate_id)
    )
    return gate_id


async def find_waiting(db: aiosqlite.Connection, enrolment_id: bytes) -> Enrolment:
    """The enrolment, if it is still to be decided. Raises RegistryConflictError."""
    rows = await _all(db, f"{SELECT_ENROLMENT} WHERE enrolment.id = ?", (enrolment_id,))
    if not rows:
        raise RegistryConflictError(f"there is no enrolment {enrolment_id.hex()}")
    enrolment = enrolment_of(rows[0])
    if enrolment.state is not EnrolmentState.WAITING:
        raise RegistryConflictError(f"enrolment {enrolment_id.hex()} is {enrolment.state.name.lower()} already")
    return enrolment


async def refuse(db: aiosqlite.Connection, asked: AskedEnrolment, *, reason: str, audit: AuditEntry) -> None:
    """End it, and give its place back to its token. The caller writes the audit entry."""
    await db.execute_fetchall(
        _REFUSE, (int(EnrolmentState.REFUSED), audit.at_ms, audit.who, reason, asked.enrolment_id)
    )
    await db.execute_fetchall(_GIVE_BACK, (asked.token_hash,))


async def find(db: aiosqlite.Connection, enrolment_id: bytes) -> Enrolment:
    """An enrolment that is there."""
    return enrolment_of((await _all(db, f"{SELECT_ENROLMENT} WHERE enrolment.id = ?", (enrolment_id,)))[0])


async def _all(db: aiosqlite.Connection, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await db.execute_fetchall(sql, parameters)]


def token_of(row: tuple[Any, ...]) -> EnrolToken:
    """A row of `enrol_token`."""
    hash_, place_id, gate_id, direction, devices, used, made_ms, expires_ms, who = row
    return EnrolToken(
        hash=hash_,
        place_id=place_id,
        gate_id=gate_id,
        direction=Direction(direction),
        devices=devices,
        used=used,
        made_ms=made_ms,
        expires_ms=expires_ms,
        who=who,
    )


def enrolment_of(row: tuple[Any, ...]) -> Enrolment:
    """A row of `SELECT_ENROLMENT`."""
    return Enrolment(
        asked=AskedEnrolment(
            enrolment_id=row[0],
            token_hash=row[1],
            kid=row[2],
            cose_key=row[3],
            csr=row[4],
            tls_key=row[5],
            serial=row[6],
            model=row[7],
            firmware=row[8],
            address=row[9],
            asked_ms=row[10],
        ),
        place_id=row[11],
        gate_id=row[12],
        direction=Direction(row[13]),
        state=EnrolmentState(row[14]),
        decided_ms=row[15],
        who=row[16],
        reason=row[17],
        device_id=row[18],
        certificate=row[19],
    )
