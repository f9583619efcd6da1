"""Outcomes of many messages -> one commit and the receipts that follow it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hub.ingest.judge import Outcome
from hub.ingest.spools import Spool
from hub.model import DeviceChange, DeviceState, Gap, MinuteCount, QuarantineEntry
from hub.store.ports import IngestCommit
from protocol.checkin import SealedCheckIn

CountRows = Callable[[Sequence[SealedCheckIn], int], tuple[MinuteCount, ...]]
"""(rows, received_ms) -> counts."""


@dataclass(slots=True)
class MicroBatch:
    """Filled message by message, then committed whole, then answered."""

    messages: int = 0
    received: int = 0
    duplicates: int = 0
    forks: int = 0
    stopped: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    bounds_passed: Counter[str] = field(default_factory=Counter)
    rows: list[SealedCheckIn] = field(default_factory=list)
    quarantine: list[QuarantineEntry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    changes: list[DeviceChange] = field(default_factory=list)
    moved: dict[tuple[bytes, bytes], Spool] = field(default_factory=dict)
    receipts: dict[bytes, Spool] = field(default_factory=dict)
    """By device: at most one receipt each, at the spool's head when the batch is committed."""

    def add(self, spool: Spool, outcome: Outcome) -> None:
        """What one message changed; its spool's head has moved already."""
        self.rows.extend(outcome.rows)
        self.quarantine.extend(outcome.quarantine)
        self.duplicates += outcome.duplicates
        self.stopped += outcome.stopped
        if outcome.gap is not None:
            self.gaps.append(outcome.gap)
        if spool.changed:
            self.moved[spool.device_id, spool.epoch] = spool
        if outcome.fork:
            self.forks += 1
        else:
            self.receipts[spool.device_id] = spool

    def stop(self, device_id: bytes, reason: str) -> None:
        """The device is quarantined with this commit, and nothing more of it is receipted."""
        self.changes.append(DeviceChange(device_id=device_id, state=DeviceState.QUARANTINED, reason=reason))
        self.receipts.pop(device_id, None)

    def answer(self, spool: Spool) -> None:
        """Nothing of a message can be judged: say how far its spool is stored."""
        self.stopped += 1
        self.receipts[spool.device_id] = spool

    def to_commit(self, *, received_ms: int, count: CountRows) -> IngestCommit | None:
        """Everything to be stored, in one transaction; None when nothing changes. Call it once."""
        if not (self.moved or self.quarantine or self.changes):
            return None
        return IngestCommit(
            received_ms=received_ms,
            rows=tuple(self.rows),
            heads=tuple(spool.take_change() for spool in self.moved.values()),
            counts=count(self.rows, received_ms),
            quarantine=tuple(self.quarantine),
            gaps=tuple(self.gaps),
            device_changes=tuple(self.changes),
        )
