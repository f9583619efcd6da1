"""What a store keeps for the console: accounts, what lets people in, and the audit log page by page.

The rules of `hub.store.ports` hold here too. Tokens, cookies and links are stored as their SHA-256 only.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hub.model import Account, AuditEntry


class SessionKind(StrEnum):
    """Who holds what lets in."""

    BROWSER = "browser"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What an account is known by."""

    password: str | None = field(repr=False)
    """argon2id in PHC form."""
    totp: str | None = field(repr=False)
    """The shared secret in base32."""
    totp_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link that is good once."""

    hash: bytes
    account: str | None
    """None: whoever uses it becomes the first administrator."""
    who: str
    made_ms: int
    expires_ms: int
    used_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that is signed in, or an API token."""

    session_id: bytes
    hash: bytes
    account: str
    kind: SessionKind
    label: str
    address: str
    made_ms: int
    seen_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An entry with its number and its link."""

    row_id: int
    entry: AuditEntry
    hash: bytes


class ConsoleStore(Protocol):
    """What the console needs beside the other ports."""

    async def accounts(self) -> tuple[Account, ...]:
        """All accounts, by name."""

    async def find_account(self, name: str) -> Account | None:
        """The account of this name."""

    async def secrets_of(self, name: str) -> Secrets | None:
        """What it is known by; None when there is no such account."""

    async def add_account(self, account: Account, *, audit: AuditEntry) -> None:
        """A new account without a password. Raises RegistryConflictError: the name is taken, or a place not known."""

    async def change_account(self, account: Account, *, audit: AuditEntry) -> None:
        """Display name, role, scope and whether it is enabled; its sessions end when it may do less or nothing.

        Raises:
            RegistryConflictError: no such account, or it would leave no enabled administrator.
        """

    async def set_password(self, name: str, *, password: str, keep: bytes | None, audit: AuditEntry) -> None:
        """A new hash; every session of the account ends but `keep`. Raises RegistryConflictError: no such account."""

    async def rehash_password(self, name: str, *, was: str, password: str) -> None:
        """The same password hashed anew; changes nothing when the hash is not `was` any more."""

    async def set_totp(self, name: str, *, secret: str | None, audit: AuditEntry) -> None:
        """A new second factor, or none. Raises RegistryConflictError: no such account."""

    async def spend_totp(self, name: str, *, step: int) -> bool:
        """Use up a code's step. False: it, or a later one, was used already."""

    async def add_invitation(self, invitation: Invitation, *, audit: AuditEntry) -> None:
        """A new link; older unused ones of the same account end."""

    async def find_invitation(self, token_hash: bytes) -> Invitation | None:
        """The link with this hash, used or not."""

    async def accept_invitation(
        self, token_hash: bytes, *, name: str, password: str, first: Account | None, now_ms: int, audit: AuditEntry
    ) -> None:
        """Use a link up: its account gets this password and loses its second factor and sessions.

        Args:
            token_hash: of the link.
            name: the account.
            password: its hash in PHC form.
            first: the administrator whom the link makes, where it is the first one's.
            now_ms: when.
            audit: what is written down.

        Raises:
            RegistryConflictError: used, expired or unknown; or there is an administrator already; or the name is taken.
        """

    async def add_session(self, session: Session, *, audit: AuditEntry) -> None:
        """Somebody is let in. Raises RegistryConflictError: no such account, or it is not enabled."""

    async def find_session(self, token_hash: bytes, *, now_ms: int) -> tuple[Session, Account] | None:
        """Who holds this token, if it has not expired and the account is enabled."""

    async def touch_session(self, session_id: bytes, *, seen_ms: int, expires_ms: int) -> None:
        """It was used."""

    async def sessions(self, name: str | None) -> tuple[Session, ...]:
        """An account's sessions, or everybody's; those used last first."""

    async def end_session(self, session_id: bytes, *, audit: AuditEntry) -> bool:
        """False: there was none."""

    async def forget_sessions(self, *, expired_before_ms: int) -> int:
        """Erase what expired before; returns how many."""

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
        """Entries whose action begins so, by this person if one is named, in this time; newest first."""

    def audit_rows(self) -> AsyncIterator[AuditRow]:
        """Every entry, oldest first, in bounded memory."""
