"""Name, password and code -> a session; a link -> an account's first password."""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from hub.console.accounts import passwords, totp
from hub.console.accounts.passwords import PasswordError, Passwords
from hub.console.accounts.throttle import Throttle
from hub.console.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, TooManyError
from hub.enrol.rates import neighbourhood
from hub.model import Account, AuditEntry, Role
from hub.store.console_ports import ConsoleStore, Invitation, Secrets, Session, SessionKind
from hub.store.errors import RegistryConflictError

TOKEN_BYTES: Final = 32
IDLE_MS: Final = 2 * 3_600_000
"""A session ends when nothing was asked for so long."""
LONGEST_MS: Final = 12 * 3_600_000
"""And after so long in any case: a shift."""
TOUCH_MS: Final = 60_000
LINK_MS: Final = 24 * 3_600_000
API_TOKEN_DAYS_MOST: Final = 366
NAME_CHARS: Final = 32
DISPLAY_CHARS: Final = 64
LABEL_CHARS: Final = 100

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Where a request comes from."""

    address: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetIn:
    """What somebody holds from now on. The token is told once and never kept."""

    token: str = field(repr=False)
    session: Session


class Door:
    """Signing in and out. One for a process: it remembers who guesses."""

    def __init__(
        self,
        *,
        store: ConsoleStore,
        passwords: Passwords,
        by_name: Throttle,
        by_address: Throttle,
        now_ms: Callable[[], int],
    ) -> None:
        self._store, self._passwords, self._now_ms = store, passwords, now_ms
        self._by_name, self._by_address = by_name, by_address

    async def sign_in(self, *, name: str, password: str, code: str, caller: Caller) -> LetIn:
        """Let somebody in.

        Raises:
            TooManyError: too many wrong guesses at this name or from this address.
            ForbiddenError: no such account, or not this password or code: it is not told which.
            ConflictError: an administrator without a second factor, who has to be invited anew.
        """
        name = name.strip().lower()[:NAME_CHARS]
        at_address = neighbourhood(caller.address)
        wait_s = max(self._by_name.wait_s(name), self._by_address.wait_s(at_address))
        if wait_s:
            raise TooManyError(wait_s)
        account = await self._store.find_account(name)
        known = await self._store.secrets_of(name)
        fits = await self._passwords.fits(password[: passwords.CHARS_MOST + 1], known.password if known else None)
        if account is None or known is None or not (fits and account.enabled):
            self._turn_away(name, at_address)
        if account.has_totp and not await self._spend_code(account, known, code):
            self._turn_away(name, at_address)
        if account.role is Role.ADMINISTRATOR and not account.has_totp:
            raise ConflictError("second_factor_missing", "This account has no second factor. Ask for a new link.")
        self._by_name.right(name)
        self._by_address.right(at_address)
        if known.password is not None and self._passwords.is_weaker(known.password):
            fresh = await self._passwords.hash(password)
            await self._store.rehash_password(name, was=known.password, password=fresh)
        return await self.let_in(account, caller=caller)

    async def let_in(self, account: Account, *, caller: Caller) -> LetIn:
        """A browser's session for somebody who has just proved who it is."""
        now_ms = self._now_ms()
        return await self._add_session(
            account.name,
            kind=SessionKind.BROWSER,
            label=_line(caller.agent),
            caller=caller,
            expires_ms=now_ms + IDLE_MS,
            action="session.begin",
        )

    async def add_token(self, account: Account, *, label: str, days: int, caller: Caller) -> LetIn:
        """A token for the API with all that the account may do.

        Raises:
            InvalidError: no label, or too many days.
        """
        if not _line(label):
            raise InvalidError("malformed", "Say what the token is for.", where="label")
        if not 1 <= days <= API_TOKEN_DAYS_MOST:
            raise InvalidError("limit", f"1 to {API_TOKEN_DAYS_MOST} days.", where="days")
        return await self._add_session(
            account.name,
            kind=SessionKind.API,
            label=_line(label),
            caller=caller,
            expires_ms=self._now_ms() + days * _DAY_MS,
            action="token.add",
        )

    async def who(self, token: str) -> tuple[Session, Account] | None:
        """Who holds this token; a browser's session is prolonged by it, up to its longest."""
        now_ms = self._now_ms()
        found = await self._store.find_session(hashed(token), now_ms=now_ms)
        if found is None:
            return None
        session, _ = found
        if now_ms - session.seen_ms >= TOUCH_MS:
            expires_ms = session.expires_ms
            if session.kind is SessionKind.BROWSER:
                expires_ms = min(now_ms + IDLE_MS, session.made_ms + LONGEST_MS)
            await self._store.touch_session(session.session_id, seen_ms=now_ms, expires_ms=expires_ms)
        return found

    async def sign_out(self, session: Session, *, who: str) -> None:
        """End a session, one's own or another's."""
        detail = f"{session.session_id.hex()} of {session.account}"
        await self._store.end_session(session.session_id, audit=self._entry(who, "session.end", detail))

    async def invite(self, account: str | None, *, who: str) -> str:
        """A link's token for an account, or for the first administrator."""
        token, now_ms = new_token(), self._now_ms()
        invitation = Invitation(
            hash=hashed(token), account=account, who=who, made_ms=now_ms, expires_ms=now_ms + LINK_MS
        )
        detail = account or "the first administrator"
        await self._store.add_invitation(invitation, audit=self._entry(who, "account.invite", detail))
        return token

    async def invitation(self, token: str) -> Invitation:
        """The link, while it can be used. Raises NotFoundError."""
        found = await self._store.find_invitation(hashed(token))
        if found is None or found.used_ms is not None or found.expires_ms <= self._now_ms():
            raise NotFoundError("This link was used already, or has expired. Ask for a new one.")
        return found

    async def accept(self, token: str, *, name: str, display: str, password: str) -> Account:
        """Use a link: the account it is for, or the first administrator, has this password now.

        Raises:
            NotFoundError: the link cannot be used.
            InvalidError: a name or password that is not taken.
            ConflictError: the name is taken, or there is an administrator already.
        """
        invitation = await self.invitation(token)
        now_ms = self._now_ms()
        first = None
        if invitation.account is None:
            name = checked_name(name)
            first = Account(
                name=name,
                display=_line(display) or name,
                role=Role.ADMINISTRATOR,
                scope=frozenset(),
                enabled=True,
                has_password=False,
                has_totp=False,
                added_ms=now_ms,
                changed_ms=now_ms,
            )
        else:
            name = invitation.account
        phc = await self._passwords.hash(checked_password(password, name=name))
        try:
            await self._store.accept_invitation(
                invitation.hash,
                name=name,
                password=phc,
                first=first,
                now_ms=now_ms,
                audit=self._entry(name, "account.accept", name),
            )
        except RegistryConflictError as error:
            raise ConflictError("conflict", str(error)) from error
        account = await self._store.find_account(name)
        if account is None:
            raise NotFoundError
        return account

    async def change_password(self, account: Account, *, was: str, password: str, session: Session) -> None:
        """A new password for whoever knows the old one; all other sessions of the account end.

        Raises:
            TooManyError, ForbiddenError: the old password was guessed wrongly, or too often.
            InvalidError: the new one is not taken.
        """
        if wait_s := self._by_name.wait_s(account.name):
            raise TooManyError(wait_s)
        known = await self._store.secrets_of(account.name)
        if not await self._passwords.fits(was[: passwords.CHARS_MOST + 1], known.password if known else None):
            self._by_name.wrong(account.name)
            raise ForbiddenError("wrong_password", "This is not your password.", where="was")
        phc = await self._passwords.hash(checked_password(password, name=account.name))
        entry = self._entry(account.name, "account.password", account.name)
        await self._store.set_password(account.name, password=phc, keep=session.session_id, audit=entry)

    def check_totp(self, *, secret: str, code: str) -> int:
        """The step of a code that shows that an authenticator has this secret.

        Raises:
            InvalidError: not a code of this secret.
        """
        step = totp.step_of(code, secret=secret, now_s=self._now_ms() // 1000, after_step=0)
        if step is None:
            raise InvalidError("wrong_code", "This code does not fit. Is the phone's clock right?", where="code")
        return step

    async def set_totp(self, account: Account, *, secret: str, code: str) -> None:
        """A second factor, once a code shows that the authenticator has it. Raises InvalidError, as `check_totp`."""
        step = self.check_totp(secret=secret, code=code)
        await self._store.set_totp(
            account.name, secret=secret, audit=self._entry(account.name, "account.totp", account.name)
        )
        await self._store.spend_totp(account.name, step=step)

    async def _spend_code(self, account: Account, known: Secrets, code: str) -> bool:
        step = totp.step_of(code, secret=known.totp or "", now_s=self._now_ms() // 1000, after_step=known.totp_step)
        return step is not None and await self._store.spend_totp(account.name, step=step)

    def _turn_away(self, name: str, address: str) -> NoReturn:
        self._by_name.wrong(name)
        self._by_address.wrong(address)
        raise ForbiddenError("wrong_credentials", "Name, password or code are not right.")

    async def _add_session(
        self, name: str, *, kind: SessionKind, label: str, caller: Caller, expires_ms: int, action: str
    ) -> LetIn:
        token, now_ms = new_token(), self._now_ms()
        session = Session(
            session_id=secrets.token_bytes(8),
            hash=hashed(token),
            account=name,
            kind=kind,
            label=label,
            address=caller.address,
            made_ms=now_ms,
            seen_ms=now_ms,
            expires_ms=expires_ms,
        )
        entry = self._entry(name, action, f"{session.session_id.hex()} from {caller.address}")
        try:
            await self._store.add_session(session, audit=entry)
        except RegistryConflictError as error:
            raise ForbiddenError("wrong_credentials", "Name, password or code are not right.") from error
        return LetIn(token=token, session=session)

    def _entry(self, who: str, action: str, detail: str) -> AuditEntry:
        return AuditEntry(at_ms=self._now_ms(), who=who, action=action, detail=detail)


def new_token() -> str:
    """256 random bits, as they stand in a cookie or a link."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hashed(token: str) -> bytes:
    """What is kept of a token. It is random, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def checked_name(name: str) -> str:
    """An account's name. Raises InvalidError."""
    if not _NAME.fullmatch(name):
        what = f"1 to {NAME_CHARS} lower-case letters, digits, dots, dashes or underscores."
        raise InvalidError("malformed", what, where="name")
    return name


def checked_password(password: str, *, name: str) -> str:
    """A new password. Raises InvalidError."""
    try:
        return passwords.checked(password, name=name)
    except PasswordError as error:
        raise InvalidError("weak_password", str(error), where="password") from error


def _line(text: str) -> str:
    """One printable line of what a browser says of itself."""
    return "".join(character for character in text if character.isprintable())[:LABEL_CHARS].strip()
