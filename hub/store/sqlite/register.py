"""SQLite: registers, slips, summaries, and their deletion."""

from collections.abc import Iterable
from typing import Any, Final

from hub.model import AuditEntry, MinuteCount, StoredCheckIn
from hub.store.errors import RegistryConflictError
from hub.store.register_ports import Erasure, Span, Wanted
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values
from hub.store.sqlite.rows import CHECKIN_COLUMNS, stored_checkin
from protocol.terms import Colour, Direction, Verdict

SPAN_ROWS: Final = 4096
"""Ids of one span, and so of one query: some megabytes, and a reader that lasts a few milliseconds."""
_HOUR_MS: Final = 3_600_000

_ENTERED: Final = "SELECT n, (SELECT coalesce(max(id), 0) FROM checkin) FROM entered_spans"
_SPANS: Final = "SELECT DISTINCT span FROM checkin_hour WHERE hour BETWEEN ? AND ? AND span < ? ORDER BY span"
_WANTED: Final = f"""
SELECT {CHECKIN_COLUMNS} FROM checkin
WHERE id BETWEEN ?2 AND ?3 AND at_ms >= ?4 AND at_ms < ?5 AND (?6 IS NULL OR place = ?6)
    AND (?7 IS NULL OR gate = ?7) AND (?8 IS NULL OR direction = ?8) AND (?9 IS NULL OR colour = ?9)
    AND (?10 IS NULL OR verdict = ?10) AND (?11 IS NULL OR reason = ?11)
    AND (?12 IS NULL OR substr(hash, 1, length(?12)) = ?12)
ORDER BY id
"""  # noqa: S608 -- names of columns
_OF_SPAN: Final = """
SELECT id, at_ms / ?1, iif(verdict <> 0, substr(hash, 1, 5), NULL) FROM checkin WHERE id BETWEEN ?2 AND ?3
"""
# Rows beyond the entered spans are looked through: all of them, until the hub has come to them.
_SLIP: Final = f"""
SELECT {CHECKIN_COLUMNS} FROM checkin
WHERE id IN (
    SELECT row_id FROM slip WHERE number = ?2
    UNION ALL
    SELECT id FROM checkin
    WHERE id > (SELECT n FROM entered_spans) * ?3 AND verdict <> 0 AND substr(hash, 1, 5) = ?4)
ORDER BY id
"""  # noqa: S608 -- names of columns
# What is older than two days is counted by the hour, and stands at the hour's first minute.
_COUNTS: Final = """
SELECT minute - (minute - ?1) % ?3 AS step, gate, colour, verdict, direction, sum(n) FROM (
    SELECT minute, gate, colour, verdict, direction, n FROM count_minute
    WHERE minute >= ?1 AND minute < ?2 AND place = ?4
    UNION ALL
    SELECT hour * 60, gate, colour, verdict, direction, n FROM count_hour
    WHERE place = ?4 AND hour * 60 >= ?1 AND hour * 60 < ?2)
GROUP BY step, gate, colour, verdict, direction ORDER BY step, gate, colour, verdict, direction
"""
_ERASURE: Final = "SELECT id, place, from_ms, to_ms, why, who, asked_ms, erased, finished_ms FROM erasure"
_PART: Final = """
SELECT erasure, first_id, last_id, place, from_ms, to_ms FROM erasure_part JOIN erasure ON erasure.id = erasure
WHERE next_ms <= ? ORDER BY next_ms, erasure, first_id LIMIT 1
"""
_ERASE: Final = """
UPDATE checkin SET subject = NULL, masked = NULL, sealed = NULL
WHERE id BETWEEN ? AND ? AND place = ? AND at_ms >= ? AND at_ms < ?
    AND (subject IS NOT NULL OR masked IS NOT NULL OR sealed IS NOT NULL)
"""
_PERSONAL: Final = """
SELECT 1 FROM checkin WHERE id BETWEEN ? AND ? AND place = ? AND at_ms >= ? AND at_ms < ?
    AND (subject IS NOT NULL OR masked IS NOT NULL OR sealed IS NOT NULL) LIMIT 1
"""


class SqliteRegister:
    """`hub.store.register_ports.RegisterStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def spans(self, *, from_ms: int, to_ms: int) -> tuple[Span, ...]:
        """Spans that may hold a time; see the port."""
        return await spans_of(self._connections, from_ms=from_ms, to_ms=to_ms)

    async def rows_of(self, span: Span, wanted: Wanted, *, personal: bool) -> tuple[StoredCheckIn, ...]:
        """The rows of a span that are wanted."""
        return await rows_of(self._connections, span, wanted, personal=personal)

    async def enter_span(self) -> bool:
        """Note the hours and the slip numbers of the next whole span."""
        entered, newest_id = (await self._connections.read(_ENTERED))[0]
        span = _span(entered)
        if span.last_id > newest_id:
            return False
        rows = await self._connections.read(_OF_SPAN, (_HOUR_MS, span.first_id, span.last_id))
        async with self._connections.transaction() as db:
            moved = await db.execute_fetchall("UPDATE entered_spans SET n = n + 1 WHERE n = ? RETURNING n", (entered,))
            if list(moved):
                await db.executemany(
                    "INSERT INTO checkin_hour VALUES (?, ?)",
                    sorted((hour, entered) for hour in {row[1] for row in rows}),
                )
                await db.executemany(
                    "INSERT INTO slip VALUES (?, ?)",
                    sorted((_number(prefix), row_id) for row_id, _, prefix in rows if prefix is not None),
                )
        return True

    async def find_slip(self, slip: bytes) -> tuple[StoredCheckIn, ...]:
        """The rows of people not admitted with this slip number."""
        rows = await self._connections.read(_SLIP, (False, _number(slip), SPAN_ROWS, slip))
        return tuple(map(stored_checkin, rows))

    async def counts(
        self, *, place_id: str, from_minute: int, to_minute: int, step_minutes: int
    ) -> tuple[MinuteCount, ...]:
        """Counts of one place, summed over steps."""
        rows = await self._connections.read(_COUNTS, (from_minute, to_minute, step_minutes, place_id))
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
            for minute, gate_id, colour, verdict, direction, n in rows
        )

    async def add_erasure(
        self, *, place_id: str, from_ms: int, to_ms: int, why: str, who: str, asked_ms: int, audit: AuditEntry
    ) -> int:
        """Have personal fields erased of what is stored now."""
        spans = await self.spans(from_ms=from_ms, to_ms=to_ms)
        async with self._connections.transaction() as db:
            if not list(await db.execute_fetchall("SELECT 1 FROM place WHERE id = ?", (place_id,))):
                raise RegistryConflictError(f"place {place_id} is not registered")
            added = await db.execute_fetchall(
                "INSERT INTO erasure (place, from_ms, to_ms, why, who, asked_ms)"
                " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                (place_id, from_ms, to_ms, why, who, asked_ms),
            )
            erasure_id = int(next(iter(added))[0])
            # One part at least, so that one over nothing is ended by the hub like any other.
            parts = spans or (Span(first_id=0, last_id=0),)
            await db.executemany(
                "INSERT INTO erasure_part VALUES (?, ?, ?, 0)",
                [(erasure_id, span.first_id, span.last_id) for span in parts],
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        return erasure_id

    async def erasures(self, place_id: str, *, limit: int) -> tuple[Erasure, ...]:
        """A place's erasures, newest first."""
        rows = await self._connections.read(f"{_ERASURE} WHERE place = ? ORDER BY id DESC LIMIT ?", (place_id, limit))
        return tuple(map(_erasure, rows))

    async def erase_part(self, *, now_ms: int, again_ms: int) -> bool:
        """Erase the personal fields of the receipted rows of the next part; see the port."""
        async with self._connections.transaction() as db:

            async def rows(sql: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
                return [tuple(row) for row in await db.execute_fetchall(sql, values)]

            part = await rows(_PART, (now_ms,))
            if not part:
                return False
            erasure_id, first_id, last_id, *where = part[0]
            cursor = (await rows("SELECT last_id FROM forward_cursor", ()))[0][0]
            pending = await rows(
                "SELECT first_id, last_id FROM pending_batch WHERE first_id <= ? AND last_id >= ?", (last_id, first_id)
            )
            erased = 0
            for first, last in without((first_id, min(last_id, cursor)), pending):
                done = await db.execute(_ERASE, (first, last, *where))
                erased += done.rowcount
            await rows("UPDATE erasure SET erased = erased + ? WHERE id = ?", (erased, erasure_id))
            if await rows(_PERSONAL, (first_id, last_id, *where)):
                await rows(
                    "UPDATE erasure_part SET next_ms = ? WHERE erasure = ? AND first_id = ?",
                    (again_ms, erasure_id, first_id),
                )
            else:
                await rows("DELETE FROM erasure_part WHERE erasure = ? AND first_id = ?", (erasure_id, first_id))
            if not await rows("SELECT 1 FROM erasure_part WHERE erasure = ? LIMIT 1", (erasure_id,)):
                await rows("UPDATE erasure SET finished_ms = ? WHERE id = ?", (now_ms, erasure_id))
                ended = _erasure((await rows(f"{_ERASURE} WHERE id = ?", (erasure_id,)))[0])
                detail = f"{ended.place_id}, deletion {erasure_id} asked by {ended.who}: {ended.erased} rows"
                entry = AuditEntry(at_ms=now_ms, who="hub", action="register.deleted", detail=detail)
                await rows(INSERT_AUDIT, audit_values(entry))
        if erased:
            # What is erased in the database may still stand in its write-ahead log.
            await self._connections.truncate_wal()
        return True


async def spans_of(connections: Connections, *, from_ms: int, to_ms: int) -> tuple[Span, ...]:
    """Every span that may hold a check-in of this time, in order of arrival."""
    if from_ms >= to_ms:
        return ()
    entered, newest_id = (await connections.read(_ENTERED))[0]
    found = await connections.read(_SPANS, (from_ms // _HOUR_MS, (to_ms - 1) // _HOUR_MS, entered))
    beyond = range(entered, -(-newest_id // SPAN_ROWS))
    spans = (_span(number) for numbers in ((row[0] for row in found), beyond) for number in numbers)
    return tuple(Span(first_id=span.first_id, last_id=min(span.last_id, newest_id)) for span in spans)


async def rows_of(connections: Connections, span: Span, wanted: Wanted, *, personal: bool) -> tuple[StoredCheckIn, ...]:
    """The rows of a span that are wanted, in order of arrival."""
    values = (
        *(personal, span.first_id, span.last_id, wanted.from_ms, wanted.to_ms, wanted.place_id, wanted.gate_id),
        *(wanted.direction, wanted.colour, wanted.verdict, wanted.reason, wanted.slip),
    )
    return tuple(map(stored_checkin, await connections.read(_WANTED, values)))


def without(whole: tuple[int, int], gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a range of ids when others are taken out; all ends are included, and gaps may overlap. Pure."""
    left: list[tuple[int, int]] = []
    first, last = whole
    for gap_first, gap_last in sorted(gaps):
        if gap_first > first:
            left.append((first, min(last, gap_first - 1)))
        first = max(first, gap_last + 1)
    if first <= last:
        left.append((first, last))
    return [(begin, end) for begin, end in left if begin <= end]


def _span(number: int) -> Span:
    return Span(first_id=number * SPAN_ROWS + 1, last_id=(number + 1) * SPAN_ROWS)


def _number(slip: bytes) -> int:
    return int.from_bytes(slip, "big")


def _erasure(row: tuple[Any, ...]) -> Erasure:
    erasure_id, place_id, from_ms, to_ms, why, who, asked_ms, erased, finished_ms = row
    return Erasure(
        erasure_id=erasure_id,
        place_id=place_id,
        from_ms=from_ms,
        to_ms=to_ms,
        why=why,
        who=who,
        asked_ms=asked_ms,
        erased=erased,
        finished_ms=finished_ms,
    )
