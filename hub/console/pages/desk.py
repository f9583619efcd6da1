"""The attendant's desk: which gate, then registering and looking up. A script seals; without it nothing works."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import desk as api
from hub.console.errors import NotFoundError, UnavailableError
from hub.console.pages.forms import to
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from protocol.limits import DESK_COMPANIONS, DESK_NAME_CHARS, DESK_PHONE_CHARS

ROUTER = APIRouter(prefix="/desk")

Who = Annotated[Signed, Depends(Needs(Permission.DESK))]
Id = Annotated[str, Path(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]


@ROUTER.get("")
async def choose(request: Request, site: TheSite, who: Who) -> Response:
    """The only desk, or a choice."""
    desks = await api.list_desks(site, who)
    if len(desks) == 1:
        return to(f"/desk/{desks[0].place}/{desks[0].gate}")
    return page(request, "desk_choose.html", signed=who, desks=desks)


@ROUTER.get("/{place}/{gate}")
async def registering(request: Request, site: TheSite, who: Who, place: Id, gate: Id) -> Response:
    """Register somebody without a phone."""
    return await _desk(request, site, who, "desk_register.html", place, gate)


@ROUTER.get("/{place}/{gate}/look-up")
async def looking_up(request: Request, site: TheSite, who: Who, place: Id, gate: Id) -> Response:
    """Look up somebody's colour."""
    return await _desk(request, site, who, "desk_look_up.html", place, gate)


async def _desk(request: Request, site: Site, who: Signed, template: str, place: str, gate: str) -> Response:
    desks = await api.list_desks(site, who)
    found = next((desk for desk in desks if (desk.place, desk.gate) == (place, gate)), None)
    if found is None:
        raise NotFoundError
    try:
        key, missing = await api.sealing_key(site, who), None
    except UnavailableError as error:
        key, missing = None, error
    return page(
        request,
        template,
        signed=who,
        desk=found,
        several=len(desks) > 1,
        key=key,
        missing=missing,
        companions=DESK_COMPANIONS,
        name_chars=DESK_NAME_CHARS,
        phone_chars=DESK_PHONE_CHARS,
    )
