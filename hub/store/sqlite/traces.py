"""SQLite: what the platform has asked about the past, and the rows of an answer."""

from typing import Any, Final

import aiosqlite

from hub.model import AuditEntry
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values, exists
from hub.store.trace_ports import UNSIGNED_MOST, Asked, Progress, Trace, TracedRow, TraceState
from protocol.limits import INT64_MAX
from protocol.terms import Colour, Direction, Verdict

_ROWS: Final = """
SELECT id, device, epoch, seq, hash, at_ms, gate, direction, colour, verdict, sealed FROM checkin
WHERE id BETWEEN ? AND ? AND place = ? AND at_ms >= ? AND at_ms < ? AND (?6 IS NULL OR gate = ?6)
ORDER BY id LIMIT ?
"""

_COLUMNS: Final = (
    "id, query_id, kid, issuer, place, gate, from_ms, to_ms, why, expires_ms, query_hash, heard_ms, state, reason,"
    " last_id, next_id, pages, told, bare, head, finished_ms"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM trace"  # noqa: S608 - our own column names
_INSERT: Final = """
INSERT INTO trace (query_hash, query_id, kid, issuer, place, gate, from_ms, to_ms, why, expires_ms, heard_ms, state,
    reason, last_id, next_id, head)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BEGUN: Final = Progress()


class SqliteTraces:
    """`hub.store.trace_ports.TraceStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def find_trace(self, query_hash: bytes) -> Trace | None:
        """The query with this hash, if it was heard before."""
        rows = await self._connections.read(f"{_SELECT} WHERE query_hash = ?", (query_hash,))
        return _trace(rows[0]) if rows else None

    async def knows_trace(self, query_id: bytes) -> bool:
        """Whether a signed query had this id."""
        return bool(
            await self._connections.read("SELECT 1 FROM trace WHERE query_id = ? AND kid IS NOT NULL", (query_id,))
        )

    async def accept_trace(
        self, query_hash: bytes, asked: Asked, *, last_id: int, heard_ms: int, audit: AuditEntry
    ) -> None:
        """Write down a query that will be answered."""
        async with self._connections.transaction() as db:
            if await exists(
                db,
                "SELECT 1 FROM trace WHERE query_hash = ? OR (query_id = ? AND kid IS NOT NULL)",
                (query_hash, asked.query_id),
            ):
                raise RegistryConflictError(f"trace {asked.query_id.hex()} was asked before")
            values = _values(query_hash, asked, heard_ms, state=TraceState.ANSWERING, reason="", last_id=last_id)
            await db.execute_fetchall(_INSERT, values)
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def refuse_trace(
        self, query_hash: bytes, asked: Asked | None, *, reason: str, heard_ms: int, audit: AuditEntry | None
    ) -> None:
        """Write down a query that will not be answered."""
        async with self._connections.transaction() as db:
            if await exists(db, "SELECT 1 FROM trace WHERE query_hash = ?", (query_hash,)):
                return
            unsigned = await db.execute_fetchall("SELECT count(*) FROM trace WHERE kid IS NULL")
            if asked is None and next(iter(unsigned))[0] >= UNSIGNED_MOST:
                return
            state = TraceState.REFUSED if asked is None else TraceState.REFUSING
            values = _values(query_hash, asked, heard_ms, state=state, reason=reason, last_id=0)
            await db.execute_fetchall(_INSERT, values)
            if audit is not None:
                await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def open_traces(self, *, limit: int) -> tuple[Trace, ...]:
        """Those of which the platform has still to be told something."""
        rows = await self._connections.read(
            f"{_SELECT} WHERE state IN ('answering', 'refusing') ORDER BY id LIMIT ?", (limit,)
        )
        return tuple(map(_trace, rows))

    async def traced_rows(self, asked: Asked, *, first_id: int, upto_id: int, limit: int) -> tuple[TracedRow, ...]:
        """Rows of the place in the window."""
        values = (first_id, upto_id, asked.place_id, asked.from_ms, asked.to_ms, asked.gate_id, limit)
        rows = await self._connections.read(_ROWS, values)
        return tuple(map(_traced, rows))

    async def move_trace(self, row_id: int, progress: Progress) -> None:
        """The platform has taken a page."""
        async with self._connections.transaction() as db:
            await _move(db, row_id, progress)

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
        """It is over."""
        async with self._connections.transaction() as db:
            if progress is not None:
                await _move(db, row_id, progress)
            await db.execute_fetchall(
                "UPDATE trace SET state = ?, reason = ?, finished_ms = ? WHERE id = ?", (state, reason, now_ms, row_id)
            )
            if audit is not None:
                await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def place_gaps(self, place_id: str, *, limit: int) -> tuple[tuple[bytes, bytes, int, int], ...]:
        """Gaps of devices that stand at the place."""
        rows = await self._connections.read(
            "SELECT gap.device, epoch, from_seq, to_seq FROM gap JOIN device ON device.id = gap.device"
            " WHERE place = ? ORDER BY gap.id DESC LIMIT ?",
            (place_id, limit),
        )
        return tuple((device, epoch, from_seq, to_seq) for device, epoch, from_seq, to_seq in rows)

    async def traces(self, *, before_id: int | None, limit: int) -> tuple[Trace, ...]:
        """All queries, newest first."""
        rows = await self._connections.read(
            f"{_SELECT} WHERE id < ? ORDER BY id DESC LIMIT ?", (before_id or INT64_MAX, limit)
        )
        return tuple(map(_trace, rows))


async def _move(db: aiosqlite.Connection, row_id: int, progress: Progress) -> None:
    await db.execute_fetchall(
        "UPDATE trace SET next_id = ?, pages = ?, told = ?, bare = ?, head = ? WHERE id = ?",
        (progress.next_id, progress.pages, progress.told, progress.bare, progress.head, row_id),
    )


def _values(
    query_hash: bytes, asked: Asked | None, heard_ms: int, *, state: TraceState, reason: str, last_id: int
) -> tuple[Any, ...]:
    """The values of `_INSERT`."""
    said: tuple[Any, ...] = (None,) * 9
    if asked is not None:
        said = (
            asked.query_id,
            asked.kid,
            asked.issuer,
            asked.place_id,
            asked.gate_id,
            asked.from_ms,
            asked.to_ms,
            asked.why,
            asked.expires_ms,
        )
    return (query_hash, *said, heard_ms, state, reason, last_id, _BEGUN.next_id, _BEGUN.head)


def _trace(row: tuple[Any, ...]) -> Trace:
    row_id, query_id, kid, issuer, place_id, gate_id, from_ms, to_ms, why, expires_ms, query_hash, *rest = row
    heard_ms, state, reason, last_id, next_id, pages, told, bare, head, end_ms = rest
    asked = None
    if kid is not None:
        asked = Asked(
            query_id=query_id,
            kid=kid,
            issuer=issuer,
            place_id=place_id,
            gate_id=gate_id,
            from_ms=from_ms,
            to_ms=to_ms,
            why=why,
            expires_ms=expires_ms,
        )
    return Trace(
        row_id=row_id,
        query_hash=query_hash,
        asked=asked,
        heard_ms=heard_ms,
        state=TraceState(state),
        reason=reason,
        last_id=last_id,
        progress=Progress(next_id=next_id, pages=pages, told=told, bare=bare, head=head),
        finished_ms=end_ms,
    )


def _traced(row: tuple[Any, ...]) -> TracedRow:
    row_id, device_id, epoch, seq, hash_, at_ms, gate_id, direction, colour, verdict, sealed = row
    return TracedRow(
        row_id=row_id,
        device_id=device_id,
        epoch=epoch,
        seq=seq,
        hash=hash_,
        at_ms=at_ms,
        gate_id=gate_id,
        direction=Direction(direction),
        colour=Colour(colour),
        verdict=Verdict(verdict),
        sealed=sealed,
    )
