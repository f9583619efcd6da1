"""What a store keeps of places besides their names: applications for place codes, the codes, and a day's counts.

The rules of `hub.store.ports` hold here too.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hub.model import AuditEntry, Gate, Place


class ApplicationState(StrEnum):
    """Where an application for a place code stands."""

    ASKED = "asked"
    """The platform has not answered yet."""
    ISSUED = "issued"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application for a place code. `said` is a JSON object that `hub.registry.applications` reads."""

    application_id: bytes
    place_id: str | None
    """None: for a new place, which the platform has not named yet."""
    said: str
    commitment: str
    who: str
    made_ms: int
    request: bytes | None = field(repr=False, default=None)
    """As signed for the platform; None once there is an answer."""
    state: ApplicationState = ApplicationState.ASKED
    refusals: tuple[tuple[str, str], ...] = ()
    """(field, reason)."""
    answered_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCode:
    """A place code. Of a place's codes that with the highest serial is in force."""

    place_id: str
    serial: int
    code: str
    issued_s: int
    request_id: bytes
    who: str
    why: str
    """Of a reissue; empty for the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCount:
    """How many check-ins of one sort a gate had."""

    gate_id: str
    direction: int
    verdict: int
    n: int


class PlaceStore(Protocol):
    """What applications, reissues and the pages of places need."""

    async def find_place(self, place_id: str) -> Place | None:
        """One place."""

    async def add_application(self, application: Application, *, audit: AuditEntry) -> Application:
        """Write one down that is to be sent; what is there already under its id stays, and is returned."""

    async def find_application(self, application_id: bytes) -> Application | None:
        """One application."""

    async def applications(self, *, limit: int) -> tuple[Application, ...]:
        """The newest, newest first."""

    async def application_of(self, place_id: str) -> Application | None:
        """The newest that was issued for a place."""

    async def issue_place(self, application_id: bytes, *, place: Place, code: KeptCode, audit: AuditEntry) -> None:
        """The platform has issued: the place is registered, or takes the name that was applied for; its code is kept.

        Where a responsible person has applied, the place becomes one of theirs. An answer that is there already stays.

        Raises:
            RegistryConflictError: the platform named a new place as another one is called, or an older code.
        """

    async def refuse_application(
        self, application_id: bytes, *, refusals: tuple[tuple[str, str], ...], audit: AuditEntry
    ) -> None:
        """The platform has refused. An answer that is there already stays."""

    async def keep_place_code(self, code: KeptCode, *, audit: AuditEntry) -> None:
        """A reissued code: from now on those before are dead. The same once more changes nothing.

        Raises:
            RegistryConflictError: a later one is kept already, or the place is not registered.
        """

    async def place_codes(self, place_id: str) -> tuple[KeptCode, ...]:
        """A place's codes, newest first."""

    async def newest_place_codes(self) -> tuple[KeptCode, ...]:
        """The code in force of every place that has one, by place."""

    async def rename_gate(self, gate: Gate, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when it is not registered."""

    async def gate_counts(self, place_id: str, *, from_minute: int, to_minute: int) -> tuple[GateCount, ...]:
        """Sums of `from_minute <= minute < to_minute`, by gate."""

    async def people_limits(self) -> dict[str, int]:
        """Place -> as many as may be inside at once, of those places for which it was said."""
