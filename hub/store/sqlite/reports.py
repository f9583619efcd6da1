"""SQLite: what status, the console and exports read."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from hub.model import Gap, MinuteCount, QuarantineRow, StoredCheckIn, StoreStatus
from hub.store.sqlite.connection import Connections
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Verdict

EXPORT_SPAN_ROWS: Final = 2000
"""Ids read by one query of an export: half a megabyte in memory, and a reader that lasts a few milliseconds."""

# Rows are never deleted, so the highest id is their number.
_STATUS: Final = """
WITH stored (n) AS (SELECT coalesce(max(id), 0) FROM checkin),
    behind (first_id, n) AS (
        SELECT last_id + 1, (SELECT n FROM stored) - last_id FROM forward_cursor),
    pending (first_id, n, open, refused) AS (
        SELECT min(first_id), coalesce(sum(n), 0), count(*) FILTER (WHERE state = 'open'),
            count(*) FILTER (WHERE state = 'refused')
        FROM batch WHERE state IN ('open', 'refused'))
SELECT (SELECT n FROM stored),
    (SELECT n FROM behind) + (SELECT n FROM pending),
    (SELECT received_ms FROM checkin WHERE id =
        coalesce((SELECT first_id FROM pending), (SELECT first_id FROM behind))),
    (SELECT open FROM pending),
    (SELECT refused FROM pending),
    (SELECT count(*) FROM quarantine),
    (SELECT count(*) FROM gap)
"""

_EXPORT: Final = """
SELECT id, device, epoch, seq, hash, at_ms, received_ms, place, gate, direction, colour, verdict, reason, clock,
    code, iif(?1, subject, NULL), iif(?1, masked, NULL)
FROM checkin
WHERE id BETWEEN ?2 AND ?3 AND at_ms >= ?4 AND at_ms < ?5 AND (?6 IS NULL OR place = ?6)
ORDER BY id
"""


class SqliteReports:
    """`hub.store.ports.ReportStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def status(self) -> StoreStatus:
        """The figures of this moment."""
        row = (await self._connections.read(_STATUS))[0]
        rows, outbox_rows, outbox_oldest_ms, batches_open, batches_refused, quarantined, gaps = row
        return StoreStatus(
            rows=rows,
            outbox_rows=outbox_rows,
            outbox_oldest_ms=outbox_oldest_ms,
            batches_open=batches_open,
            batches_refused=batches_refused,
            quarantined=quarantined,
            gaps=gaps,
        )

    async def minute_counts(self, *, from_minute: int, to_minute: int) -> tuple[MinuteCount, ...]:
        """Counts of the minutes asked for, by minute, place and gate."""
        rows = await self._connections.read(
            "SELECT minute, place, gate, colour, verdict, direction, n FROM count_minute"
            " WHERE minute >= ? AND minute < ? ORDER BY minute, place, gate, colour, verdict, direction",
            (from_minute, to_minute),
        )
        return tuple(
            MinuteCount(
                minute=minute,
                place_id=place_id,
                gate_id=gate_id,
                colour=Colour(colour),
                verdict=Verdict(verdict),
                direction=Direction(direction),
                n=n,
            )
            for minute, place_id, gate_id, colour, verdict, direction, n in rows
        )

    async def quarantine_list(self, *, limit: int) -> tuple[QuarantineRow, ...]:
        """The newest quarantined entries, newest first."""
        rows = await self._connections.read(
            "SELECT id, device, epoch, seq, received_ms, reason, detail, data FROM quarantine ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return tuple(
            QuarantineRow(
                row_id=row_id,
                device_id=device_id,
                epoch=epoch,
                seq=seq,
                received_ms=received_ms,
                reason=reason,
                detail=detail,
                data=data,
            )
            for row_id, device_id, epoch, seq, received_ms, reason, detail, data in rows
        )

    async def gap_list(self, *, limit: int) -> tuple[Gap, ...]:
        """The gaps noted last, newest first."""
        rows = await self._connections.read(
            "SELECT device, epoch, from_seq, to_seq, why FROM gap ORDER BY id DESC LIMIT ?", (limit,)
        )
        return tuple(
            Gap(device_id=device_id, epoch=epoch, from_seq=from_seq, to_seq=to_seq, why=why)
            for device_id, epoch, from_seq, to_seq, why in rows
        )

    async def export(
        self, *, place_id: str | None, from_ms: int, to_ms: int, personal: bool
    ) -> AsyncIterator[StoredCheckIn]:
        """Rows of a time, in order of arrival, some thousand ids at a time."""
        last_id = (await self._connections.read("SELECT coalesce(max(id), 0) FROM checkin"))[0][0]
        for first_id in range(1, last_id + 1, EXPORT_SPAN_ROWS):
            upto_id = min(first_id + EXPORT_SPAN_ROWS - 1, last_id)
            bounds = (personal, first_id, upto_id, from_ms, to_ms, place_id)
            for row in await self._connections.read(_EXPORT, bounds):
                yield _stored(row)


def _stored(row: tuple[Any, ...]) -> StoredCheckIn:
    row_id, device_id, epoch, seq, hash_, at_ms, received_ms, place_id, gate_id, *rest = row
    direction, colour, verdict, reason, clock, code, subject, masked = rest
    return StoredCheckIn(
        row_id=row_id,
        device_id=device_id,
        epoch=epoch,
        seq=seq,
        hash=hash_,
        at_ms=at_ms,
        received_ms=received_ms,
        place_id=place_id,
        gate_id=gate_id,
        direction=Direction(direction),
        colour=Colour(colour),
        verdict=Verdict(verdict),
        reason=Reason(reason),
        clock=Clock(clock),
        code=code,
        subject=subject,
        masked=None if masked is None else tuple(json.loads(masked)),
    )
