"""SQLite: what status, the console and exports read."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from hub.model import Gap, MinuteCount, QuarantineRow, StoredCheckIn, StoreStatus
from hub.store.register_ports import Wanted
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.register import rows_of, spans_of
from protocol.terms import Colour, Direction, Verdict

SELECT_QUARANTINE: Final = "SELECT id, device, epoch, seq, received_ms, reason, detail, data FROM quarantine"
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


def quarantine_of(row: Sequence[Any]) -> QuarantineRow:
    """A row of `SELECT_QUARANTINE`."""
    row_id, device_id, epoch, seq, received_ms, reason, detail, data = row
    return QuarantineRow(
        row_id=row_id,
        device_id=device_id,
        epoch=epoch,
        seq=seq,
        received_ms=received_ms,
        reason=reason,
        detail=detail,
        data=data,
    )


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
        rows = await self._connections.read(f"{SELECT_QUARANTINE} ORDER BY id DESC LIMIT ?", (limit,))
        return tuple(quarantine_of(row) for row in rows)

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
        """Rows of a time, in order of arrival, span by span."""
        wanted = Wanted(place_id=place_id, from_ms=from_ms, to_ms=to_ms)
        for span in await spans_of(self._connections, from_ms=from_ms, to_ms=to_ms):
            for row in await rows_of(self._connections, span, wanted, personal=personal):
                yield row
