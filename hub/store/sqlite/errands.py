"""SQLite: what the console's process asks of the hub's."""

from typing import Final

from hub.store.errand_ports import Errand, ErrandState
from hub.store.sqlite.connection import Connections

_SELECT: Final = "SELECT id, kind, args, data, who, made_ms, expires_ms, state, reason, answer FROM errand"


class SqliteErrands:
    """`hub.store.errand_ports.ErrandStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add_errand(self, errand: Errand) -> None:
        """Ask for something."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "INSERT INTO errand (id, kind, args, data, who, made_ms, expires_ms, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    errand.errand_id,
                    errand.kind,
                    errand.args,
                    errand.data,
                    errand.who,
                    errand.made_ms,
                    errand.expires_ms,
                    errand.state,
                ),
            )

    async def find_errand(self, errand_id: bytes) -> Errand | None:
        """It, in whatever state."""
        rows = await self._connections.read(f"{_SELECT} WHERE id = ?", (errand_id,))
        return _errand(*rows[0]) if rows else None

    async def asked_errands(self, *, limit: int) -> tuple[Errand, ...]:
        """Those that nobody has finished."""
        rows = await self._connections.read(f"{_SELECT} WHERE state = 'asked' ORDER BY made_ms LIMIT ?", (limit,))
        return tuple(_errand(*row) for row in rows)

    async def finish_errand(
        self, errand_id: bytes, *, state: ErrandState, reason: str, answer: bytes, now_ms: int
    ) -> None:
        """What came of it."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "UPDATE errand SET state = ?, reason = ?, answer = ?, data = x'', finished_ms = ?"
                " WHERE id = ? AND state = 'asked'",
                (state, reason, answer, now_ms, errand_id),
            )

    async def forget_errands(self, *, made_before_ms: int) -> int:
        """Erase those asked for before."""
        async with self._connections.transaction() as db:
            gone = await db.execute_fetchall("DELETE FROM errand WHERE made_ms < ? RETURNING id", (made_before_ms,))
        return len(list(gone))


def _errand(  # noqa: PLR0917 - in the order of the columns
    errand_id: bytes,
    kind: str,
    args: str,
    data: bytes,
    who: str,
    made_ms: int,
    expires_ms: int,
    state: str,
    reason: str,
    answer: bytes,
) -> Errand:
    return Errand(
        errand_id=errand_id,
        kind=kind,
        args=args,
        data=data,
        who=who,
        made_ms=made_ms,
        expires_ms=expires_ms,
        state=ErrandState(state),
        reason=reason,
        answer=answer,
    )
