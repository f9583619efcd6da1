"""The changes an operator makes: check, then one audited transaction on the store."""

from dataclasses import dataclass

from hub.model import AuditEntry, Device, DeviceState, Gate, Place
from hub.registry.checks import (
    REASON_CHARS,
    RegistryError,
    checked_device_id,
    checked_id,
    checked_key,
    checked_line,
    checked_region,
)
from hub.store.ports import RegistryStore
from protocol.terms import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who makes a change, and when."""

    who: str
    now_ms: int

    def entry(self, action: str, detail: str) -> AuditEntry:
        """The audit entry of one act."""
        return AuditEntry(at_ms=self.now_ms, who=self.who, action=action, detail=detail)


async def add_place(
    store: RegistryStore, *, operator: Operator, place_id: str, name: str, region: str, responsible: str
) -> Place:
    """Register a venue.

    Raises:
        RegistryError: a value cannot be accepted.
        RegistryConflictError: it is registered already.
    """
    place = Place(
        place_id=checked_id(place_id, what="place id"),
        name=checked_line(name, what="name"),
        region=checked_region(region),
        responsible=checked_line(responsible, what="responsible person"),
    )
    await store.add_place(place, audit=operator.entry("place.add", f"{place.place_id}: {place.name}"))
    return place


async def add_gate(store: RegistryStore, *, operator: Operator, place_id: str, gate_id: str, name: str) -> Gate:
    """Register one lane of a known place.

    Raises:
        RegistryError: a value cannot be accepted.
        RegistryConflictError: it is registered already, or the place is not.
    """
    gate = Gate(
        place_id=checked_id(place_id, what="place id"),
        gate_id=checked_id(gate_id, what="gate id"),
        name=checked_line(name, what="name"),
    )
    await store.add_gate(gate, audit=operator.entry("gate.add", f"{gate.place_id}/{gate.gate_id}"))
    return gate


async def add_device(
    store: RegistryStore,
    *,
    operator: Operator,
    device_id: str,
    cose_key: bytes,
    place_id: str,
    gate_id: str,
    direction: Direction | None,
    name: str,
) -> Device:
    """Register a scanner at a known gate, with the public key that its check-ins are signed by.

    Raises:
        RegistryError: a value cannot be accepted.
        RegistryConflictError: the device or its key is registered already, or the gate is not.
    """
    key = checked_key(cose_key)
    device = Device(
        device_id=checked_device_id(device_id),
        place_id=checked_id(place_id, what="place id"),
        gate_id=checked_id(gate_id, what="gate id"),
        direction=direction,
        name=checked_line(name, what="name"),
        cose_key=cose_key,
        kid=key.kid,
        state=DeviceState.ACTIVE,
        reason="",
        added_ms=operator.now_ms,
        changed_ms=operator.now_ms,
    )
    detail = f"{device_id} at {place_id}/{gate_id}, key {key.kid.hex()}"
    await store.add_device(device, audit=operator.entry("device.add", detail))
    return device


async def set_device_state(
    store: RegistryStore, *, operator: Operator, device_id: str, state: DeviceState, reason: str
) -> None:
    """Revoke a device, quarantine it, or release it from quarantine.

    Raises:
        RegistryError: the id or the reason cannot be accepted; taking trust away needs a reason.
        RegistryConflictError: it is not registered, in this state already, or revoked.
    """
    device = checked_device_id(device_id)
    reason = checked_line(reason, what="reason", limit_chars=REASON_CHARS)
    if not reason and state is not DeviceState.ACTIVE:
        raise RegistryError("a reason is needed")
    detail = f"{device_id}: {reason}" if reason else device_id
    audit = operator.entry(f"device.{state}", detail)
    await store.set_device_state(device, state=state, reason=reason, audit=audit)
