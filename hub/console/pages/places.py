"""Places: the list, one of them, and what is done there."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import applications as applications_api
from hub.console.api import places as api
from hub.console.api.place_shapes import GateName, NewGate, NewPlace, Reissue, Why
from hub.console.errors import ConsoleError
from hub.console.pages.forms import attempt, form_of, shape, to
from hub.console.pages.place_titles import CERTIFICATES, KINDS, STATES
from hub.console.poster.draw import Format, Paper
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page

ROUTER = APIRouter(prefix="/places")

Reader = Annotated[Signed, Depends(Needs(Permission.PLACES_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.PLACES_WRITE))]


@ROUTER.get("")
async def places(request: Request, site: TheSite, who: Reader) -> Response:
    """The list, and the applications that are not done with."""
    return _list(request, who, await _all(site, who), form={}, error=None)


@ROUTER.post("")
async def add(request: Request, site: TheSite, who: Writer) -> Response:
    """A place without a code of the platform's."""
    form = await form_of(request)
    everything = await _all(site, who)

    async def act() -> Response:
        fields = {name: form.get(name, "").strip() for name in ("id", "name", "region", "responsible")}
        added = await api.add_place(site, who, shape(NewPlace, fields))
        return to(f"/places/{added.id}")

    def again(error: Exception) -> Response:
        return _list(request, who, everything, form=form, error=error)

    return await attempt(act, again)


@ROUTER.get("/{place_id}")
async def place(request: Request, site: TheSite, who: Reader, place_id: api.ThisPlace) -> Response:
    """One place."""
    return _one(request, who, await _about(site, who, place_id), form={}, error=None)


@ROUTER.post("/{place_id}/gates")
async def add_gate(request: Request, site: TheSite, who: Writer, place_id: api.ThisPlace) -> Response:
    """A new lane."""
    form = await form_of(request)
    fields = {"id": form.get("gate", "").strip(), "name": form.get("gate_name", "")}

    async def act() -> None:
        await api.add_gate(site, who, place_id, shape(NewGate, fields))

    return await _done(request, site, who, place_id, act, form)


@ROUTER.post("/{place_id}/gates/{gate_id}")
async def rename_gate(
    request: Request, site: TheSite, who: Writer, place_id: api.ThisPlace, gate_id: api.ThisGate
) -> Response:
    """Another name for a lane."""
    form = await form_of(request)

    async def act() -> None:
        await api.rename_gate(site, who, place_id, gate_id, shape(GateName, {"name": form.get("name", "")}))

    return await _done(request, site, who, place_id, act, form)


@ROUTER.post("/{place_id}/close")
async def close(request: Request, site: TheSite, who: Writer, place_id: api.ThisPlace) -> Response:
    """Close it."""
    form = await form_of(request)

    async def act() -> None:
        await api.close_place(site, who, place_id, shape(Why, {"reason": form.get("closing", "").strip()}))

    return await _done(request, site, who, place_id, act, form)


@ROUTER.post("/{place_id}/open")
async def open_again(request: Request, site: TheSite, who: Writer, place_id: api.ThisPlace) -> Response:
    """Open it again."""
    form = await form_of(request)

    async def act() -> None:
        await api.open_place(site, who, place_id)

    return await _done(request, site, who, place_id, act, form)


@ROUTER.post("/{place_id}/code")
async def reissue(request: Request, site: TheSite, who: Writer, place_id: api.ThisPlace) -> Response:
    """A new code; the one in force dies."""
    form = await form_of(request)

    async def act() -> None:
        fields = {"reason": form.get("why", "").strip(), "request": form.get("request", "")}
        await api.reissue(site, who, place_id, shape(Reissue, fields))

    return await _done(request, site, who, place_id, act, form)


@ROUTER.get("/{place_id}/poster")
async def poster(
    site: TheSite,
    who: Reader,
    place_id: api.ThisPlace,
    paper: Paper = Paper.A4,
    format: Format = Format.PDF,  # noqa: A002 - the parameter's name in the address
) -> Response:
    """The poster; what hinders it is told as a page."""
    return await api.poster(site, who, place_id, paper=paper, format=format)


async def _done(request: Request, site: Site, who: Signed, place_id: str, act: Any, form: dict[str, str]) -> Response:
    """Do it and show the place again; or show it with what was wrong."""
    about = await _about(site, who, place_id)

    async def acting() -> Response:
        await act()
        return to(f"/places/{place_id}")

    def again(error: Exception) -> Response:
        return _one(request, who, about, form=form, error=error)

    return await attempt(acting, again)


async def _all(site: Site, who: Signed) -> dict[str, Any]:
    applications = await applications_api.list_applications(site, who)
    return {"places": await api.list_places(site, who), "applications": applications[:20]}


async def _about(site: Site, who: Signed, place_id: str) -> dict[str, Any]:
    found = await api.one_place(site, who, place_id)
    application = None
    if found.application is not None:
        application = await applications_api.one_application(site, who, found.application)
    return {"place": found, "application": application}


def _list(
    request: Request, who: Signed, everything: dict[str, Any], *, form: dict[str, str], error: Exception | None
) -> Response:
    status = error.status if isinstance(error, ConsoleError) else 200
    return page(request, "places.html", signed=who, status=status, form=form, error=error, states=STATES, **everything)


def _one(
    request: Request, who: Signed, about: dict[str, Any], *, form: dict[str, str], error: Exception | None
) -> Response:
    status = error.status if isinstance(error, ConsoleError) else 200
    again = form.get("request") or secrets.token_hex(16)
    return page(
        request,
        "place.html",
        signed=who,
        status=status,
        form=form,
        error=error,
        request_id=again,
        kinds=KINDS,
        certificates=CERTIFICATES,
        **about,
    )
