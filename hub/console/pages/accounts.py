"""Accounts: the table, a new one, one of them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import accounts as api
from hub.console.errors import ConsoleError
from hub.console.pages.forms import attempt, form_of, list_of, shape, to
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from hub.model import Role

ROUTER = APIRouter(prefix="/accounts")

Who = Annotated[Signed, Depends(Needs(Permission.ACCOUNTS))]


@ROUTER.get("")
async def accounts(request: Request, site: TheSite, who: Who) -> Response:
    """The table, and the form of a new one."""
    return await _table(request, site, who, form={}, error=None, link=None)


@ROUTER.post("")
async def add(request: Request, site: TheSite, who: Who) -> Response:
    """A new account; its link is shown once."""
    form = await form_of(request)
    wanted = await _wanted(request)
    table = {"accounts": await api.list_accounts(site, who), **await _values(site)}

    async def act() -> Response:
        made = await api.add_account(site, who, shape(api.NewAccount, {"name": form.get("name", ""), **wanted}))
        return await _table(request, site, who, form={}, error=None, link=made.url)

    def again(error: Exception) -> Response:
        return _page(request, who, table, form=form, error=error, link=None)

    return await attempt(act, again)


@ROUTER.get("/{name}")
async def account(request: Request, site: TheSite, who: Who, name: str) -> Response:
    """One account."""
    return page(request, "account.html", signed=who, link=None, error=None, **await _one(site, who, name))


@ROUTER.post("/{name}")
async def change(request: Request, site: TheSite, who: Who, name: str) -> Response:
    """Other rights, or none."""
    wanted = await _wanted(request)
    values = await _one(site, who, name)

    async def act() -> Response:
        await api.change_account(site, who, name, shape(api.AccountIn, wanted))
        return to(f"/accounts/{name}")

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        return page(request, "account.html", signed=who, status=status, link=None, error=error, **values)

    return await attempt(act, again)


@ROUTER.post("/{name}/link")
async def invite(request: Request, site: TheSite, who: Who, name: str) -> Response:
    """A new link, shown once."""
    made = await api.invite(site, who, name)
    return page(request, "account.html", signed=who, link=made.url, error=None, **await _one(site, who, name))


async def _wanted(request: Request) -> dict[str, Any]:
    """What the form says of display name, role, scope and state."""
    form = await form_of(request)
    where = [text.partition("/") for text in await list_of(request, "scope")]
    return {
        "display": form.get("display", ""),
        "role": form.get("role", ""),
        "scope": [{"place": place, "gate": gate} for place, _, gate in where],
        "enabled": form.get("enabled", "yes") == "yes",
    }


async def _one(site: Site, who: Signed, name: str) -> dict[str, Any]:
    account = await api.one_account(site, who, name)
    scope = [f"{where.place}/{where.gate}" if where.gate else where.place for where in account.scope]
    return {"account": account, "scope": scope, **await _values(site)}


async def _values(site: Site) -> dict[str, Any]:
    return {
        "roles": list(Role),
        "wheres": [place.place_id for place in await site.store.places()]
        + [f"{gate.place_id}/{gate.gate_id}" for gate in await site.store.gates()],
    }


async def _table(
    request: Request, site: Site, who: Signed, *, form: dict[str, str], error: Exception | None, link: str | None
) -> Response:
    values = {"accounts": await api.list_accounts(site, who), **await _values(site)}
    return _page(request, who, values, form=form, error=error, link=link)


def _page(
    request: Request,
    who: Signed,
    values: dict[str, Any],
    *,
    form: dict[str, str],
    error: Exception | None,
    link: str | None,
) -> Response:
    status = error.status if isinstance(error, ConsoleError) else 200
    return page(request, "accounts.html", signed=who, status=status, form=form, error=error, link=link, **values)
