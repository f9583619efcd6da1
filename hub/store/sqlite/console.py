"""SQLite: accounts, sessions and links of the console, and the audit log page by page."""

from collections.abc import AsyncIterator
from typing import Any, Final

import aiosqlite

from hub.model import Account, AuditEntry, Role
from hub.store.console_ports import AuditRow, Invitation, Secrets, Session, SessionKind
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values, changing, exists
from protocol.limits import INT64_MAX

_PAGE_ROWS: Final = 1000

_SELECT_ACCOUNT: Final = (
    "SELECT name, display, role, password IS NOT NULL, totp IS NOT NULL, enabled, added_ms, changed_ms FROM account"
)
_SELECT_SESSION: Final = (
    "SELECT session.id, hash, account, kind, label, address, made_ms, seen_ms, expires_ms FROM session"
)
_SELECT_AUDIT: Final = "SELECT audit.id, at_ms, who, action, detail, hash FROM audit JOIN audit_chain USING (id)"


class SqliteConsole:
    """`hub.store.console_ports.ConsoleStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def accounts(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        rows = await self._connections.read(f"{_SELECT_ACCOUNT} ORDER BY name")
        scopes: dict[str, set[tuple[str, str]]] = {}
        for name, place, gate in await self._connections.read("SELECT account, place, gate FROM account_scope"):
            scopes.setdefault(name, set()).add((place, gate))
        return tuple(_account(row, scopes.get(row[0], set())) for row in rows)

    async def find_account(self, name: str) -> Account | None:
        """The account of this name."""
        rows = await self._connections.read(f"{_SELECT_ACCOUNT} WHERE name = ?", (name,))
        if not rows:
            return None
        scope = await self._connections.read("SELECT place, gate FROM account_scope WHERE account = ?", (name,))
        return _account(rows[0], {(place, gate) for place, gate in scope})

    async def secrets_of(self, name: str) -> Secrets | None:
        """What it is known by."""
        rows = await self._connections.read("SELECT password, totp, totp_step FROM account WHERE name = ?", (name,))
        return Secrets(password=rows[0][0], totp=rows[0][1], totp_step=rows[0][2]) if rows else None

    async def add_account(self, account: Account, *, audit: AuditEntry) -> None:
        """A new account without a password."""
        refused = f"account {account.name} is there already, or a place of its scope is not registered"
        async with changing(self._connections, audit, refused=refused) as db:
            await _insert_account(db, account)

    async def change_account(self, account: Account, *, audit: AuditEntry) -> None:
        """What it may do, and what it is called."""
        refused = "a place of the scope is not registered"
        async with changing(self._connections, audit, refused=refused) as db:
            await _must_exist(db, account.name)
            await db.execute_fetchall(
                "UPDATE account SET display = ?, role = ?, enabled = ?, changed_ms = ? WHERE name = ?",
                (account.display, account.role, account.enabled, audit.at_ms, account.name),
            )
            await db.execute_fetchall("DELETE FROM account_scope WHERE account = ?", (account.name,))
            await _insert_scope(db, account)
            # Whoever may do something else now signs in anew.
            await db.execute_fetchall("DELETE FROM session WHERE account = ?", (account.name,))
            if not await _has_administrator(db):
                raise RegistryConflictError("the last administrator stays one")

    async def set_password(self, name: str, *, password: str, keep: bytes | None, audit: AuditEntry) -> None:
        """A new password; whoever came in by the old one is out."""
        async with changing(self._connections, audit, refused="the password cannot be changed") as db:
            await _must_exist(db, name)
            await db.execute_fetchall(
                "UPDATE account SET password = ?, changed_ms = ? WHERE name = ?", (password, audit.at_ms, name)
            )
            await db.execute_fetchall("DELETE FROM session WHERE account = ? AND id IS NOT ?", (name, keep))

    async def rehash_password(self, name: str, *, was: str, password: str) -> None:
        """The same password, hashed with more."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "UPDATE account SET password = ? WHERE name = ? AND password = ?", (password, name, was)
            )

    async def set_totp(self, name: str, *, secret: str | None, audit: AuditEntry) -> None:
        """A new second factor, or none."""
        async with changing(self._connections, audit, refused="the second factor cannot be changed") as db:
            await _must_exist(db, name)
            await db.execute_fetchall(
                "UPDATE account SET totp = ?, totp_step = 0, changed_ms = ? WHERE name = ?", (secret, audit.at_ms, name)
            )

    async def spend_totp(self, name: str, *, step: int) -> bool:
        """Use up a step, in one transaction, so that two who present one code do not both come in."""
        async with self._connections.transaction() as db:
            if not await exists(db, "SELECT 1 FROM account WHERE name = ? AND totp_step < ?", (name, step)):
                return False
            await db.execute_fetchall("UPDATE account SET totp_step = ? WHERE name = ?", (step, name))
        return True

    async def add_invitation(self, invitation: Invitation, *, audit: AuditEntry) -> None:
        """A new link in the place of older ones."""
        async with changing(self._connections, audit, refused=f"account {invitation.account} is not there") as db:
            await db.execute_fetchall(
                "DELETE FROM invitation WHERE account IS ? AND used_ms IS NULL", (invitation.account,)
            )
            await db.execute_fetchall(
                "INSERT INTO invitation (hash, account, who, made_ms, expires_ms) VALUES (?, ?, ?, ?, ?)",
                (invitation.hash, invitation.account, invitation.who, invitation.made_ms, invitation.expires_ms),
            )

    async def find_invitation(self, token_hash: bytes) -> Invitation | None:
        """The link with this hash."""
        rows = await self._connections.read(
            "SELECT hash, account, who, made_ms, expires_ms, used_ms FROM invitation WHERE hash = ?", (token_hash,)
        )
        if not rows:
            return None
        hash_, account, who, made_ms, expires_ms, used_ms = rows[0]
        return Invitation(hash=hash_, account=account, who=who, made_ms=made_ms, expires_ms=expires_ms, used_ms=used_ms)

    async def accept_invitation(
        self, token_hash: bytes, *, name: str, password: str, first: Account | None, now_ms: int, audit: AuditEntry
    ) -> None:
        """Use a link up."""
        async with changing(self._connections, audit, refused=f"account {name} is there already") as db:
            usable = "SELECT 1 FROM invitation WHERE hash = ? AND used_ms IS NULL AND expires_ms > ? AND account IS ?"
            if not await exists(db, usable, (token_hash, now_ms, None if first else name)):
                raise RegistryConflictError("this link was used already, has expired, or never was one")
            if first is not None:
                if await _has_administrator(db):
                    raise RegistryConflictError("there is an administrator already")
                await _insert_account(db, first)
            await db.execute_fetchall("UPDATE invitation SET used_ms = ? WHERE hash = ?", (now_ms, token_hash))
            await db.execute_fetchall(
                "UPDATE account SET password = ?, totp = NULL, totp_step = 0, changed_ms = ? WHERE name = ?",
                (password, now_ms, name),
            )
            await db.execute_fetchall("DELETE FROM session WHERE account = ?", (name,))

    async def add_session(self, session: Session, *, audit: AuditEntry) -> None:
        """Somebody is let in."""
        async with changing(self._connections, audit, refused="a session cannot be made") as db:
            if not await exists(db, "SELECT 1 FROM account WHERE name = ? AND enabled", (session.account,)):
                raise RegistryConflictError(f"account {session.account} is not there, or not enabled")
            await db.execute_fetchall(
                "INSERT INTO session (id, hash, account, kind, label, address, made_ms, seen_ms, expires_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.session_id,
                    session.hash,
                    session.account,
                    session.kind,
                    session.label,
                    session.address,
                    session.made_ms,
                    session.seen_ms,
                    session.expires_ms,
                ),
            )

    async def find_session(self, token_hash: bytes, *, now_ms: int) -> tuple[Session, Account] | None:
        """Who holds this token."""
        rows = await self._connections.read(
            f"{_SELECT_SESSION} JOIN account ON account.name = session.account"
            " WHERE hash = ? AND expires_ms > ? AND enabled",
            (token_hash, now_ms),
        )
        if not rows:
            return None
        session = _session(rows[0])
        account = await self.find_account(session.account)
        return None if account is None else (session, account)

    async def touch_session(self, session_id: bytes, *, seen_ms: int, expires_ms: int) -> None:
        """It was used."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall(
                "UPDATE session SET seen_ms = ?, expires_ms = ? WHERE id = ?", (seen_ms, expires_ms, session_id)
            )

    async def sessions(self, name: str | None) -> tuple[Session, ...]:
        """An account's sessions, or everybody's."""
        rows = await self._connections.read(
            f"{_SELECT_SESSION} WHERE ?1 IS NULL OR account = ?1 ORDER BY seen_ms DESC, session.id", (name,)
        )
        return tuple(map(_session, rows))

    async def end_session(self, session_id: bytes, *, audit: AuditEntry) -> bool:
        """False: there was none."""
        async with self._connections.transaction() as db:
            if not await exists(db, "SELECT 1 FROM session WHERE id = ?", (session_id,)):
                return False
            await db.execute_fetchall("DELETE FROM session WHERE id = ?", (session_id,))
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        return True

    async def forget_sessions(self, *, expired_before_ms: int) -> int:
        """Erase what expired before."""
        async with self._connections.transaction() as db:
            gone = list(
                await db.execute_fetchall("DELETE FROM session WHERE expires_ms < ? RETURNING id", (expired_before_ms,))
            )
        return len(gone)

    async def audit_page(
        self,
        *,
        before_id: int | None,
        limit: int,
        action: str = "",
        who: str = "",
        from_ms: int = 0,
        to_ms: int | None = None,
    ) -> tuple[AuditRow, ...]:
        """Entries of one sort, newest first."""
        rows = await self._connections.read(
            f"{_SELECT_AUDIT} WHERE audit.id < ?1 AND at_ms >= ?2 AND at_ms < ?3"
            " AND substr(action, 1, length(?4)) = ?4 AND (?5 = '' OR who = ?5) ORDER BY audit.id DESC LIMIT ?6",
            (
                INT64_MAX if before_id is None else before_id,
                from_ms,
                INT64_MAX if to_ms is None else to_ms,
                action,
                who,
                limit,
            ),
        )
        return tuple(map(_audit_row, rows))

    async def audit_rows(self) -> AsyncIterator[AuditRow]:
        """Every entry, oldest first."""
        after_id = 0
        while True:
            rows = await self._connections.read(
                f"{_SELECT_AUDIT} WHERE audit.id > ? ORDER BY audit.id LIMIT ?", (after_id, _PAGE_ROWS)
            )
            for row in rows:
                yield _audit_row(row)
            if len(rows) < _PAGE_ROWS:
                return
            after_id = rows[-1][0]


async def _insert_account(db: aiosqlite.Connection, account: Account) -> None:
    await db.execute_fetchall(
        "INSERT INTO account (name, display, role, enabled, added_ms, changed_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (account.name, account.display, account.role, account.enabled, account.added_ms, account.changed_ms),
    )
    await _insert_scope(db, account)


async def _insert_scope(db: aiosqlite.Connection, account: Account) -> None:
    await db.executemany(
        "INSERT INTO account_scope (account, place, gate) VALUES (?, ?, ?)",
        [(account.name, place, gate) for place, gate in sorted(account.scope)],
    )


async def _must_exist(db: aiosqlite.Connection, name: str) -> None:
    if not await exists(db, "SELECT 1 FROM account WHERE name = ?", (name,)):
        raise RegistryConflictError(f"account {name} is not there")


async def _has_administrator(db: aiosqlite.Connection) -> bool:
    return await exists(db, "SELECT 1 FROM account WHERE role = ? AND enabled", (Role.ADMINISTRATOR,))


def _account(row: tuple[Any, ...], scope: set[tuple[str, str]]) -> Account:
    name, display, role, has_password, has_totp, enabled, added_ms, changed_ms = row
    return Account(
        name=name,
        display=display,
        role=Role(role),
        scope=frozenset(scope),
        enabled=bool(enabled),
        has_password=bool(has_password),
        has_totp=bool(has_totp),
        added_ms=added_ms,
        changed_ms=changed_ms,
    )


def _session(row: tuple[Any, ...]) -> Session:
    session_id, hash_, account, kind, label, address, made_ms, seen_ms, expires_ms = row
    return Session(
        session_id=session_id,
        hash=hash_,
        account=account,
        kind=SessionKind(kind),
        label=label,
        address=address,
        made_ms=made_ms,
        seen_ms=seen_ms,
        expires_ms=expires_ms,
    )


def _audit_row(row: tuple[Any, ...]) -> AuditRow:
    row_id, at_ms, who, action, detail, hash_ = row
    entry = AuditEntry(at_ms=at_ms, who=who, action=action, detail=detail)
    return AuditRow(row_id=row_id, entry=entry, hash=hash_)
