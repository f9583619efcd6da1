"""What goes on now: places at a glance, one place's gates and counts, and both as they change."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, GateId, PlaceId, Shape, TimeMs
from hub.console.errors import ForbiddenError, InvalidError, NotFoundError
from hub.console.live.board import GateNow, PlaceNow
from hub.console.live.feed import LOOK_S, Registry
from hub.console.live.wall import GlanceView, WallView, alerts_text, load_of, masked_text
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.stream import EventStream
from hub.deliver.occupancy import Occupancy
from hub.store.live_ports import Alert, PlaceLive
from protocol.terms import Colour

ROUTER = APIRouter(prefix="/live", tags=["Live"], responses=REFUSALS)
SHOWN_MOST = 100
"""Places at a glance: more nobody reads; the busiest come first, and a search finds the others."""

Who = Annotated[Signed, Depends(Needs(Permission.LIVE))]
Setter = Annotated[Signed, Depends(Needs(Permission.PLACES_WRITE))]
ThePlace = Annotated[PlaceId, Path()]
LOADS = ("fine", "near", "over")


class LightOut(Shape):
    """One check-in at a gate. `masked` only with `names`, where the place's policy keeps it."""

    colour: str
    verdict: str
    direction: str
    at_ms: TimeMs
    masked: str | None = None


class GateOut(Shape):
    """A gate's figures since its place's day began; lights newest first."""

    gate: GateId
    name: str
    entries: int
    exits: int
    colours: dict[str, int]
    lights: list[LightOut]


class OccupancyOut(Shape):
    """How many are inside: an estimate, `low` and `high` hold it in 19 of 20 cases.

    `missing_exits` left without a scan, by the share of the last fortnight. `confidence` is 0 to 1. `untimed` of
    today's check-ins are counted when they were received, as their gate did not know the time.
    """

    place: PlaceId
    day_began_ms: TimeMs
    entries: int
    exits: int
    missing_exits: int
    inside: int
    low: int
    high: int
    confidence: float
    untimed: int
    limit: int | None
    load: str = Field(description="`fine`, `near` or `over` the limit.")


class HourOut(Shape):
    """Entries in one hour."""

    from_ms: TimeMs
    entries: int


class SettingsOut(Shape):
    """What a place is watched by."""

    limit: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    day_begins_h: Annotated[int, Field(ge=0, le=23)] = 4
    escalate_min: Annotated[int, Field(ge=1, le=1440)] = 5


class WallOut(Shape):
    """One place now. `occupancy`, `hours` and `settings` only for whoever is for the whole place."""

    place: PlaceId
    name: str
    gates: list[GateOut]
    occupancy: OccupancyOut | None
    hours: list[HourOut]
    settings: SettingsOut | None


class GlanceOut(Shape):
    """One place in a table."""

    place: PlaceId
    name: str
    region: str
    occupancy: OccupancyOut


class PlacesOut(Shape):
    """The busiest places that the account may see; `others` are not shown."""

    places: list[GlanceOut]
    others: int


@ROUTER.get("")
async def list_places(
    site: TheSite,
    who: Who,
    q: Annotated[str, Query(max_length=64, description="Part of a name or id.")] = "",
    region: Annotated[str, Query(max_length=12, description="How the region begins.")] = "",
) -> PlacesOut:
    """Places at a glance, the busiest of today first."""
    board, registry = await site.feed.board(), await site.feed.registry()
    found = [
        place
        for place in registry.places.values()
        if who.sees(place.place_id)
        and place.region.startswith(region)
        and (q.lower() in place.name.lower() or q.lower() in place.place_id.lower())
    ]
    found.sort(key=lambda place: (-board.of(place.place_id).day.entries, place.place_id))
    shown = [
        GlanceOut(
            place=place.place_id,
            name=place.name,
            region=place.region,
            occupancy=await occupancy_out(site, place.place_id),
        )
        for place in found[:SHOWN_MOST]
    ]
    return PlacesOut(places=shown, others=len(found) - len(shown))


@ROUTER.get("/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def stream_places(
    request: Request,
    site: TheSite,
    who: Who,
    q: Annotated[str, Query(max_length=64)] = "",
    region: Annotated[str, Query(max_length=12)] = "",
) -> Response:
    """Server-sent events, twice a second at most: `places` {t, p: [[place, entries, exits, inside, low, high,
    confidence in percent, load 0 to 2, untimed], ...]} for those that changed; `alerts` {open, reds, newest}; `ended`
    when the session is over. The places are the busiest at the beginning.
    """
    shown = await list_places(site, who, q, region)
    view = GlanceView(site.feed, place_ids=[place.place for place in shown.places])

    async def look() -> dict[str, str]:
        return {**await view.look(), "alerts": alerts_text(await open_alerts(site, who), await site.feed.registry())}

    return EventStream(request, who, look, every_s=LOOK_S)


@ROUTER.get("/{place}")
async def one_place(
    site: TheSite,
    who: Who,
    place: ThePlace,
    *,
    names: Annotated[bool, Query(description="With masked names; written into the audit log.")] = False,
) -> WallOut:
    """One place now."""
    gates = scope_in(who, place)
    await _may_see_names(site, who, place, names=names)
    board, registry = await site.feed.board(names=names), await site.feed.registry()
    if place not in registry.places:
        raise NotFoundError
    now = board.of(place)
    ids = sorted({*registry.gates.get(place, {}), *now.gates})
    return WallOut(
        place=place,
        name=registry.places[place].name,
        gates=[
            _gate(gate_id, registry.gates.get(place, {}).get(gate_id, gate_id), now, names=names)
            for gate_id in ids
            if gates is None or gate_id in gates
        ],
        occupancy=await occupancy_out(site, place) if gates is None else None,
        hours=hours_out(site, place, now, registry) if gates is None else [],
        settings=_settings(registry.live_of(place)) if gates is None else None,
    )


@ROUTER.get("/{place}/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def stream_place(
    request: Request,
    site: TheSite,
    who: Who,
    place: ThePlace,
    *,
    names: Annotated[bool, Query(description="With masked names; written into the audit log.")] = False,
) -> Response:
    """Server-sent events, twice a second at most: `wall` {t, full?, g: [[gate, entries, exits, [[colour, verdict,
    direction, at_ms, masked?], ...]], ...], p?: [entries, exits, inside, low, high, confidence in percent, load 0 to 2,
    untimed]} for gates that changed, new lights oldest first, numbers as in PROTOCOL §5; `alerts` {open, reds, newest};
    `ended` when the session is over. The first event tells everything.
    """
    gates = scope_in(who, place)
    await _may_see_names(site, who, place, names=names)
    if place not in (await site.feed.registry()).places:
        raise NotFoundError
    view = WallView(site.feed, place_id=place, gates=gates, names=names)

    async def look() -> dict[str, str]:
        return {
            **await view.look(),
            "alerts": alerts_text(await open_alerts(site, who, place), await site.feed.registry()),
        }

    return EventStream(request, who, look, every_s=LOOK_S)


@ROUTER.put("/{place}/settings")
async def set_place(site: TheSite, who: Setter, place: ThePlace, body: SettingsOut) -> SettingsOut:
    """Limit, when the day begins, and after how many minutes nobody's answer goes one level up."""
    who.must_see(place)
    if place not in (await site.feed.registry()).places:
        raise NotFoundError
    detail = (
        f"{place}: limit {body.limit or 'none'}, day from {body.day_begins_h}, escalate after {body.escalate_min} min"
    )
    await site.store.set_place_live(
        PlaceLive(
            place_id=place,
            people_most=body.limit,
            day_begins_h=body.day_begins_h,
            escalate_min=body.escalate_min,
        ),
        audit=who.entry("place.live", detail),
    )
    site.feed.forget_registry()
    return body


def scope_in(who: Signed, place: str) -> frozenset[str] | None:
    """The gates of a place that the account is for; None: all. Raises NotFoundError when none."""
    if who.sees(place):
        return None
    gates = frozenset(gate for scoped, gate in who.account.scope if scoped == place and gate)
    if not gates:
        raise NotFoundError
    return gates


async def open_alerts(site: Site, who: Signed, place: str = "") -> list[Alert]:
    """Those open that the account may see; of one place and the site with it, or all."""
    return [
        alert
        for alert in await site.feed.alerts()
        if sees_alert(who, alert) and (not place or alert.place_id in {place, ""})
    ]


def sees_alert(who: Signed, alert: Alert) -> bool:
    """Whether an alert is for this account. What is about the whole site is for those who are."""
    return who.sees(alert.place_id, alert.gate_id) if alert.place_id else who.everywhere


async def occupancy_out(site: Site, place: str) -> OccupancyOut:
    """How many are inside a place."""
    found: Occupancy = await site.feed.occupancy_of(place)
    limit = await site.feed.limit_of(place)
    board, registry = await site.feed.board(), await site.feed.registry()
    return OccupancyOut(
        place=place,
        day_began_ms=site.feed.day_hour(place, registry) * 3_600_000,
        entries=found.entries,
        exits=found.exits,
        missing_exits=found.missing_exits,
        inside=found.inside,
        low=found.low,
        high=found.high,
        confidence=found.confidence,
        untimed=board.of(place).untimed,
        limit=limit,
        load=LOADS[load_of(found, limit)],
    )


def hours_out(site: Site, place: str, now: PlaceNow, registry: Registry) -> list[HourOut]:
    """Entries of today's 24 hours."""
    begins = site.feed.day_hour(place, registry)
    return [HourOut(from_ms=hour * 3_600_000, entries=now.hours.get(hour, 0)) for hour in range(begins, begins + 24)]


async def _may_see_names(site: Site, who: Signed, place: str, *, names: bool) -> None:
    """Raises ForbiddenError for whoever may not read the register. Who may is written down."""
    if not names:
        return
    if not who.may(Permission.REGISTER) or not who.sees(place):
        raise ForbiddenError("forbidden", "Your account may not see names.")
    await site.store.audit(who.entry("live.names", place))


def _settings(live: PlaceLive) -> SettingsOut:
    return SettingsOut(limit=live.people_most, day_begins_h=live.day_begins_h, escalate_min=live.escalate_min)


def _gate(gate_id: str, name: str, place: PlaceNow, *, names: bool) -> GateOut:
    now = place.gates.get(gate_id) or GateNow()
    return GateOut(
        gate=gate_id,
        name=name,
        entries=now.entries,
        exits=now.exits,
        colours={colour.wire_name: now.colours[colour] for colour in Colour},
        lights=[
            LightOut(
                colour=light.colour.wire_name,
                verdict=light.verdict.wire_name,
                direction=light.direction.wire_name,
                at_ms=light.at_ms,
                masked=masked_text(light.masked) if names and light.masked else None,
            )
            for light in reversed(now.lights)
        ],
    )


def must_be_short(value: str, *, field: str, chars: int) -> str:
    """A line as people typed it. Raises InvalidError."""
    text = value.strip()
    if len(text) > chars or not all(char.isprintable() or char == "\n" for char in text.replace("\r\n", "\n")):
        raise InvalidError("malformed", "Too long, or characters that cannot be shown.", where=field)
    return text
