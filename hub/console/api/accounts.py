"""Who may use the console. For administrators."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from hub.console.accounts.door import DISPLAY_CHARS, NAME_CHARS, checked_name
from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, GateId, PlaceId, Shape, TimeMs
from hub.console.errors import InvalidError, NotFoundError
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import Account, Role
from hub.registry.checks import checked_line

ROUTER = APIRouter(prefix="/accounts", tags=["Accounts"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.ACCOUNTS))]
Name = Annotated[str, Path(min_length=1, max_length=NAME_CHARS)]
_SCOPED = frozenset({Role.RESPONSIBLE, Role.ATTENDANT})
_SCOPE_MOST = 1000


class Where(Shape):
    """A place, or one gate of it."""

    place: PlaceId
    gate: GateId = ""


class AccountIn(Shape):
    """What an administrator decides about an account."""

    display: Annotated[str, Field(max_length=DISPLAY_CHARS)] = ""
    role: Role
    scope: Annotated[tuple[Where, ...], Field(max_length=_SCOPE_MOST)] = ()
    """For responsible persons and attendants, who need one; nobody else has one."""
    enabled: bool = True


class NewAccount(AccountIn):
    """An account that is not there yet."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]


class AccountOut(Shape):
    """An account."""

    name: str
    display: str
    role: Role
    scope: list[Where]
    enabled: bool
    has_password: bool
    has_second_factor: bool
    added_ms: TimeMs
    changed_ms: TimeMs


class Link(Shape):
    """A link by which the account's owner sets a password. Good once, for a day; told only here."""

    url: str


@ROUTER.get("")
async def list_accounts(site: TheSite, who: Who) -> list[AccountOut]:
    """All accounts, by name."""
    return [_out(account) for account in await site.store.accounts()]


@ROUTER.post("", status_code=201)
async def add_account(site: TheSite, who: Who, body: NewAccount) -> Link:
    """A new account, and the link for its owner."""
    account = Account(
        name=checked_name(body.name),
        display=checked_line(body.display, what="display name") or body.name,
        role=body.role,
        scope=_scope(body),
        enabled=body.enabled,
        has_password=False,
        has_totp=False,
        added_ms=who.now_ms,
        changed_ms=who.now_ms,
    )
    detail = f"{account.name} as {account.role}{_scope_text(account)}"
    await site.store.add_account(account, audit=who.entry("account.add", detail))
    return await invite(site, who, account.name)


@ROUTER.get("/{name}")
async def one_account(site: TheSite, who: Who, name: Name) -> AccountOut:
    """One account."""
    return _out(await _find(site, name))


@ROUTER.put("/{name}")
async def change_account(site: TheSite, who: Who, name: Name, body: AccountIn) -> AccountOut:
    """Another display name, role or scope; its sessions end. The last administrator stays one."""
    account = replace(
        await _find(site, name),
        display=checked_line(body.display, what="display name") or name,
        role=body.role,
        scope=_scope(body),
        enabled=body.enabled,
    )
    state = "" if account.enabled else ", disabled"
    detail = f"{account.name} as {account.role}{_scope_text(account)}{state}"
    await site.store.change_account(account, audit=who.entry("account.change", detail))
    return _out(await _find(site, name))


@ROUTER.post("/{name}/link", status_code=201)
async def invite(site: TheSite, who: Who, name: Name) -> Link:
    """A new link, for a forgotten password or a lost second factor. Older links of the account end."""
    await _find(site, name)
    return Link(url=f"{site.url}/welcome/{await site.door.invite(name, who=who.account.name)}")


async def _find(site: Site, name: str) -> Account:
    account = await site.store.find_account(name)
    if account is None:
        raise NotFoundError
    return account


def _scope(body: AccountIn) -> frozenset[tuple[str, str]]:
    scope = frozenset((where.place, where.gate) for where in body.scope)
    if (body.role in _SCOPED) != bool(scope):
        what = "Name the places." if body.role in _SCOPED else "This role is for every place."
        raise InvalidError("malformed", what, where="scope")
    return scope


def _scope_text(account: Account) -> str:
    named = ", ".join(f"{place}/{gate}" if gate else place for place, gate in sorted(account.scope))
    return f" for {named}" if named else ""


def _out(account: Account) -> AccountOut:
    return AccountOut(
        name=account.name,
        display=account.display,
        role=account.role,
        scope=[Where(place=place, gate=gate) for place, gate in sorted(account.scope)],
        enabled=account.enabled,
        has_password=account.has_password,
        has_second_factor=account.has_totp,
        added_ms=account.added_ms,
        changed_ms=account.changed_ms,
    )
