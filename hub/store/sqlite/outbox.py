"""SQLite: the outbox as a cursor over append-only rows, and the forgetting that follows the receipts."""

from collections.abc import Iterable
from typing import Any, Final

import aiosqlite

from hub.model import BatchState, OutboxBatch, OutboxRow, QuarantineEntry, RejectedRow, SkippedRow
from hub.store.errors import OutboxConflictError
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.ingest import QUARANTINE, quarantine_values
from protocol.limits import INT64_MAX

_PENDING_BATCH: Final = "SELECT * FROM pending_batch WHERE id = ?"
_INSERT_BATCH: Final = """
INSERT INTO batch (id, first_id, last_id, n, state, attempts, next_try_ms, made_ms, newest_ms, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SENT_ROWS: Final = (
    "SELECT id, device, epoch, seq, sealed FROM checkin WHERE id BETWEEN ? AND ?"
    " AND id NOT IN (SELECT row_id FROM batch_skip WHERE row_id BETWEEN ? AND ?) ORDER BY id"
)
_FORGET: Final = "UPDATE checkin SET subject = NULL, masked = NULL, sealed = NULL WHERE id BETWEEN ? AND ?"


class SqliteOutbox:
    """`hub.store.ports.OutboxStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def unbatched(self, *, limit_rows: int, limit_bytes: int) -> tuple[OutboxRow, ...]:
        """The oldest rows that are in no batch."""
        rows = await self._connections.read(
            "SELECT id, device, epoch, seq, sealed FROM checkin"
            " WHERE id > (SELECT last_id FROM forward_cursor) ORDER BY id LIMIT ?",
            (limit_rows,),
        )
        taken: list[OutboxRow] = []
        total_bytes = 0
        for row in map(_outbox_row, rows):
            total_bytes += len(row.sealed)
            if taken and total_bytes > limit_bytes:
                break
            taken.append(row)
        return tuple(taken)

    async def fix_batch(
        self,
        *,
        batch_id: bytes,
        first_id: int,
        last_id: int,
        skipped: tuple[SkippedRow, ...],
        made_ms: int,
    ) -> OutboxBatch:
        """Fix a batch over the oldest unbatched rows; see the port."""
        async with self._connections.transaction() as db:
            cursor, newest = (await _rows(db, "SELECT last_id, (SELECT max(id) FROM checkin) FROM forward_cursor"))[0]
            if not first_id == cursor + 1 <= last_id <= (newest or 0):
                raise OutboxConflictError(f"rows {first_id} to {last_id} are not the next ones for a batch")
            await _quarantine_rows(db, skipped, first_id=first_id, last_id=last_id, at_ms=made_ms)
            await db.executemany("INSERT INTO batch_skip VALUES (?)", [(row.row_id,) for row in skipped])
            await db.execute_fetchall("UPDATE forward_cursor SET last_id = ?", (last_id,))
            return await _insert_batch(db, batch_id, first_id=first_id, last_id=last_id, made_ms=made_ms)

    async def due_batches(self, *, now_ms: int, limit: int, latest_ms: int = INT64_MAX) -> tuple[OutboxBatch, ...]:
        """Open and refused batches whose `next_try_ms` is reached, longest due first, or beyond `latest_ms`."""
        rows = await self._connections.read(
            "SELECT * FROM pending_batch WHERE next_try_ms <= ? OR next_try_ms > ?"
            " ORDER BY next_try_ms, first_id LIMIT ?",
            (now_ms, latest_ms, limit),
        )
        return tuple(_batch(row) for row in rows)

    async def batch_rows(self, batch_id: bytes) -> tuple[OutboxRow, ...]:
        """What an open or refused batch holds, in order."""
        batch = _one_pending(await self._connections.read(_PENDING_BATCH, (batch_id,)), batch_id)
        rows = await self._connections.read(_SENT_ROWS, (batch.first_id, batch.last_id) * 2)
        return tuple(_outbox_row(row) for row in rows)

    async def retry_batch(self, batch_id: bytes, *, next_try_ms: int, detail: str) -> None:
        """Count the attempt and try the same batch again later."""
        async with self._connections.transaction() as db:
            batch = await _pending(db, batch_id)
            await _postpone(db, batch, state=batch.state, next_try_ms=next_try_ms, detail=detail)

    async def mark_refused(self, batch_id: bytes, *, next_try_ms: int, detail: str) -> None:
        """Park a batch that the platform refused."""
        async with self._connections.transaction() as db:
            batch = await _pending(db, batch_id)
            await _postpone(db, batch, state=BatchState.REFUSED, next_try_ms=next_try_ms, detail=detail)

    async def mark_receipted(
        self, batch_id: bytes, *, receipt: bytes, rejected: tuple[RejectedRow, ...], now_ms: int
    ) -> None:
        """Close a batch that the platform signed for; see the port."""
        async with self._connections.transaction() as db:
            if await _rows(db, "SELECT 1 FROM batch WHERE id = ? AND state = 'receipted'", (batch_id,)):
                return
            batch = await _pending(db, batch_id)
            await _quarantine_rows(db, rejected, first_id=batch.first_id, last_id=batch.last_id, at_ms=now_ms)
            await db.execute_fetchall(
                "UPDATE batch SET state = 'receipted', receipt = ?, closed_ms = ?, detail = ? WHERE id = ?",
                (receipt, now_ms, f"{len(rejected)} rejected" if rejected else "", batch_id),
            )

    async def split_batch(
        self, batch_id: bytes, *, first_half_id: bytes, second_half_id: bytes, now_ms: int, detail: str
    ) -> tuple[OutboxBatch, OutboxBatch]:
        """Put two halves in a refused batch's place; see the port."""
        async with self._connections.transaction() as db:
            batch = await _pending(db, batch_id)
            sent = await _rows(db, _SENT_ROWS, (batch.first_id, batch.last_id) * 2)
            if len(sent) <= 1:
                raise OutboxConflictError(f"batch {batch_id.hex()} has one row, which cannot be split")
            middle_id = sent[len(sent) // 2][0]
            await db.execute_fetchall(
                "UPDATE batch SET state = 'split', closed_ms = ?, detail = ? WHERE id = ?", (now_ms, detail, batch_id)
            )
            first = await _insert_batch(
                db, first_half_id, first_id=batch.first_id, last_id=middle_id - 1, made_ms=now_ms
            )
            second = await _insert_batch(db, second_half_id, first_id=middle_id, last_id=batch.last_id, made_ms=now_ms)
            return first, second

    async def forget_personal(self, *, received_before_ms: int, limit_batches: int) -> int:
        """Erase the personal fields of receipted rows received before the bound; see the port."""
        async with self._connections.transaction() as db:
            over = await _rows(
                db,
                "SELECT id, first_id, last_id FROM batch WHERE state = 'receipted' AND forgotten = 0"
                " AND newest_ms < ? ORDER BY first_id LIMIT ?",
                (received_before_ms, limit_batches),
            )
            await db.executemany(_FORGET, [(first_id, last_id) for _, first_id, last_id in over])
            await db.executemany("UPDATE batch SET forgotten = 1 WHERE id = ?", [(row[0],) for row in over])
        if over:
            # What is erased in the database may still stand in its write-ahead log.
            await self._connections.truncate_wal()
        return len(over)

    async def forget_quarantine(self, *, received_before_ms: int) -> int:
        """Erase the bytes of quarantined entries received before the bound."""
        async with self._connections.transaction() as db:
            cursor = await db.execute(
                "UPDATE quarantine SET data = NULL WHERE received_ms < ? AND data IS NOT NULL", (received_before_ms,)
            )
        if cursor.rowcount:
            await self._connections.truncate_wal()
        return cursor.rowcount


async def _rows(db: aiosqlite.Connection, sql: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await db.execute_fetchall(sql, parameters)]


async def _pending(db: aiosqlite.Connection, batch_id: bytes) -> OutboxBatch:
    return _one_pending(await _rows(db, _PENDING_BATCH, (batch_id,)), batch_id)


def _one_pending(rows: list[tuple[Any, ...]], batch_id: bytes) -> OutboxBatch:
    if not rows:
        raise OutboxConflictError(f"batch {batch_id.hex()} is neither open nor refused")
    return _batch(rows[0])


async def _postpone(
    db: aiosqlite.Connection, batch: OutboxBatch, *, state: BatchState, next_try_ms: int, detail: str
) -> None:
    await db.execute_fetchall(
        "UPDATE batch SET state = ?, attempts = attempts + 1, next_try_ms = ?, detail = ? WHERE id = ?",
        (state, next_try_ms, detail, batch.batch_id),
    )


async def _insert_batch(
    db: aiosqlite.Connection, batch_id: bytes, *, first_id: int, last_id: int, made_ms: int
) -> OutboxBatch:
    """A batch over a range whose skipped rows are known; with nothing left in it, it is closed at once."""
    bounds = (first_id, last_id)
    counted = "SELECT count(*), max(received_ms) FROM checkin WHERE id BETWEEN ? AND ?"
    in_range, newest_ms = (await _rows(db, counted, bounds))[0]
    skipped = (await _rows(db, "SELECT count(*) FROM batch_skip WHERE row_id BETWEEN ? AND ?", bounds))[0][0]
    n = in_range - skipped
    state = BatchState.OPEN if n else BatchState.RECEIPTED
    values = (batch_id, first_id, last_id, n, state, 0, made_ms, made_ms)
    await db.execute_fetchall(_INSERT_BATCH, (*values, newest_ms, "" if n else "every row was quarantined"))
    return _batch(values)


async def _quarantine_rows(
    db: aiosqlite.Connection,
    rows: tuple[SkippedRow, ...] | tuple[RejectedRow, ...],
    *,
    first_id: int,
    last_id: int,
    at_ms: int,
) -> None:
    """Copy stored rows to quarantine as evidence. They stay where they are."""
    for row in rows:
        found = await _rows(
            db,
            "SELECT device, epoch, seq, sealed FROM checkin WHERE id = ? AND id BETWEEN ? AND ?"
            " AND id NOT IN (SELECT row_id FROM batch_skip)",
            (row.row_id, first_id, last_id),
        )
        if not found:
            raise OutboxConflictError(f"row {row.row_id} is not in rows {first_id} to {last_id} of the batch")
        device, epoch, seq, sealed = found[0]
        entry = QuarantineEntry(
            device_id=device, epoch=epoch, seq=seq, reason=row.reason, detail=row.detail, data=sealed
        )
        await db.execute_fetchall(QUARANTINE, quarantine_values(entry, received_ms=at_ms))


def _outbox_row(row: tuple[Any, ...]) -> OutboxRow:
    row_id, device, epoch, seq, sealed = row
    return OutboxRow(row_id=row_id, device_id=device, epoch=epoch, seq=seq, sealed=sealed)


def _batch(row: tuple[Any, ...]) -> OutboxBatch:
    batch_id, first_id, last_id, n, state, attempts, next_try_ms, made_ms = row
    return OutboxBatch(
        batch_id=batch_id,
        first_id=first_id,
        last_id=last_id,
        rows=n,
        state=BatchState(state),
        attempts=attempts,
        next_try_ms=next_try_ms,
        made_ms=made_ms,
    )
