"""What a store can do for a register: find rows by place and time, slips, counts, deletion.

Rows have no index on place or time, for each would slow every commit of check-ins. The store notes afterwards which
hours each span of rows holds (`enter_span`), and looks through those spans only, and through the rows beyond them.
The rules of `hub.store.ports` hold here too.
"""

from dataclasses import dataclass
from typing import Protocol

from hub.model import AuditEntry, MinuteCount, StoredCheckIn
from protocol.reasons import Reason
from protocol.terms import Colour, Direction, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of row ids, both ends included, of at most some thousand rows."""

    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows. None takes every value; `gate_ids` those of one account's gates.

    Attributes:
        from_ms: of the check-in's own time, this one included.
        to_ms: of the check-in's own time, not included.
        slip: the first bytes of the hash.
    """

    place_id: str | None
    from_ms: int
    to_ms: int
    gate_id: str | None = None
    direction: Direction | None = None
    colour: Colour | None = None
    verdict: Verdict | None = None
    reason: Reason | None = None
    slip: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A deletion that somebody asked for, and how far it is."""

    erasure_id: int
    place_id: str
    from_ms: int
    to_ms: int
    why: str
    who: str
    asked_ms: int
    erased: int
    """Rows whose personal fields are gone by it."""
    finished_ms: int | None
    """None: rows wait for the platform's receipt, or have still to be looked through."""


class RegisterStore(Protocol):
    """What registers, slips and summaries need."""

    async def spans(self, *, from_ms: int, to_ms: int) -> tuple[Span, ...]:
        """Every span that may hold a check-in with `from_ms <= at_ms < to_ms`, in order of arrival.

        Complete whenever the rows arrived: late, or while the hub's clock stepped back.
        """

    async def rows_of(self, span: Span, wanted: Wanted, *, personal: bool) -> tuple[StoredCheckIn, ...]:
        """The rows of a span that are wanted, in order of arrival; a few milliseconds."""

    async def enter_span(self) -> bool:
        """Note the hours and the slip numbers of the next whole span. False: there is none."""

    async def find_slip(self, slip: bytes) -> tuple[StoredCheckIn, ...]:
        """The rows of people not admitted with this slip number, without personal fields; seldom more than one."""

    async def counts(
        self, *, place_id: str, from_minute: int, to_minute: int, step_minutes: int
    ) -> tuple[MinuteCount, ...]:
        """Counts of one place, summed over steps that begin at `from_minute`; `minute` is a step's first."""

    async def add_erasure(
        self, *, place_id: str, from_ms: int, to_ms: int, why: str, who: str, asked_ms: int, audit: AuditEntry
    ) -> int:
        """Have personal fields erased of what is stored now; returns the erasure's id.

        Raises:
            RegistryConflictError: the place is not registered.
        """

    async def erasures(self, place_id: str, *, limit: int) -> tuple[Erasure, ...]:
        """A place's erasures, newest first."""

    async def erase_part(self, *, now_ms: int, again_ms: int) -> bool:
        """Erase `subject`, `masked` and `sealed` of the receipted rows of the next part. False: none is due.

        A part in which rows wait for their receipt is looked at again at `again_ms`. The last one ends its erasure,
        and writes to the audit log how many rows there were.
        """
