"""What a store keeps of traces: who asked for what, and how far the answer has come.

The rules of `hub.store.ports` hold here too. No subject, name or code is in what is kept: a trace's rows are the
check-ins themselves, read again for each page.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from hub.model import AuditEntry
from protocol.checkin import GENESIS
from protocol.terms import Colour, Direction, Verdict

UNSIGNED_MOST: Final = 1000
"""Queries kept that nobody signed whom we know; whoever sends more of them is not worth the disk."""


class TraceState(StrEnum):
    """Where a query stands."""

    ANSWERING = "answering"
    ANSWERED = "answered"
    ENDED = "ended"
    """Before all was told; the reason says why."""
    REFUSING = "refusing"
    """The platform has still to be told."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A query, as it was signed."""

    query_id: bytes
    kid: bytes
    issuer: str
    """Whose key that is, by the trust bundle."""
    place_id: str
    gate_id: str | None
    """None: every gate of the place."""
    from_ms: int
    to_ms: int
    why: str
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the answer has come. It moves when the platform has taken a page."""

    next_id: int = 1
    """All rows before it have been looked through."""
    pages: int = 0
    told: int = 0
    bare: int = 0
    """Of those told: without their signed bytes, which were forgotten."""
    head: bytes = GENESIS
    """SHA-256 of the page told last; zeros before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A query and what came of it."""

    row_id: int
    query_hash: bytes
    asked: Asked | None
    """None: nobody whom we know has signed it, and so nothing that it says is believed."""
    heard_ms: int
    state: TraceState
    reason: str
    """Stable; empty where it was answered."""
    last_id: int
    """The newest row that could be in the window when the query was accepted; 0: there was none."""
    progress: Progress
    finished_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRow:
    """A check-in of a trace."""

    row_id: int
    device_id: bytes
    epoch: bytes
    seq: int
    hash: bytes
    at_ms: int
    gate_id: str
    direction: Direction
    colour: Colour
    verdict: Verdict
    sealed: bytes | None
    """None: forgotten."""


class TraceStore(Protocol):
    """What traces need, and the page about them."""

    async def find_trace(self, query_hash: bytes) -> Trace | None:
        """The query with this hash, if it was heard before."""

    async def knows_trace(self, query_id: bytes) -> bool:
        """Whether a signed query had this id."""

    async def accept_trace(
        self, query_hash: bytes, asked: Asked, *, last_id: int, heard_ms: int, audit: AuditEntry
    ) -> None:
        """Write down a query that will be answered. Raises RegistryConflictError: it, or its id, is known."""

    async def refuse_trace(
        self, query_hash: bytes, asked: Asked | None, *, reason: str, heard_ms: int, audit: AuditEntry | None
    ) -> None:
        """Write down a query that will not be; one that is known changes nothing.

        Of those without a known signer only `UNSIGNED_MOST` are kept.
        """

    async def open_traces(self, *, limit: int) -> tuple[Trace, ...]:
        """Those of which the platform has still to be told something, oldest first."""

    async def traced_rows(self, asked: Asked, *, first_id: int, upto_id: int, limit: int) -> tuple[TracedRow, ...]:
        """Rows of the place in the window, among these ids, in order of arrival."""

    async def move_trace(self, row_id: int, progress: Progress) -> None:
        """The platform has taken a page."""

    async def end_trace(
        self,
        row_id: int,
        *,
        state: TraceState,
        reason: str,
        now_ms: int,
        audit: AuditEntry | None,
        progress: Progress | None = None,
    ) -> None:
        """It is over; `progress`, where the platform has taken its last page."""

    async def place_gaps(self, place_id: str, *, limit: int) -> tuple[tuple[bytes, bytes, int, int], ...]:
        """(device, epoch, from seq, to seq) of gaps of devices that stand at the place, newest first."""

    async def traces(self, *, before_id: int | None, limit: int) -> tuple[Trace, ...]:
        """All queries, newest first."""
