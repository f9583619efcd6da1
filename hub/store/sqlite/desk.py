"""SQLite: the attendants' desks."""

from typing import Any, Final

from hub.model import AuditEntry, MinuteCount
from hub.store.desk_ports import DeskVisit, Rate, VisitState
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.ingest import ADD_COUNT, count_values
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values
from hub.store.trust_ports import BelievedKind

_SELECT: Final = "SELECT id, place, gate, who, kept_ms, state, sealed FROM desk_visit"


class SqliteDesk:
    """`hub.store.desk_ports.DeskStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep_visit(self, visit: DeskVisit, *, waiting_most: int, audit: AuditEntry) -> DeskVisit:
        """Keep it until the platform has signed."""
        async with self._connections.transaction() as db:
            known = list(await db.execute_fetchall(f"{_SELECT} WHERE id = ?", (visit.visit_id,)))
            if known:
                return _visit(*known[0])
            ((waiting,),) = await db.execute_fetchall("SELECT count(*) FROM desk_visit WHERE state = 'waiting'")
            if waiting >= waiting_most:
                raise RegistryConflictError("too many registrations wait for the platform: none can be kept now")
            await db.execute_fetchall(
                "INSERT INTO desk_visit (id, place, gate, who, kept_ms, state, next_try_ms, sealed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    visit.visit_id,
                    visit.place_id,
                    visit.gate_id,
                    visit.who,
                    visit.kept_ms,
                    visit.state,
                    visit.kept_ms,
                    visit.sealed,
                ),
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        return visit

    async def waiting_visits(self, *, now_ms: int, limit: int) -> tuple[DeskVisit, ...]:
        """Those due for another try."""
        rows = await self._connections.read(
            f"{_SELECT} WHERE state = 'waiting' AND next_try_ms <= ? ORDER BY next_try_ms LIMIT ?", (now_ms, limit)
        )
        return tuple(_visit(*row) for row in rows)

    async def retry_visit(self, visit_id: bytes, *, next_try_ms: int) -> None:
        """It waits on."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "UPDATE desk_visit SET next_try_ms = ? WHERE id = ? AND state = 'waiting'", (next_try_ms, visit_id)
            )

    async def settle_visit(self, visit_id: bytes, *, counts: tuple[MinuteCount, ...], now_ms: int) -> bool:
        """The platform signed."""
        async with self._connections.transaction() as db:
            settled = await db.execute_fetchall(
                "UPDATE desk_visit SET state = 'stored', reason = '', sealed = NULL, closed_ms = ?"
                " WHERE id = ? AND state != 'stored' RETURNING id",
                (now_ms, visit_id),
            )
            if not list(settled):
                return False
            await db.executemany(ADD_COUNT, list(count_values(counts)))
        return True

    async def refuse_visit(self, visit_id: bytes, *, reason: str, now_ms: int) -> None:
        """The platform does not take it."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "UPDATE desk_visit SET state = 'refused', reason = ?, closed_ms = ? WHERE id = ? AND state = 'waiting'",
                (reason, now_ms, visit_id),
            )

    async def forget_refused(self, *, closed_before_ms: int) -> int:
        """Erase what was typed of visits that were refused before."""
        async with self._connections.transaction() as db:
            gone = await db.execute_fetchall(
                "UPDATE desk_visit SET sealed = NULL"
                " WHERE state = 'refused' AND sealed IS NOT NULL AND closed_ms < ? RETURNING id",
                (closed_before_ms,),
            )
        return len(list(gone))

    async def visits_waiting(self) -> int:
        """How many wait for the platform."""
        rows = await self._connections.read("SELECT count(*) FROM desk_visit WHERE state = 'waiting'")
        return int(rows[0][0])

    async def trust_bundle(self) -> bytes | None:
        """The trust bundle that is believed."""
        rows = await self._connections.read("SELECT data FROM believed WHERE kind = ?", (BelievedKind.TRUST,))
        return bytes(rows[0][0]) if rows else None

    async def note_asking(
        self, account: str, ask: str, *, now_ms: int, rates: tuple[Rate, ...], audit: AuditEntry | None
    ) -> int:
        """Write down that an account asks, unless that is too often."""
        async with self._connections.transaction() as db:
            longest_ms = max(rate.window_ms for rate in rates)
            # Of a clock that was ahead, nothing stays behind.
            await db.execute_fetchall(
                "DELETE FROM desk_asking WHERE account = ? AND ask = ? AND NOT at_ms BETWEEN ? AND ?",
                (account, ask, now_ms - longest_ms, now_ms),
            )
            rows = await db.execute_fetchall(
                "SELECT at_ms FROM desk_asking WHERE account = ? AND ask = ? ORDER BY at_ms DESC", (account, ask)
            )
            asked_ms = [at_ms for (at_ms,) in rows]
            wait_ms = max(_wait_ms(asked_ms, rate, now_ms) for rate in rates)
            if wait_ms == 0:
                await db.execute_fetchall("INSERT INTO desk_asking VALUES (?, ?, ?)", (account, ask, now_ms))
                if audit is not None:
                    await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        return wait_ms


def _wait_ms(asked_ms: list[int], rate: Rate, now_ms: int) -> int:
    """Until the one that stands in the way is out of the window. `asked_ms`: newest first."""
    if len(asked_ms) < rate.most:
        return 0
    return max(0, asked_ms[rate.most - 1] + rate.window_ms - now_ms)


def _visit(*row: Any) -> DeskVisit:
    visit_id, place_id, gate_id, who, kept_ms, state, sealed = row
    return DeskVisit(
        visit_id=visit_id,
        place_id=place_id,
        gate_id=gate_id,
        who=who,
        kept_ms=kept_ms,
        state=VisitState(state),
        sealed=sealed,
    )
