"""SQLite: applications for place codes, the codes, a place's gates and its counts."""

import json
import sqlite3
from typing import Final

import aiosqlite

from hub.model import AuditEntry, Gate, Place
from hub.store.errors import RegistryConflictError
from hub.store.place_ports import Application, ApplicationState, GateCount, KeptCode
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values, changing, exists

_SELECT: Final = (
    "SELECT id, place, said, commitment, who, made_ms, request, state, refusals, answered_ms FROM place_application"
)
_SELECT_CODE: Final = "SELECT place, serial, code, issued_s, request, who, why FROM place_code"


class SqlitePlaces:
    """`hub.store.place_ports.PlaceStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def find_place(self, place_id: str) -> Place | None:
        """One place."""
        rows = await self._connections.read("SELECT id, name, region, responsible FROM place WHERE id = ?", (place_id,))
        return Place(place_id=rows[0][0], name=rows[0][1], region=rows[0][2], responsible=rows[0][3]) if rows else None

    async def add_application(self, application: Application, *, audit: AuditEntry) -> Application:
        """Write one down, unless it is there."""
        async with self._connections.transaction() as db:
            there = list(await db.execute_fetchall(f"{_SELECT} WHERE id = ?", (application.application_id,)))
            if there:
                return _application(*there[0])
            await db.execute_fetchall(
                "INSERT INTO place_application (id, place, state, said, commitment, who, made_ms, request)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    application.application_id,
                    application.place_id,
                    application.state,
                    application.said,
                    application.commitment,
                    application.who,
                    application.made_ms,
                    application.request,
                ),
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        return application

    async def find_application(self, application_id: bytes) -> Application | None:
        """One application."""
        rows = await self._connections.read(f"{_SELECT} WHERE id = ?", (application_id,))
        return _application(*rows[0]) if rows else None

    async def applications(self, *, limit: int) -> tuple[Application, ...]:
        """The newest first."""
        rows = await self._connections.read(f"{_SELECT} ORDER BY made_ms DESC, id LIMIT ?", (limit,))
        return tuple(_application(*row) for row in rows)

    async def application_of(self, place_id: str) -> Application | None:
        """The newest that was issued."""
        rows = await self._connections.read(
            f"{_SELECT} WHERE place = ? AND state = 'issued' ORDER BY made_ms DESC LIMIT 1", (place_id,)
        )
        return _application(*rows[0]) if rows else None

    async def issue_place(self, application_id: bytes, *, place: Place, code: KeptCode, audit: AuditEntry) -> None:
        """The platform has issued."""
        async with self._connections.transaction() as db:
            asked = await _asked(db, application_id)
            if asked is None:
                return
            if asked.place_id is None and await exists(db, "SELECT 1 FROM place WHERE id = ?", (place.place_id,)):
                raise RegistryConflictError(f"the platform named a new place {place.place_id}, as another is called")
            await db.execute_fetchall(
                "INSERT INTO place (id, name, region, responsible) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE"
                " SET name = excluded.name, region = excluded.region, responsible = excluded.responsible",
                (place.place_id, place.name, place.region, place.responsible),
            )
            try:
                await _insert_code(db, code)
            except sqlite3.IntegrityError as error:
                raise RegistryConflictError(f"place {place.place_id} has a later code already") from error
            await db.execute_fetchall(
                "UPDATE place_application SET state = 'issued', place = ?, request = NULL, answered_ms = ?"
                " WHERE id = ?",
                (place.place_id, audit.at_ms, application_id),
            )
            await db.execute_fetchall(
                "INSERT OR IGNORE INTO account_scope (account, place, gate)"
                " SELECT name, ?, '' FROM account WHERE name = ? AND role = 'responsible'",
                (place.place_id, asked.who),
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        self._connections.note_registry_change()

    async def refuse_application(
        self, application_id: bytes, *, refusals: tuple[tuple[str, str], ...], audit: AuditEntry
    ) -> None:
        """The platform has refused."""
        async with self._connections.transaction() as db:
            if await _asked(db, application_id) is None:
                return
            await db.execute_fetchall(
                "UPDATE place_application SET state = 'refused', refusals = ?, request = NULL, answered_ms = ?"
                " WHERE id = ?",
                (json.dumps(refusals), audit.at_ms, application_id),
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def keep_place_code(self, code: KeptCode, *, audit: AuditEntry) -> None:
        """A reissued code."""
        refused = f"place {code.place_id} is not registered, or has a later code already"
        async with self._connections.transaction() as db:
            newest = "SELECT code FROM place_code WHERE place = ? ORDER BY serial DESC LIMIT 1"
            if list(await db.execute_fetchall(newest, (code.place_id,))) == [(code.code,)]:
                return
            try:
                await _insert_code(db, code)
            except sqlite3.IntegrityError as error:
                raise RegistryConflictError(refused) from error
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def place_codes(self, place_id: str) -> tuple[KeptCode, ...]:
        """A place's codes, newest first."""
        rows = await self._connections.read(f"{_SELECT_CODE} WHERE place = ? ORDER BY serial DESC", (place_id,))
        return tuple(_code(*row) for row in rows)

    async def newest_place_codes(self) -> tuple[KeptCode, ...]:
        """The code in force of every place."""
        rows = await self._connections.read(
            # SQLite takes the bare columns from the row that holds the maximum (its documented rule).
            "SELECT place, max(serial), code, issued_s, request, who, why FROM place_code GROUP BY place ORDER BY place"
        )
        return tuple(_code(*row) for row in rows)

    async def rename_gate(self, gate: Gate, *, audit: AuditEntry) -> None:
        """Another name for a gate."""
        refused = f"gate {gate.gate_id} is not registered at place {gate.place_id}"
        async with changing(self._connections, audit, refused=refused) as db:
            changed = await db.execute_fetchall(
                "UPDATE gate SET name = ? WHERE place = ? AND id = ? RETURNING id",
                (gate.name, gate.place_id, gate.gate_id),
            )
            if not list(changed):
                raise RegistryConflictError(refused)

    async def gate_counts(self, place_id: str, *, from_minute: int, to_minute: int) -> tuple[GateCount, ...]:
        """Sums by gate."""
        rows = await self._connections.read(
            "SELECT gate, direction, verdict, sum(n) FROM count_minute"
            " WHERE minute >= ? AND minute < ? AND place = ? GROUP BY gate, direction, verdict ORDER BY gate",
            (from_minute, to_minute, place_id),
        )
        return tuple(GateCount(gate_id=gate, direction=way, verdict=verdict, n=n) for gate, way, verdict, n in rows)

    async def people_limits(self) -> dict[str, int]:
        """Place -> as many as may be inside."""
        rows = await self._connections.read(
            "SELECT place, json_extract(said, '$.people_limit') FROM place_application"
            " WHERE state = 'issued' ORDER BY made_ms"
        )
        return {place: limit for place, limit in dict(rows).items() if limit is not None}


async def _asked(db: aiosqlite.Connection, application_id: bytes) -> Application | None:
    """The application, if it has no answer yet."""
    rows = list(await db.execute_fetchall(f"{_SELECT} WHERE id = ? AND state = 'asked'", (application_id,)))
    return _application(*rows[0]) if rows else None


async def _insert_code(db: aiosqlite.Connection, code: KeptCode) -> None:
    await db.execute_fetchall(
        "INSERT INTO place_code (place, serial, code, issued_s, request, who, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (code.place_id, code.serial, code.code, code.issued_s, code.request_id, code.who, code.why),
    )


def _application(  # noqa: PLR0917 - in the order of the columns
    application_id: bytes,
    place_id: str | None,
    said: str,
    commitment: str,
    who: str,
    made_ms: int,
    request: bytes | None,
    state: str,
    refusals: str,
    answered_ms: int | None,
) -> Application:
    return Application(
        application_id=application_id,
        place_id=place_id,
        said=said,
        commitment=commitment,
        who=who,
        made_ms=made_ms,
        request=request,
        state=ApplicationState(state),
        refusals=tuple((name, reason) for name, reason in json.loads(refusals)),
        answered_ms=answered_ms,
    )


def _code(  # noqa: PLR0917 - in the order of the columns
    place_id: str, serial: int, code: str, issued_s: int, request_id: bytes, who: str, why: str
) -> KeptCode:
    return KeptCode(
        place_id=place_id, serial=serial, code=code, issued_s=issued_s, request_id=request_id, who=who, why=why
    )
