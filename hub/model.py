"""The hub's own words: what the registry, the store and the outbox are made of.

Plain frozen values without behaviour. Times are milliseconds since 1970 UTC (`_ms`); device ids and epochs are
8 bytes, hashes 32 bytes, batch ids 16 bytes. What a check-in itself is stands in `protocol/checkin.py`.
"""

from dataclasses import dataclass
from enum import StrEnum

from protocol.reasons import Reason
from protocol.record import record
from protocol.terms import Clock, Colour, Direction, Verdict


class DeviceState(StrEnum):
    """What the hub does with a device's check-ins."""

    ACTIVE = "active"
    """Stored and receipted."""
    QUARANTINED = "quarantined"
    """Stopped by the hub or by an operator after a fork or the like, until an operator releases it."""
    REVOKED = "revoked"
    """Its key is no longer believed. Final: the device enrols again under a new id."""


class BatchState(StrEnum):
    """Where a batch stands on its way to the platform."""

    OPEN = "open"
    """Fixed; no answer yet."""
    RECEIPTED = "receipted"
    """The platform has signed for it."""
    REFUSED = "refused"
    """The platform refused the whole of it; tried again when its long pause is over."""
    SPLIT = "split"
    """Refused, and its rows live on in two smaller batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A registered venue."""

    place_id: str
    name: str
    region: str = ""
    """Administrative division code, such as `110105`; empty when it is not known."""
    responsible: str = ""
    """Who answers for the place; empty when nobody is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One lane at a place. Gate ids are unique within their place."""

    place_id: str
    gate_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One scanner, its key, and where it stands."""

    device_id: bytes
    place_id: str
    gate_id: str
    direction: Direction | None
    """None: the device serves both directions."""
    name: str
    cose_key: bytes
    """The deterministic COSE_Key of its signing key; `protocol.keys.decode_key` opens it."""
    kid: bytes
    """8 bytes: the key id of `cose_key`."""
    state: DeviceState
    reason: str
    """Why it is in this state; empty when it is active since it was added."""
    added_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change made by a person or by the hub itself. `action` is stable, such as `device.revoke`."""

    at_ms: int
    who: str
    action: str
    detail: str


class Role(StrEnum):
    """What somebody may do at the console; `hub.console.accounts.roles` says what that is."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    RESPONSIBLE = "responsible"
    """Answers for places: sees and runs these."""
    ATTENDANT = "attendant"
    """Stands at gates: sees these."""
    AUDITOR = "auditor"
    """Reads the audit log and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may use the console. Passwords and secrets are not in it."""

    name: str
    display: str
    role: Role
    scope: frozenset[tuple[str, str]]
    """(place, gate) that a responsible person or an attendant may see; an empty gate is the whole place."""
    enabled: bool
    has_password: bool
    has_totp: bool
    added_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How far one spool (device, epoch) is stored without a gap that was not noted."""

    device_id: bytes
    epoch: bytes
    seq: int
    hash: bytes | None
    """Hash of the check-in at `seq`; None after a noted gap, when nobody here has seen that check-in."""
    updated_ms: int


@record
class HeadChange:
    """A head's step from `was_seq` (0: this spool is new) to `seq`. It may stay where it is, never go back."""

    device_id: bytes
    epoch: bytes
    was_seq: int
    seq: int
    hash: bytes | None


@record
class MinuteCount:
    """How many check-ins of one sort one gate had in one minute; as a change, how many to add."""

    place_id: str
    gate_id: str
    minute: int
    """Minutes since 1970: when they happened, or were received where their own time cannot be believed."""
    colour: Colour
    verdict: Verdict
    direction: Direction
    n: int
    untimed: int = 0
    """Of a change: how many of them count when they were received. Not known of counts that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineEntry:
    """Bytes that can never be stored as a check-in, kept as evidence with the reason."""

    device_id: bytes | None
    """Whose topic they came from, or whose check-in they are; None when it is not known."""
    epoch: bytes | None
    seq: int | None
    reason: str
    """Stable, such as `fork`, `bad_signature`, `malformed`."""
    detail: str
    data: bytes
    """The bytes as received. The store keeps at most `QUARANTINE_DATA_BYTES` of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRow:
    """A quarantined entry as it is listed."""

    row_id: int
    device_id: bytes | None
    epoch: bytes | None
    seq: int | None
    received_ms: int
    reason: str
    detail: str
    data: bytes | None
    """None once its retention is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCount:
    """How much is kept against one device."""

    quarantined: int
    """Entries whose bytes are still there."""
    gaps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Sequence numbers, both ends included, that neither the hub nor the device has any more."""

    device_id: bytes
    epoch: bytes
    from_seq: int
    to_seq: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChange:
    """A device's new state, decided by the hub itself while judging."""

    device_id: bytes
    state: DeviceState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One stored check-in on its way to the platform."""

    row_id: int
    device_id: bytes
    epoch: bytes
    seq: int
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRow:
    """A row left out of its batch, because its own signature failed at forward."""

    row_id: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """A row that the platform's receipt names as not stored."""

    row_id: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBatch:
    """A batch whose content is fixed: the rows `first_id..last_id`, without those that were skipped."""

    batch_id: bytes
    first_id: int
    last_id: int
    rows: int
    """How many rows it holds, skipped ones not counted."""
    state: BatchState
    attempts: int
    """How often it was sent without a receipt."""
    next_try_ms: int
    made_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckIn:
    """A row as reports read it. The personal fields are None when not asked for, or forgotten, or never given."""

    row_id: int
    device_id: bytes
    epoch: bytes
    seq: int
    hash: bytes
    at_ms: int
    received_ms: int
    place_id: str
    gate_id: str
    direction: Direction
    colour: Colour
    verdict: Verdict
    reason: Reason
    clock: Clock
    code: bytes
    subject: bytes | None
    masked: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """The store's figures at one moment."""

    rows: int
    outbox_rows: int
    """Stored, but without the platform's receipt."""
    outbox_oldest_ms: int | None
    """When the oldest of them was received; None when there is none."""
    batches_open: int
    batches_refused: int
    quarantined: int
    gaps: int
