"""What a store keeps of firmware: rings, rollouts, and what became of each device in one.

The rules of `hub.store.ports` hold here too: every method that writes is one transaction, and every method may raise
`StoreWriteError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from hub.model import AuditEntry
from hub.store.trust_ports import CommandState

RINGS: Final = 10
"""0 to 9; 0 gets a release first."""
RING_PLAIN: Final = 1
"""Of a device that nobody has put into another: so ring 0 is empty until somebody chooses who goes first."""


class RolloutState(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    HALTED = "halted"
    """Nobody further is told until somebody resumes it."""
    DONE = "done"
    """Every ring had its turn. Devices that come later, or are new, are still told."""
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """What became of a device that was told."""

    TOLD = "told"
    UPDATED = "updated"
    FAILED = "failed"
    UNABLE = "unable"
    """Its firmware does not know how: it says so, or does not answer at all. Nothing has changed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A release on its way through the fleet."""

    rollout_id: int = 0
    release: int
    place_id: str = ""
    """Empty: every place."""
    soak_min: int
    failures_max: int
    patience_min: int
    who: str
    made_ms: int
    state: RolloutState = RolloutState.RUNNING
    reason: str = ""
    ring: int = 0
    """Devices of this ring and those before it are told; `RINGS`: of all."""
    soak_from_ms: int | None = None
    moved_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A device that was told. The last two are read, and never written: what became of the command itself."""

    device_id: bytes
    command_id: bytes
    tries: int
    was_failing: bool
    told_ms: int
    outcome: Outcome = Outcome.TOLD
    reason: str = ""
    outcome_ms: int
    command: CommandState | None = None
    """None: the hub ended before it was written down."""
    sent: bool = False
    answer: str = ""


class FirmwareStore(Protocol):
    """What `hub.firmware` and its commands need."""

    async def rings(self) -> dict[bytes, int]:
        """Of the devices that somebody has put into one."""

    async def set_ring(self, device_id: bytes, *, ring: int, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when there is no such device."""

    async def add_rollout(self, rollout: Rollout, *, audit: AuditEntry) -> int:
        """Returns its id. Raises RegistryConflictError while another one runs or is halted."""

    async def newest_rollout(self) -> Rollout | None:
        """The one staged last, in whatever state."""

    async def told_devices(self, rollout_id: int) -> tuple[Told, ...]:
        """Everybody who was told, by device."""

    async def move_rollout(
        self,
        rollout: Rollout,
        *,
        expected: RolloutState,
        told: Sequence[Told] = (),
        forget: frozenset[Outcome] = frozenset(),
        audit: Sequence[AuditEntry] = (),
    ) -> bool:
        """Put it, and these devices, in the place of what was there; before, those of some outcomes are forgotten.

        False, and nothing written, when its state is not the expected one any more: somebody else has moved it.
        """
