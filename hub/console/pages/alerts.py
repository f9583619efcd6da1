"""Alerts: open ones, what became of the others, one of them, and who is told."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import alerts as api
from hub.console.api.alerts import AlertId, State
from hub.console.errors import ConsoleError
from hub.console.live.wall import where_of
from hub.console.pages.forms import attempt, form_of, shape, to
from hub.console.pages.live import LEVELS, live_values
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import language_of, page
from hub.deliver.guidance import TITLES, steps_of
from hub.store.live_ports import Level

ROUTER = APIRouter(prefix="/alerts")

Who = Annotated[Signed, Depends(Needs(Permission.ALERTS))]
Setter = Annotated[Signed, Depends(Needs(Permission.ALERTS_WRITE))]


@ROUTER.get("")
async def alerts(
    request: Request,
    site: TheSite,
    who: Who,
    state: State = "open",
    kind: Annotated[str, Query(max_length=32)] = "",
    place: Annotated[str, Query(max_length=32)] = "",
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    """Open ones first; all of them by the filter."""
    found = await api.list_alerts(site, who, state, kind, place.strip(), before=before)
    registry = await site.feed.registry()
    return page(
        request,
        "alerts.html",
        signed=who,
        found=found,
        state=state,
        kind=kind,
        place=place,
        kinds={name: said.into(language_of(request)) for name, said in TITLES.items()},
        levels={int(level): name for level, name in LEVELS.items()},
        gates=registry.gates,
        places=registry.places,
        **await live_values(request, site, who),
    )


@ROUTER.get("/channels")
async def channels(request: Request, site: TheSite, who: Setter) -> Response:
    """Who is told, and a new one."""
    return page(
        request, "alert_channels.html", signed=who, form={}, error=None, done=None, **await _channels(site, who)
    )


@ROUTER.post("/channels")
async def add_channel(request: Request, site: TheSite, who: Setter) -> Response:
    """A new one."""
    form = await form_of(request)
    values = await _channels(site, who)

    async def act() -> Response:
        await api.add_channel(site, who, shape(api.ChannelIn, _wanted(form)))
        return to("/alerts/channels")

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        kept = {name: value for name, value in form.items() if name != "url"}
        return page(
            request, "alert_channels.html", signed=who, status=status, form=kept, error=error, done=None, **values
        )

    return await attempt(act, again)


@ROUTER.post("/channels/{channel}")
async def change_channel(request: Request, site: TheSite, who: Setter, channel: AlertId) -> Response:
    """On, off, tried or removed: what its row has buttons for."""
    form = await form_of(request)
    values = await _channels(site, who)
    known = {each.id: each for each in values["channels"]}.get(channel)

    async def act() -> Response:
        done = None
        match form.get("do"):
            case "test":
                await api.test_channel(site, who, channel)
                done = channel
            case "remove":
                await api.remove_channel(site, who, channel)
            case "on" | "off" as wanted if known is not None:
                content = known.model_dump(exclude={"id", "shown", "changed_ms"}) | {"enabled": wanted == "on"}
                await api.change_channel(site, who, channel, shape(api.ChannelIn, content))
        if done is None:
            return to("/alerts/channels")
        return page(request, "alert_channels.html", signed=who, form={}, error=None, done=done, **values)

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        return page(
            request, "alert_channels.html", signed=who, status=status, form={}, error=error, done=None, **values
        )

    return await attempt(act, again)


@ROUTER.get("/{alert}")
async def alert(request: Request, site: TheSite, who: Who, alert: AlertId) -> Response:
    """One, with what to do and everything that happened."""
    return page(request, "alert.html", signed=who, error=None, form={}, **await _one(request, site, who, alert))


@ROUTER.post("/{alert}/acknowledge")
async def acknowledge(request: Request, site: TheSite, who: Who, alert: AlertId) -> Response:
    """Somebody has looked after it."""
    form = await form_of(request)

    async def act() -> Response:
        await api.acknowledge(site, who, alert, shape(api.Acknowledgement, {"done": form.get("done", "")}))
        return to(f"/alerts/{alert}")

    return await attempt(act, await _again(request, site, who, alert, form))


@ROUTER.post("/{alert}/escalate")
async def escalate(request: Request, site: TheSite, who: Who, alert: AlertId) -> Response:
    """One level up."""
    form = await form_of(request)

    async def act() -> Response:
        await api.escalate(site, who, alert, shape(api.Escalation, {"note": form.get("note", "")}))
        return to(f"/alerts/{alert}")

    return await attempt(act, await _again(request, site, who, alert, form))


async def _again(request: Request, site: Site, who: Signed, alert: int, form: dict[str, str]) -> Any:
    values = await _one(request, site, who, alert)

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        return page(request, "alert.html", signed=who, status=status, error=error, form=form, **values)

    return again


async def _one(request: Request, site: Site, who: Signed, alert: int) -> dict[str, Any]:
    whole = await api.one_alert(site, who, alert)
    registry = await site.feed.registry()
    language = language_of(request)
    found = await site.store.find_alert(alert)
    return {
        "whole": whole,
        "title": TITLES[whole.alert.kind].into(language),
        "steps": steps_of(whole.alert.kind, language),
        "where": where_of(found, registry) if found else "",
        "levels": {int(level): name for level, name in LEVELS.items()},
        "top": int(max(Level)),
        "told": bool(whole.deliveries),
    }


async def _channels(site: Site, who: Signed) -> dict[str, Any]:
    return {
        "channels": await api.list_channels(site, who),
        "levels": {int(level): name for level, name in LEVELS.items()},
        "places": await site.store.places(),
    }


def _wanted(form: dict[str, str]) -> dict[str, Any]:
    """The form of a channel -> the body of the API. A box that is not ticked is not sent."""
    level = form.get("level", "1")
    return {
        "name": form.get("name", ""),
        "level": int(level) if level.isdecimal() else 0,
        "place": form.get("place", ""),
        "region": form.get("region", "").strip(),
        "reds": "reds" in form,
        "troubles": "troubles" in form,
        "language": form.get("language", "zh"),
        "url": form.get("url", "").strip() or None,
    }
