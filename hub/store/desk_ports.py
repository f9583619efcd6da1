"""What a store keeps of the attendants' desks: visits that wait for the platform's receipt, and how often who asked.

The rules of `hub.store.ports` hold here too. What was typed at a desk is sealed; no port of a store can read it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hub.model import AuditEntry, MinuteCount


class VisitState(StrEnum):
    """Where a visit that was registered at a desk stands."""

    WAITING = "waiting"
    """The platform has not signed for it yet."""
    STORED = "stored"
    """It has, and what was typed is erased here."""
    REFUSED = "refused"
    """It does not take it: sealed to a key that it has no longer, or never had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskVisit:
    """A registration. `sealed` is None once it is not needed any more."""

    visit_id: bytes
    place_id: str
    gate_id: str
    who: str
    kept_ms: int
    state: VisitState = VisitState.WAITING
    sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `most` within `window_ms`."""

    window_ms: int
    most: int


class DeskStore(Protocol):
    """What desk and hub need."""

    async def keep_visit(self, visit: DeskVisit, *, waiting_most: int, audit: AuditEntry) -> DeskVisit:
        """Keep it until the platform has signed; one that is known already stays as it is, and comes back.

        Raises:
            RegistryConflictError: `waiting_most` visits wait already.
        """

    async def waiting_visits(self, *, now_ms: int, limit: int) -> tuple[DeskVisit, ...]:
        """Those due for another try, longest due first."""

    async def retry_visit(self, visit_id: bytes, *, next_try_ms: int) -> None:
        """No usable answer: it waits on."""

    async def settle_visit(self, visit_id: bytes, *, counts: tuple[MinuteCount, ...], now_ms: int) -> bool:
        """The platform signed: what was typed is erased and the visit is counted, in one transaction.

        False, and nothing counted, when it was settled before.
        """

    async def refuse_visit(self, visit_id: bytes, *, reason: str, now_ms: int) -> None:
        """The platform does not take it. What was typed stays as long as things in quarantine do."""

    async def forget_refused(self, *, closed_before_ms: int) -> int:
        """Erase what was typed of visits that were refused before; returns how many."""

    async def visits_waiting(self) -> int:
        """How many wait for the platform."""

    async def trust_bundle(self) -> bytes | None:
        """The trust bundle that is believed, as the platform signed it."""

    async def note_asking(
        self, account: str, ask: str, *, now_ms: int, rates: tuple[Rate, ...], audit: AuditEntry | None
    ) -> int:
        """Write down that an account asks, unless that is too often: then the ms to wait, and nothing is written."""
