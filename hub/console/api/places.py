"""Places: what they are, their gates and today's figures, closing and opening, the code and its poster."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api.place_shapes import (
    ClosingOut,
    CodeOut,
    CountOut,
    GateName,
    GateOut,
    NewGate,
    NewPlace,
    PlaceDetail,
    PlaceOut,
    Reissue,
    Why,
)
from hub.console.api.shapes import REFUSALS
from hub.console.errors import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from hub.console.poster.draw import Format, NoFontError, Paper, Poster
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import Gate, Place
from hub.registry import changes
from hub.registry.checks import checked_line
from hub.store.place_ports import GateCount, KeptCode
from hub.trust import changes as trust_changes
from protocol.terms import Direction, Verdict

ROUTER = APIRouter(prefix="/places", tags=["Places"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.PLACES_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.PLACES_WRITE))]
ThisPlace = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
ThisGate = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,32}$")]

_DAY_MIN: Final = 24 * 60
_MINUTE_MS: Final = 60_000
_TYPES: Final = {Format.PDF: "application/pdf", Format.PNG: "image/png"}


@ROUTER.get("")
async def list_places(site: TheSite, who: Reader) -> list[PlaceOut]:
    """Every place that the account is for, by id."""
    codes = {code.place_id: code.serial for code in await site.store.newest_place_codes()}
    gates = [gate.place_id for gate in await site.store.gates()]
    closings = await _closings(site)
    return [
        PlaceOut(
            id=place.place_id,
            name=place.name,
            region=place.region,
            responsible=place.responsible,
            gates=gates.count(place.place_id),
            serial=codes.get(place.place_id),
            closed=closings.get(place.place_id, []),
        )
        for place in await site.store.places()
        if who.sees(place.place_id)
    ]


@ROUTER.post("", status_code=201)
async def add_place(site: TheSite, who: Writer, body: NewPlace) -> PlaceDetail:
    """Register a place without a code. For those who see every place."""
    if not who.everywhere:
        raise ForbiddenError("forbidden", "Apply for a place code: the place becomes yours by it.")
    await changes.add_place(
        site.store,
        operator=who.operator,
        place_id=body.id,
        name=body.name,
        region=body.region,
        responsible=body.responsible,
    )
    return await one_place(site, who, body.id)


@ROUTER.get("/{place_id}")
async def one_place(site: TheSite, who: Reader, place_id: ThisPlace) -> PlaceDetail:
    """One place, with its gates counted each by itself and together."""
    place = await _find(site, who, place_id)
    codes = await site.store.place_codes(place_id)
    from_minute = _midnight_min(site, who.now_ms)
    counts = await site.store.gate_counts(place_id, from_minute=from_minute, to_minute=from_minute + _DAY_MIN + 60)
    lanes = [
        GateOut(id=gate.gate_id, name=gate.name, today=_sum(count for count in counts if count.gate_id == gate.gate_id))
        for gate in await site.store.gates()
        if gate.place_id == place_id
    ]
    application = await site.store.application_of(place_id)
    return PlaceDetail(
        id=place.place_id,
        name=place.name,
        region=place.region,
        responsible=place.responsible,
        gates=len(lanes),
        serial=codes[0].serial if codes else None,
        closed=(await _closings(site)).get(place_id, []),
        lanes=lanes,
        today=_sum(counts),
        codes=[_code(code) for code in codes],
        application=None if application is None else application.application_id.hex(),
    )


@ROUTER.post("/{place_id}/gates", status_code=201)
async def add_gate(site: TheSite, who: Writer, place_id: ThisPlace, body: NewGate) -> GateOut:
    """A new lane."""
    await _find(site, who, place_id)
    await changes.add_gate(site.store, operator=who.operator, place_id=place_id, gate_id=body.id, name=body.name)
    return GateOut(id=body.id, name=body.name, today=_sum(()))


@ROUTER.put("/{place_id}/gates/{gate_id}", status_code=204)
async def rename_gate(site: TheSite, who: Writer, place_id: ThisPlace, gate_id: ThisGate, body: GateName) -> Response:
    """Another name for a lane; its id stands in check-ins and stays."""
    await _find(site, who, place_id)
    name = checked_line(body.name, what="name")
    await site.store.rename_gate(
        Gate(place_id=place_id, gate_id=gate_id, name=name),
        audit=who.entry("gate.rename", f"{place_id}/{gate_id}: {name}"),
    )
    return Response(status_code=204)


@ROUTER.post("/{place_id}/closing", status_code=204)
async def close_place(site: TheSite, who: Writer, place_id: ThisPlace, body: Why) -> Response:
    """Close the place: its gates show grey and let nobody in until it is opened again."""
    await _find(site, who, place_id)
    if not await trust_changes.close_place(site.store, operator=who.operator, place_id=place_id, reason=body.reason):
        raise ConflictError("conflict", "This place is closed already.")
    return Response(status_code=204)


@ROUTER.delete("/{place_id}/closing", status_code=204)
async def open_place(site: TheSite, who: Writer, place_id: ThisPlace) -> Response:
    """End one's own side's closing. What the platform keeps closed stays closed."""
    await _find(site, who, place_id)
    if not await trust_changes.open_place(site.store, operator=who.operator, place_id=place_id):
        raise ConflictError("conflict", "Nobody here has closed this place.")
    return Response(status_code=204)


@ROUTER.post("/{place_id}/code", status_code=201)
async def reissue(site: TheSite, who: Writer, place_id: ThisPlace, body: Reissue) -> CodeOut:
    """A new code for a poster that is damaged or lost. The code before it is dead from now on."""
    await _find(site, who, place_id)
    if not await site.store.place_codes(place_id):
        raise ConflictError("conflict", "This place has no code yet: apply for one.")
    request = body.request or secrets.token_hex(16)
    await site.errands.ask("place.reissue", who=who.account.name, request=request, place=place_id, why=body.reason)
    return _code((await site.store.place_codes(place_id))[0])


@ROUTER.get("/{place_id}/poster", response_class=Response)
async def poster(
    site: TheSite,
    who: Reader,
    place_id: ThisPlace,
    paper: Paper = Paper.A4,
    format: Format = Format.PDF,  # noqa: A002 - the parameter's name in the address
) -> Response:
    """The poster with the code in force, to print: PDF or PNG, for A4 or A3, in Chinese and English."""
    place = await _find(site, who, place_id)
    codes = await site.store.place_codes(place_id)
    if not codes:
        raise NotFoundError("This place has no code yet: apply for one.")
    code = codes[0]
    issued = datetime.fromtimestamp(code.issued_s, UTC).astimezone(ZoneInfo(site.timezone))
    what = Poster(
        place=place_id, name=place.name, code=code.code, serial=code.serial, issued=f"{issued:%Y-%m-%d}", site=site.name
    )
    try:
        made = await site.drawing.draw(what, paper=paper, form=format)
    except NoFontError as error:
        raise UnavailableError(
            "no_font", "There is no Chinese font on the hub's machine. Install one, such as fonts-noto-cjk."
        ) from error
    await site.store.audit(who.entry("place.poster", f"{place_id}: serial {code.serial}, {paper} {format}"))
    name = f"{place_id}-{code.serial}-{paper}.{format}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(made, media_type=_TYPES[format], headers=headers)


async def _find(site: Site, who: Signed, place_id: str) -> Place:
    who.must_see(place_id)
    place = await site.store.find_place(place_id)
    if place is None:
        raise NotFoundError
    return place


async def _closings(site: Site) -> dict[str, list[ClosingOut]]:
    found: dict[str, list[ClosingOut]] = {}
    for closing in await site.store.closings():
        found.setdefault(closing.place_id, []).append(
            ClosingOut(by=closing.by, why=closing.why, since_ms=closing.since_ms)
        )
    return found


def _midnight_min(site: Site, now_ms: int) -> int:
    """The minute at which today began where the site is."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(site.timezone))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return int(midnight.timestamp() * 1000) // _MINUTE_MS


def _sum(counts: Iterable[GateCount]) -> CountOut:
    entered = left = stopped = 0
    for count in counts:
        if count.verdict != Verdict.ADMIT:
            stopped += count.n
        elif count.direction == Direction.IN:
            entered += count.n
        else:
            left += count.n
    return CountOut(entered=entered, left=left, stopped=stopped)


def _code(code: KeptCode) -> CodeOut:
    return CodeOut(serial=code.serial, code=code.code, issued_ms=code.issued_s * 1000, who=code.who, why=code.why)
