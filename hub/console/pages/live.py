"""The wall: all places at a glance, and one place's gates."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import live as api
from hub.console.api import occupancy as occupancy_api
from hub.console.errors import ConsoleError
from hub.console.live.wall import alerts_text
from hub.console.pages.forms import attempt, form_of, shape, to
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import language_of, page
from hub.deliver.guidance import AT_THE_GATE, TITLES
from hub.store.live_ports import Level
from protocol.terms import Colour

ROUTER = APIRouter(prefix="/live")

Who = Annotated[Signed, Depends(Needs(Permission.LIVE))]
Setter = Annotated[Signed, Depends(Needs(Permission.PLACES_WRITE))]
_BAR_MOST = 100


@ROUTER.get("")
async def glance(
    request: Request,
    site: TheSite,
    who: Who,
    q: Annotated[str, Query(max_length=64)] = "",
    region: Annotated[str, Query(max_length=12)] = "",
) -> Response:
    """All places. Whoever is for one only comes to it at once."""
    mine = sorted(who.places or ())
    if len(mine) == 1:
        return to(f"/live/{mine[0]}")
    found = await api.list_places(site, who, q.strip(), region.strip())
    tops = await occupancy_api.tops(site, who)
    return page(
        request,
        "live.html",
        signed=who,
        found=found,
        tops=tops,
        q=q,
        region=region,
        **await live_values(request, site, who),
    )


@ROUTER.get("/{place}")
async def wall(
    request: Request, site: TheSite, who: Who, place: str, *, names: Annotated[bool, Query()] = False
) -> Response:
    """One place."""
    return await _wall(request, site, who, place, names=names, error=None)


@ROUTER.post("/{place}/settings")
async def set_place(request: Request, site: TheSite, who: Setter, place: str) -> Response:
    """Limit, day and escalation."""
    form = await form_of(request)
    wanted = {name: form.get(name, "").strip() or None for name in ("limit", "day_begins_h", "escalate_min")}

    async def act() -> Response:
        await api.set_place(site, who, place, shape(api.SettingsOut, wanted))
        return to(f"/live/{place}")

    values = await _values(request, site, who, place, names=False)

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        return page(request, "live_place.html", signed=who, status=status, error=error, **values)

    return await attempt(act, again)


async def _wall(
    request: Request, site: Site, who: Signed, place: str, *, names: bool, error: Exception | None
) -> Response:
    values = await _values(request, site, who, place, names=names)
    return page(request, "live_place.html", signed=who, error=error, **values)


async def _values(request: Request, site: Site, who: Signed, place: str, *, names: bool) -> dict[str, Any]:
    found = await api.one_place(site, who, place, names=names)
    language = language_of(request)
    most = max((hour.entries for hour in found.hours), default=0)
    return {
        "found": found,
        "names": names,
        "may_names": who.may(Permission.REGISTER) and who.sees(place),
        "may_set": who.may(Permission.PLACES_WRITE) and who.sees(place),
        "bars": [(hour, round(_BAR_MOST * hour.entries / most) if most else 0) for hour in found.hours],
        "peak": max(found.hours, key=lambda hour: hour.entries) if most else None,
        "guide": [
            (colour.wire_name, [step.into(language) for step in AT_THE_GATE[colour]])
            for colour in (Colour.RED, Colour.YELLOW, Colour.NOTICE, Colour.GREY)
        ],
        **await live_values(request, site, who, place),
    }


async def live_values(request: Request, site: Site, who: Signed, place: str = "") -> dict[str, Any]:
    """What every page with alerts shows."""
    language = language_of(request)
    say = site.words.of(language)
    alerts = await api.open_alerts(site, who, place)
    return {
        "open_alerts": alerts,
        "alerts_json": alerts_text(alerts, await site.feed.registry()),
        "words": {
            "colours": {str(int(colour)): [colour.wire_name, say(colour.wire_name)] for colour in Colour},
            "directions": [say("in"), say("out")],
            "kinds": {kind: said.into(language) for kind, said in TITLES.items()},
            "levels": {str(int(level)): say(LEVELS[level]) for level in Level},
            "loads": [say("within the limit"), say("near the limit"), say("over the limit")],
            "late": say("sent later"),
            "more": say("more"),
            "none": say("No open alerts."),
            "locale": "zh-CN" if language == "zh" else "en-GB",
            "timezone": site.timezone,
        },
    }


LEVELS = {
    Level.COMMUNITY: "community or village",
    Level.REGULATOR: "trade's regulator",
    Level.HEADQUARTERS: "county headquarters",
}
"""As the pages say them."""
