"""An operator's decision about a waiting enrolment: approve, put in the place of an old device, refuse."""

import secrets
from typing import Final

from hub.model import AuditEntry, Device
from hub.registry.authority import Authority
from hub.registry.changes import Operator
from hub.registry.checks import REASON_CHARS, RegistryError, checked_device_id, checked_id, checked_line
from hub.registry.requests import checked_csr
from hub.store.enrol_ports import Enrolment, EnrolStore, NewDevice
from hub.store.errors import RegistryConflictError
from protocol.checkin import DEVICE_BYTES
from protocol.enrolment import fingerprint_words
from protocol.keys import decode_key
from protocol.terms import Direction

UNDECIDED_H: Final = 24
"""Who was not looked at for a day asks again, with a new code."""


async def approve(
    store: EnrolStore,
    *,
    operator: Operator,
    authority: Authority,
    enrolment_id: bytes,
    place_id: str | None = None,
    gate_id: str | None = None,
    direction: Direction | None = None,
    name: str = "",
    words: str | None = None,
) -> Device:
    """Register who asked: a new device id, its key, its first certificate, its gate, in one transaction.

    What is left out is as the code said. Where that named no gate, the device gets the first of G1, G2, ... at which
    no device stands; that gate is registered if need be. `words`: the fingerprint that the operator reads on the
    device.

    Raises:
        RegistryError: a value cannot be accepted, or the words are another device's.
        RegistryConflictError: it does not wait, or the place or gate is not registered.
    """
    enrolment = await _waiting(store, enrolment_id, words=words)
    if place_id is not None and place_id != enrolment.place_id and gate_id is None:
        raise RegistryError("another place than the code's: name the gate too")
    new = _new_device(
        enrolment,
        operator=operator,
        authority=authority,
        place_id=enrolment.place_id if place_id is None else checked_id(place_id, what="place id"),
        gate_id=enrolment.gate_id if gate_id is None else checked_id(gate_id, what="gate id"),
        direction=enrolment.direction if direction is None else direction,
        name=checked_line(name, what="name"),
    )
    audit = operator.entry("enrol.approve", f"{enrolment_id.hex()} is {new.device_id.hex()}")
    return await store.approve_enrolment(enrolment_id, new, replaced_id=None, audit=audit)


async def replace(
    store: EnrolStore,
    *,
    operator: Operator,
    authority: Authority,
    old_id: str,
    enrolment_id: bytes,
    words: str | None = None,
) -> Device:
    """The new device takes over the old one's gate, direction and name, and so its policy; the old one is revoked.

    Raises:
        RegistryError: the id is none, or the words are another device's.
        RegistryConflictError: the enrolment does not wait, or the old device is not registered, or revoked.
    """
    old = checked_device_id(old_id)
    enrolment = await _waiting(store, enrolment_id, words=words)
    new = _new_device(
        enrolment,
        operator=operator,
        authority=authority,
        place_id=enrolment.place_id,
        gate_id=enrolment.gate_id,
        direction=enrolment.direction,
        name="",
    )
    detail = f"{enrolment_id.hex()} is {new.device_id.hex()}, in place of {old_id}"
    return await store.approve_enrolment(
        enrolment_id, new, replaced_id=old, audit=operator.entry("device.replace", detail)
    )


async def refuse(store: EnrolStore, *, operator: Operator, enrolment_id: bytes, reason: str) -> None:
    """Turn a waiting device away. Its code may be used by another one instead.

    Raises:
        RegistryError: no reason, or one that cannot be accepted.
        RegistryConflictError: it does not wait.
    """
    reason = checked_line(reason, what="reason", limit_chars=REASON_CHARS)
    if not reason:
        raise RegistryError("a reason is needed")
    audit = operator.entry("enrol.refuse", f"{enrolment_id.hex()}: {reason}")
    await store.refuse_enrolment(enrolment_id, reason=reason, audit=audit)


async def lapse(store: EnrolStore, *, now_ms: int) -> int:
    """Refuse those whom nobody has looked at for a day; returns how many."""
    audit = AuditEntry(at_ms=now_ms, who="hub", action="enrol.refuse", detail=f"undecided for {UNDECIDED_H} h")
    return await store.lapse_enrolments(asked_before_ms=now_ms - UNDECIDED_H * 3_600_000, audit=audit)


async def _waiting(store: EnrolStore, enrolment_id: bytes, *, words: str | None) -> Enrolment:
    enrolment = await store.find_enrolment(enrolment_id)
    if enrolment is None:
        raise RegistryConflictError(f"there is no enrolment {enrolment_id.hex()}")
    if words is not None:
        shown = fingerprint_words(decode_key(enrolment.asked.cose_key))
        if tuple(words.lower().split()) != shown:
            raise RegistryError(f"the words are not those of this device, which are: {' '.join(shown)}")
    return enrolment


def _new_device(
    enrolment: Enrolment,
    *,
    operator: Operator,
    authority: Authority,
    place_id: str,
    gate_id: str | None,
    direction: Direction,
    name: str,
) -> NewDevice:
    device_id = secrets.token_bytes(DEVICE_BYTES)
    public = checked_csr(enrolment.asked.csr)
    return NewDevice(
        device_id=device_id,
        place_id=place_id,
        gate_id=gate_id,
        direction=direction,
        name=name,
        certificate=authority.issue_device(public, device_id=device_id, now_ms=operator.now_ms),
    )
