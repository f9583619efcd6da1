"""One's own account: password, sessions, tokens for programs."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import sessions as api
from hub.console.errors import ConsoleError
from hub.console.pages.forms import attempt, form_of, shape, to
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page

ROUTER = APIRouter(prefix="/me")

Who = Annotated[Signed, Depends(Needs(Permission.SIGNED_IN))]


@ROUTER.get("")
async def me(request: Request, site: TheSite, who: Who) -> Response:
    """The page."""
    return page(request, "me.html", signed=who, sessions=await api.list_sessions(site, who), token=None, error=None)


@ROUTER.post("/password")
async def change_password(request: Request, site: TheSite, who: Who) -> Response:
    """Another password, for whoever knows the old one."""
    form = await form_of(request)

    async def act() -> Response:
        await site.door.change_password(
            who.account, was=form.get("was", ""), password=form.get("password", ""), session=who.session
        )
        return to("/me?done=password")

    return await attempt(act, await _again(request, site, who))


@ROUTER.post("/tokens")
async def add_token(request: Request, site: TheSite, who: Who) -> Response:
    """A token, shown once on this page."""
    form = await form_of(request)
    again = await _again(request, site, who)

    async def act() -> Response:
        made = await api.add_token(
            site, who, shape(api.NewToken, {name: form[name] for name in ("label", "days") if name in form})
        )
        listed = await api.list_sessions(site, who)
        return page(request, "me.html", signed=who, sessions=listed, token=made.token, error=None)

    return await attempt(act, again)


@ROUTER.post("/sessions/{session_id}/end")
async def end_session(site: TheSite, who: Who, session_id: str) -> Response:
    """End one."""
    await api.end_session(site, who, session_id)
    return to("/me")


async def _again(request: Request, site: Site, who: Signed) -> Callable[[Exception], Response]:
    listed = await api.list_sessions(site, who)

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        return page(request, "me.html", signed=who, status=status, sessions=listed, token=None, error=error)

    return again
