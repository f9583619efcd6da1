"""Scanners: the table, one of them, and what is done to it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import commands as orders
from hub.console.api import scanners as api
from hub.console.api.scanner_shapes import MayReason, Reason
from hub.console.errors import ConsoleError, InvalidError
from hub.console.fleet.search import ANY, Sort
from hub.console.fleet.troubles import Standing, Trouble
from hub.console.fleet.words import ORDERS, SORTS, STANDINGS, STATES, TROUBLES
from hub.console.pages.firmware import REASONS as UPDATE_REASONS
from hub.console.pages.forms import attempt, attempt_or, form_of, shape, to
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from hub.console.web.stream import EventStream
from protocol.command import ARGUMENTS, CommandName
from protocol.errors import MalformedError
from protocol.release import release_of

ROUTER = APIRouter(prefix="/scanners")

Reader = Annotated[Signed, Depends(Needs(Permission.FLEET_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.FLEET_WRITE))]

_LOOK_S: Final = 5.0
"""A whole fleet is read for it; figures in it are half a minute old anyway."""
_ONE_LOOK_S: Final = 1.0
_STATES: Final[dict[str, type[Any]]] = {"revoke": Reason, "quarantine": Reason, "release": MayReason}
_SAID: Final[dict[str, Any]] = {
    "troubles": TROUBLES,
    "standings": STANDINGS,
    "sorts": SORTS,
    "orders": ORDERS,
    "states": STATES,
    "open_states": orders.OPEN_STATES,
    "update_reasons": UPDATE_REASONS,
}


def _asked(
    place: Annotated[str, Query(max_length=32)] = "",
    standing: Annotated[str, Query(max_length=32)] = "",
    trouble: Annotated[str, Query(max_length=32)] = "",
    text: Annotated[str, Query(max_length=api.TEXT_CHARS)] = "",
    sort: Annotated[str, Query(max_length=32)] = Sort.TROUBLE,
) -> dict[str, str]:
    """The table's questions; those that nobody of ours asks are left out."""
    return {
        "place": place,
        "standing": standing if standing in set(Standing) else "",
        "trouble": trouble if trouble == ANY or trouble in set(Trouble) else "",
        "text": text,
        "sort": sort if sort in set(Sort) else Sort.TROUBLE,
    }


Filter = Annotated[dict[str, str], Depends(_asked)]


@ROUTER.get("")
async def table(
    request: Request,
    site: TheSite,
    who: Reader,
    asked: Filter,
    number: Annotated[int, Query(ge=1, le=100_000, alias="page")] = 1,
) -> Response:
    """The fleet."""
    values = await _table(site, who, asked, number)
    return page(request, "scanners.html", signed=who, places=await site.store.places(), any=ANY, **_SAID, **values)


@ROUTER.get("/stream")
async def table_stream(
    request: Request,
    site: TheSite,
    who: Reader,
    asked: Filter,
    number: Annotated[int, Query(ge=1, le=100_000, alias="page")] = 1,
) -> Response:
    """The same table whenever it has changed."""

    async def look() -> Mapping[str, str]:
        return {"table": _part(request, who, "scanners_table.html", await _table(site, who, asked, number))}

    return EventStream(request, who, look, every_s=_LOOK_S)


@ROUTER.get("/evacuation")
async def evacuation(request: Request, site: TheSite, who: Writer) -> Response:
    """The first press: which place."""
    return page(request, "evacuation.html", signed=who, places=await site.store.places(), error=None, asked=None)


@ROUTER.post("/evacuation")
async def evacuate(request: Request, site: TheSite, who: Writer) -> Response:
    """The second press asks once more; the third does it."""
    form = await form_of(request)
    places = await site.store.places()

    async def act() -> Response:
        asked = shape(orders.PlaceOrder, {"place": form.get("place", ""), "minutes": form.get("minutes", "30")})
        if form.get("sure") != "yes":
            devices = [each for each in await site.store.devices() if each.place_id == asked.place]
            return page(
                request,
                "evacuation.html",
                signed=who,
                places=places,
                error=None,
                asked=asked,
                scanners=sum(each.state != "revoked" for each in devices),
            )
        done = await orders.send_to_place(site, who, asked)
        return page(request, "evacuated.html", signed=who, asked=asked, done=done, **_SAID)

    def again(error: Exception) -> Response:
        return page(
            request, "evacuation.html", signed=who, status=_status(error), places=places, error=error, asked=None
        )

    return await attempt(act, again)


@ROUTER.get("/{device}")
async def scanner(request: Request, site: TheSite, who: Reader, device: api.DeviceId) -> Response:
    """One of them."""
    return await _one(request, site, who, device, error=None)


@ROUTER.get("/{device}/stream")
async def scanner_stream(request: Request, site: TheSite, who: Reader, device: api.DeviceId) -> Response:
    """Its facts and what it was told, whenever they have changed."""
    await api.one_scanner(site, who, device)

    async def look() -> Mapping[str, str]:
        values = await _facts(site, who, device)
        return {
            "facts": _part(request, who, "scanner_facts.html", values),
            "orders": _part(request, who, "scanner_orders.html", values),
        }

    return EventStream(request, who, look, every_s=_ONE_LOOK_S)


@ROUTER.post("/{device}/command")
async def order(request: Request, site: TheSite, who: Writer, device: api.DeviceId) -> Response:
    """Tell it to do something. Grave orders are asked for twice."""
    form = await form_of(request)

    async def act() -> Response:
        name = form.get("name", "")
        wanted = shape(orders.CommandIn, {"device": device, "name": name, "args": _args(form, name)})
        if wanted.name in ORDERS and ORDERS[wanted.name].grave and form.get("sure") != "yes":
            values: dict[str, Any] = {
                "scanner": await api.one_scanner(site, who, device),
                "wanted": wanted,
                "action": "command",
            }
            return page(request, "scanner_sure.html", signed=who, fields=form, **_SAID, **values)
        await orders.send(site, who, wanted)
        return to(f"/scanners/{device}#orders")

    return await attempt_or(act, lambda error: _one(request, site, who, device, error=error))


@ROUTER.post("/{device}/state")
async def state(request: Request, site: TheSite, who: Writer, device: api.DeviceId) -> Response:
    """Revoke it, put it into quarantine, or release it. Revoking is asked for twice, for it is final."""
    form = await form_of(request)
    acts: dict[str, Any] = {"revoke": api.revoke, "quarantine": api.quarantine, "release": api.release}

    async def act() -> Response:
        what = form.get("act", "")
        if what not in acts:
            raise InvalidError("malformed", "There is no such act.", where="act")
        body = shape(_STATES[what], {"reason": form.get("reason", "").strip()})
        if what == "revoke" and form.get("sure") != "yes":
            values: dict[str, Any] = {
                "scanner": await api.one_scanner(site, who, device),
                "wanted": None,
                "action": "state",
            }
            return page(request, "scanner_sure.html", signed=who, fields=form, **_SAID, **values)
        await acts[what](site, who, device, body)
        return to(f"/scanners/{device}")

    return await attempt_or(act, lambda error: _one(request, site, who, device, error=error))


def _args(form: dict[str, str], name: str) -> dict[str, int | bool]:
    """What the form says of this order's arguments."""
    if name not in set(CommandName):
        return {}
    args: dict[str, int | bool] = {}
    for key, bounds in ARGUMENTS.get(CommandName(name), {}).items():
        if key == "release":
            args[key] = _release(form.get("version", ""))
        elif bounds is None:
            args[key] = form.get(key) == "yes"
        elif form.get(key, "").isdecimal():
            args[key] = int(form[key][:9])
    return args


def _release(version: str) -> int:
    """A version as it is typed. Raises InvalidError."""
    try:
        return release_of(version.strip())
    except MalformedError as error:
        raise InvalidError("malformed", "A version is three numbers, such as 1.2.3.", where="version") from error


async def _table(site: Site, who: Signed, asked: dict[str, str], number: int) -> dict[str, Any]:
    fleet = await api.list_scanners(
        site,
        who,
        place=asked["place"],
        standing=Standing(asked["standing"]) if asked["standing"] else None,
        trouble=asked["trouble"],
        text=asked["text"],
        sort=Sort(asked["sort"]),
        page=number,
        limit=api.PAGE,
    )
    names = {place.place_id: place.name for place in await site.store.places()}
    return {"fleet": fleet, "asked": asked, "names": names, "query": urlencode(asked), "now_ms": site.now_ms()}


async def _facts(site: Site, who: Signed, device: str) -> dict[str, Any]:
    scanner, told = await asyncio.gather(
        api.one_scanner(site, who, device), orders.list_commands(site, who, device=device, limit=20)
    )
    return {"scanner": scanner, "told": told}


async def _one(request: Request, site: Site, who: Signed, device: str, *, error: Exception | None) -> Response:
    values = await _facts(site, who, device)
    names = {place.place_id: place.name for place in await site.store.places()}
    return page(
        request,
        "scanner.html",
        signed=who,
        status=200 if error is None else _status(error),
        error=error,
        names=names,
        hours=await api.hours(site, who, device),
        samples=await api.samples(site, who, device),
        papers=await api.papers(site, who, device),
        evidence=await api.evidence(site, who, device),
        acts=await api.acts(site, who, device),
        **_SAID,
        **values,
    )


def _part(request: Request, who: Signed, template: str, values: dict[str, Any]) -> str:
    return bytes(page(request, template, signed=who, **_SAID, **values).body).decode()


def _status(error: Exception) -> int:
    return error.status if isinstance(error, ConsoleError) else 422
