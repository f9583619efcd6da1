"""What a store of check-ins can do. SQLite is one; the contract suite in `tests/contracts` holds for each.

`Store` is the sum of its ports, so that each stage asks only for what it uses:

    IngestStore     heads and devices at start, then one `commit` per micro-batch
    OutboxStore     stored → batches → the platform's receipts → forgetting personal data
    RegistryStore   places, gates, devices, audit
    ReportStore     status, counts, quarantine, export
    EnrolStore      enrolment, keys and certificates of devices                 enrol_ports.py
    TrustStore      what flows to the gates                                     trust_ports.py
    ConsoleStore    accounts, sessions, the audit log page by page              console_ports.py
    PlaceStore      place codes, applications for them, a place's day           place_ports.py
    ErrandStore     what the console's process asks of the hub's                errand_ports.py
    RegisterStore   rows by place and time, slips, counts, deletion             register_ports.py
    TraceStore      what the platform asks about the past                       trace_ports.py
    LiveStore       newest rows, counts that last, alerts and who is told        live_ports.py
    FleetStore      how devices fare, and what is known of one of them          fleet_ports.py
    DeskStore       visits registered at a desk, sealed                         desk_ports.py
    FirmwareStore   rings, rollouts, and what became of each device in one      firmware_ports.py

Every method that writes is one transaction: it happened whole, or it did not happen. A cancelled call is either
too; its caller cannot know which. Every method may raise `StoreWriteError`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from hub.model import (
    AuditEntry,
    Device,
    DeviceChange,
    DeviceState,
    EvidenceCount,
    Gap,
    Gate,
    Head,
    HeadChange,
    MinuteCount,
    OutboxBatch,
    OutboxRow,
    Place,
    QuarantineEntry,
    QuarantineRow,
    RejectedRow,
    SkippedRow,
    StoredCheckIn,
    StoreStatus,
)
from hub.store.console_ports import ConsoleStore
from hub.store.desk_ports import DeskStore
from hub.store.enrol_ports import EnrolStore
from hub.store.errand_ports import ErrandStore
from hub.store.firmware_ports import FirmwareStore
from hub.store.fleet_ports import FleetStore
from hub.store.live_ports import LiveStore
from hub.store.place_ports import PlaceStore
from hub.store.register_ports import RegisterStore
from hub.store.trace_ports import TraceStore
from hub.store.trust_ports import TrustStore
from protocol.checkin import SealedCheckIn
from protocol.limits import INT64_MAX

QUARANTINE_DATA_BYTES: Final = 4096
"""Kept of each quarantined entry: four whole check-ins, enough to see what a hostile message was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestCommit:
    """All that one micro-batch changes. It is stored whole or not at all; receipts go out after it."""

    received_ms: int
    rows: tuple[SealedCheckIn, ...] = ()
    """Judged good, in order of seq within each (device, epoch); the outbox keeps this order. Numbers end at
    2**63 - 1: a row beyond makes the whole commit fail."""
    heads: tuple[HeadChange, ...] = ()
    """At most one for each (device, epoch); required for every spool that `rows` touches."""
    counts: tuple[MinuteCount, ...] = ()
    """To be added to what is counted already."""
    quarantine: tuple[QuarantineEntry, ...] = ()
    """All are kept; the caller bounds how many a device may cause. The same bytes of the same device, place in the
    chain and reason change nothing, so that a resend does not grow the table."""
    gaps: tuple[Gap, ...] = ()
    device_changes: tuple[DeviceChange, ...] = ()
    """Audited as done by the hub. A revoked device stays revoked."""


class IngestStore(Protocol):
    """What `ingest` needs."""

    async def heads(self) -> tuple[Head, ...]:
        """Every spool's high-water mark, to be loaded at start."""

    async def gaps_of_all(self) -> tuple[Gap, ...]:
        """Every gap noted, to be loaded at start."""

    async def commit(self, commit: IngestCommit) -> None:
        """Store one micro-batch durably, in one transaction.

        Raises:
            HeadConflictError: a head's `was_seq` is not what is stored; nothing was written.
        """

    async def find_hash(self, device_id: bytes, epoch: bytes, seq: int) -> bytes | None:
        """The hash of a check-in stored before, to tell a resend from a fork; None if it is not stored.

        Takes at most 512 look-ups by row id, however many rows and devices there are.
        """

    async def find_sealed(self, device_id: bytes, epoch: bytes, seq: int) -> bytes | None:
        """The sealed bytes of a check-in stored before; None if it is not stored, or its retention is over."""

    async def evidence(self, device_id: bytes) -> EvidenceCount:
        """How much is kept against a device."""


class OutboxStore(Protocol):
    """What `forward` and `retention` need.

    A batch is made in two steps, so that signatures are checked outside of any transaction:
    `unbatched` reads rows, `fix_batch` fixes their range and the rows left out for ever. A crash between the two
    changes nothing. After it, the same batch id always has the same content.
    """

    async def unbatched(self, *, limit_rows: int, limit_bytes: int) -> tuple[OutboxRow, ...]:
        """The oldest rows that are in no batch, in order; empty when there is none.

        Ends before `limit_rows` or before the sum of `sealed` passes `limit_bytes`, but holds at least one row.
        """

    async def fix_batch(
        self,
        *,
        batch_id: bytes,
        first_id: int,
        last_id: int,
        skipped: tuple[SkippedRow, ...],
        made_ms: int,
    ) -> OutboxBatch:
        """Fix a batch over the rows just read; skipped ones go to quarantine. It is due at once.

        When every row is skipped, the batch is closed as receipted with 0 rows: there is nothing to send.

        Raises:
            OutboxConflictError: `first_id` is not the oldest unbatched row, or the range or a skip is not in it.
        """

    async def due_batches(self, *, now_ms: int, limit: int, latest_ms: int = INT64_MAX) -> tuple[OutboxBatch, ...]:
        """Open and refused batches whose `next_try_ms` is reached, longest due first: none starves the others.

        And those to be tried after `latest_ms`, which nobody puts them off to: a clock was ahead that is right now.
        """

    async def batch_rows(self, batch_id: bytes) -> tuple[OutboxRow, ...]:
        """What the batch holds, in order: always the same. An index of the platform's receipt counts these.

        Raises:
            OutboxConflictError: the batch is not known, or receipted (its rows may be forgotten).
        """

    async def retry_batch(self, batch_id: bytes, *, next_try_ms: int, detail: str) -> None:
        """No usable answer: count the attempt and try the same batch again at `next_try_ms`.

        Raises:
            OutboxConflictError: the batch is neither open nor refused.
        """

    async def mark_receipted(
        self, batch_id: bytes, *, receipt: bytes, rejected: tuple[RejectedRow, ...], now_ms: int
    ) -> None:
        """The platform signed for the batch. Rows it rejected are copied to quarantine. Repeating it is harmless.

        Raises:
            OutboxConflictError: the batch is unknown or was split, or a rejected row is not one of its rows.
        """

    async def mark_refused(self, batch_id: bytes, *, next_try_ms: int, detail: str) -> None:
        """The platform refused a batch that cannot be split; park it until `next_try_ms`.

        Raises:
            OutboxConflictError: the batch is neither open nor refused.
        """

    async def split_batch(
        self, batch_id: bytes, *, first_half_id: bytes, second_half_id: bytes, now_ms: int, detail: str
    ) -> tuple[OutboxBatch, OutboxBatch]:
        """The platform refused a batch of two rows or more: its halves take its place, due at once.

        Raises:
            OutboxConflictError: the batch is neither open nor refused, or has fewer than two rows.
        """

    async def forget_personal(self, *, received_before_ms: int, limit_batches: int) -> int:
        """Erase `subject`, `masked` and `sealed` of rows in receipted batches received before the bound.

        Takes the oldest `limit_batches` batches and returns how many it took; the caller goes on until it is
        fewer than asked. Hash, counts and the rest of the row remain.
        """

    async def forget_quarantine(self, *, received_before_ms: int) -> int:
        """Erase the bytes of quarantined entries received before the bound; returns how many."""


class RegistryStore(Protocol):
    """What `registry` needs. Each change writes its audit entry in the same transaction."""

    async def registry_version(self) -> int:
        """Differs from the last call when the registry may have changed since, here or in another process."""

    async def places(self) -> tuple[Place, ...]:
        """All places, by id."""

    async def gates(self) -> tuple[Gate, ...]:
        """All gates, by place and id."""

    async def devices(self) -> tuple[Device, ...]:
        """All devices in every state, by id."""

    async def audit_log(self, *, limit: int) -> tuple[AuditEntry, ...]:
        """The newest entries, newest first."""

    async def add_place(self, place: Place, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when its id is known already."""

    async def add_gate(self, gate: Gate, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when its id is known already at this place, or the place is not known."""

    async def add_device(self, device: Device, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when its id or key is known already, or its gate is not known."""

    async def set_device_state(self, device_id: bytes, *, state: DeviceState, reason: str, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when it is not known, in this state already, or revoked (which is final)."""

    async def audit(self, entry: AuditEntry) -> None:
        """Write down an act that changes nothing else, such as an export."""


class ReportStore(Protocol):
    """What status, export and the console need. Readers never hold the writer up."""

    async def status(self) -> StoreStatus:
        """The figures of this moment, without counting rows one by one."""

    async def minute_counts(self, *, from_minute: int, to_minute: int) -> tuple[MinuteCount, ...]:
        """Counts of `from_minute <= minute < to_minute`, by minute, place and gate."""

    async def quarantine_list(self, *, limit: int) -> tuple[QuarantineRow, ...]:
        """The newest quarantined entries, newest first."""

    async def gap_list(self, *, limit: int) -> tuple[Gap, ...]:
        """The gaps noted last, newest first."""

    def export(self, *, place_id: str | None, from_ms: int, to_ms: int, personal: bool) -> AsyncIterator[StoredCheckIn]:
        """Rows with `from_ms <= at_ms < to_ms`, in order of arrival, in bounded memory.

        Of what was stored when it began it reads the spans that may hold that time (`RegisterStore.spans`).
        """


class Store(
    IngestStore,
    OutboxStore,
    RegistryStore,
    ReportStore,
    EnrolStore,
    TrustStore,
    ConsoleStore,
    ErrandStore,
    PlaceStore,
    RegisterStore,
    TraceStore,
    LiveStore,
    FleetStore,
    DeskStore,
    FirmwareStore,
    Protocol,
):
    """A whole store, as `main` opens and closes it."""

    async def close(self) -> None:
        """Let go of the database; everything committed stays."""
