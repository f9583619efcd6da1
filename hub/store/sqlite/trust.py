"""SQLite: what is believed, policies and closings."""

import sqlite3
from typing import Any, Final

import aiosqlite

from hub.model import AuditEntry
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values
from hub.store.trust_ports import (
    Believed,
    BelievedKind,
    ClosedBy,
    Closing,
    Freshness,
    IssuedPolicy,
    PolicyVersion,
)

_POLICY: Final = "SELECT place, version, rules, who, at_ms, note FROM policy"


class SqliteTrust:
    """The first half of `hub.store.trust_ports.TrustStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def change_count(self) -> int:
        """Grows with each change that gates must hear of."""
        rows = await self._connections.read("SELECT n FROM trust_change")
        return int(rows[0][0])

    async def believed(self) -> tuple[Believed, ...]:
        """Everything that is believed."""
        rows = await self._connections.read(
            "SELECT kind, name, version, issued_s, kept_ms, data FROM believed ORDER BY kind, name"
        )
        return tuple(
            Believed(kind=BelievedKind(kind), name=name, version=version, issued_s=issued_s, kept_ms=kept_ms, data=data)
            for kind, name, version, issued_s, kept_ms, data in rows
        )

    async def keep_believed(self, believed: Believed) -> None:
        """Put it in the place of its older version."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "INSERT INTO believed (kind, name, version, issued_s, kept_ms, data) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (kind, name) DO UPDATE SET version = excluded.version, issued_s = excluded.issued_s,"
                " kept_ms = excluded.kept_ms, data = excluded.data WHERE excluded.version >= version",
                (
                    believed.kind,
                    believed.name,
                    believed.version,
                    believed.issued_s,
                    believed.kept_ms,
                    believed.data,
                ),
            )

    async def forget_list(self, name: str) -> None:
        """The platform no longer has this list."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall("DELETE FROM believed WHERE kind = ? AND name = ?", (BelievedKind.LIST, name))
            await db.execute_fetchall("DELETE FROM list_fresh WHERE name = ?", (name,))

    async def freshness(self) -> tuple[Freshness, ...]:
        """The newest sign of life of each list."""
        rows = await self._connections.read("SELECT name, version, issued_s FROM list_fresh ORDER BY name")
        return tuple(Freshness(name=name, version=version, issued_s=issued_s) for name, version, issued_s in rows)

    async def note_fresh(self, fresh: tuple[Freshness, ...]) -> None:
        """Put these in the place of older ones."""
        async with self._connections.transaction() as db:
            await db.executemany(
                "INSERT INTO list_fresh (name, version, issued_s) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " version = excluded.version, issued_s = excluded.issued_s WHERE excluded.version >= version",
                [(entry.name, entry.version, entry.issued_s) for entry in fresh],
            )

    async def current_policies(self) -> tuple[PolicyVersion, ...]:
        """The newest version of every place that has one."""
        rows = await self._connections.read(
            "SELECT place, max(version), rules, who, at_ms, note FROM policy GROUP BY place ORDER BY place"
        )
        return tuple(_policy(row) for row in rows)

    async def policy_history(self, place_id: str, *, limit: int) -> tuple[PolicyVersion, ...]:
        """A place's versions, newest first."""
        rows = await self._connections.read(
            f"{_POLICY} WHERE place = ? ORDER BY version DESC LIMIT ?", (place_id, limit)
        )
        return tuple(_policy(row) for row in rows)

    async def add_policy(self, policy: PolicyVersion, *, audit: AuditEntry) -> None:
        """Add the version that follows the newest."""
        async with self._connections.transaction() as db:
            await _require_place(db, policy.place_id)
            found = await db.execute_fetchall(
                "SELECT coalesce(max(version), 0) FROM policy WHERE place = ?", (policy.place_id,)
            )
            newest = next(iter(found))[0]
            if policy.version != newest + 1:
                raise RegistryConflictError(
                    f"version {policy.version} of the policy of {policy.place_id} cannot follow version {newest}: "
                    "somebody else changed it"
                )
            await db.execute_fetchall(
                "INSERT INTO policy (place, version, rules, who, at_ms, note) VALUES (?, ?, ?, ?, ?, ?)",
                (policy.place_id, policy.version, policy.rules, policy.who, policy.at_ms, policy.note),
            )
            await _audit(db, audit)

    async def closings(self) -> tuple[Closing, ...]:
        """Every place that somebody keeps closed."""
        rows = await self._connections.read(
            "SELECT place, source, why, since_ms FROM place_closed ORDER BY place, source"
        )
        return tuple(
            Closing(place_id=place_id, by=ClosedBy(source), why=why, since_ms=since_ms)
            for place_id, source, why, since_ms in rows
        )

    async def close_place(self, closing: Closing, *, audit: AuditEntry) -> bool:
        """Close it, unless this side has for the same reason."""
        async with self._connections.transaction() as db:
            if closing.by is ClosedBy.OPERATOR:
                await _require_place(db, closing.place_id)
            changed = await db.execute_fetchall(
                "INSERT INTO place_closed (place, source, why, since_ms) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (place, source) DO UPDATE SET why = excluded.why WHERE why <> excluded.why"
                " RETURNING place",
                (closing.place_id, closing.by, closing.why, closing.since_ms),
            )
            if not list(changed):
                return False
            await _audit(db, audit)
            return True

    async def open_place(self, place_id: str, *, by: ClosedBy, audit: AuditEntry) -> bool:
        """End this side's closing."""
        async with self._connections.transaction() as db:
            ended = await db.execute_fetchall(
                "DELETE FROM place_closed WHERE place = ? AND source = ? RETURNING place", (place_id, by)
            )
            if not list(ended):
                return False
            await _audit(db, audit)
            return True

    async def issued_policies(self) -> tuple[IssuedPolicy, ...]:
        """The newest policy of each device that ever had one."""
        rows = await self._connections.read("SELECT device, version, digest, sealed, issued_ms FROM issued_policy")
        return tuple(
            IssuedPolicy(device_id=device_id, version=version, digest=digest, sealed=sealed, issued_ms=issued_ms)
            for device_id, version, digest, sealed, issued_ms in rows
        )

    async def keep_issued(self, policies: tuple[IssuedPolicy, ...]) -> None:
        """Before any of them is published."""
        async with self._connections.transaction() as db:
            try:
                await db.executemany(
                    "INSERT INTO issued_policy (device, version, digest, sealed, issued_ms) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (device) DO UPDATE SET version = excluded.version, digest = excluded.digest,"
                    " sealed = excluded.sealed, issued_ms = excluded.issued_ms",
                    [
                        (policy.device_id, policy.version, policy.digest, policy.sealed, policy.issued_ms)
                        for policy in policies
                    ],
                )
            except sqlite3.IntegrityError as error:
                raise RegistryConflictError("a policy does not have a higher version than the last") from error


async def _audit(db: aiosqlite.Connection, audit: AuditEntry) -> None:
    await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))


async def _require_place(db: aiosqlite.Connection, place_id: str) -> None:
    if not list(await db.execute_fetchall("SELECT 1 FROM place WHERE id = ?", (place_id,))):
        raise RegistryConflictError(f"place {place_id} is not registered")


def _policy(row: tuple[Any, ...]) -> PolicyVersion:
    place_id, version, rules, who, at_ms, note = row
    return PolicyVersion(place_id=place_id, version=version, rules=rules, who=who, at_ms=at_ms, note=note)
