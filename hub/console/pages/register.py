"""Registers: rows of a place and time, their summary, and their deletion."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import register as api
from hub.console.api import summary as counts
from hub.console.errors import ConsoleError, InvalidError, NotFoundError
from hub.console.pages.forms import attempt, form_of, shape, to
from hub.console.pages.when import DAY_FORM, MINUTE_FORM, local, typed_day_ms, typed_ms
from hub.console.register.chart import chart_of
from hub.console.register.wording import COLOUR_NAMES, DIRECTION_NAMES, REASON_NAMES, VERDICT_NAMES
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import language_of, page

ROUTER = APIRouter(prefix="/register")

Reader = Annotated[Signed, Depends(Needs(Permission.REGISTER))]
Taker = Annotated[Signed, Depends(Needs(Permission.REGISTER_TAKE))]
Text = Annotated[str, Query(max_length=64)]
_FILTERS: Final = ("gate", "direction", "colour", "verdict", "reason", "slip")
_PLAIN_REASONS: Final = frozenset({"ok", "colour_yellow", "colour_red", "notice"})
"""The colour has said it."""
_SHOWN: Final = 200
"""Places listed at once; of more, people type what they look for."""
_ROWS: Final = 50


@ROUTER.get("")
async def places(request: Request, site: TheSite, who: Reader, q: Text = "") -> Response:
    """Whose register to look at; whoever has one place is there at once."""
    seen = [place for place in await site.store.places() if who.sees(place.place_id)]
    if len(seen) == 1:
        return to(f"/register/{seen[0].place_id}")
    found = [place for place in seen if q.lower() in f"{place.place_id} {place.name}".lower()]
    return page(request, "registers.html", signed=who, places=found[:_SHOWN], more=len(found) > _SHOWN, q=q)


@ROUTER.get("/{place}")
async def rows(
    request: Request,
    site: TheSite,
    who: Reader,
    place: str,
    gate: Text = "",
    direction: Text = "",
    colour: Text = "",
    verdict: Text = "",
    reason: Text = "",
    slip: Text = "",
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    begin: Annotated[str, Query(alias="from", max_length=64)] = "",
    end: Annotated[str, Query(alias="to", max_length=64)] = "",
) -> Response:
    """A page of rows, the last to arrive first; today's, unless another time is asked for."""
    form = dict(
        zip(("from", "to", *_FILTERS), (begin, end, gate, direction, colour, verdict, reason, slip), strict=True)
    )
    values = await _values(site, who, place)
    form |= {key: text for key, text in _today(site).items() if not form[key]}
    try:
        asked = _asked(form, site)
        found = await api.read(
            site, who, place, shape(api.PageAsked, asked | {"limit": _ROWS} | ({"before": before} if before else {}))
        )
    except InvalidError as error:
        values |= {"form": form, "error": error, "found": None, "exports": "", "older": ""}
        return page(request, "register.html", signed=who, status=error.status, **values)
    exports = urlencode(asked | {"language": language_of(request)})
    older = urlencode({key: text for key, text in form.items() if text} | {"before": found.next})
    values |= {"form": form, "error": None, "found": found, "exports": exports, "older": older}
    return page(request, "register.html", signed=who, **values)


@ROUTER.get("/{place}/summary")
async def summary(
    request: Request,
    site: TheSite,
    who: Reader,
    place: str,
    begin: Annotated[str, Query(alias="from", max_length=64)] = "",
    end: Annotated[str, Query(alias="to", max_length=64)] = "",
    step: Text = "hour",
) -> Response:
    """Charts and tables of counts; today's by hour, unless others are asked for. The last day is of it."""
    today = local(site.now_ms(), ZoneInfo(site.timezone)).strftime(DAY_FORM)
    form = {"from": begin or today, "to": end or today, "step": step}
    values = await _values(site, who, place) | {"form": form, "error": None, "found": None}
    zone = ZoneInfo(site.timezone)
    try:
        asked = {
            "from_ms": typed_day_ms(form["from"], zone, where="from_ms"),
            "to_ms": typed_day_ms(form["to"], zone, where="to_ms", days_later=1),
            "step": step,
        }
        found = await counts.summary(site, who, place, shape(counts.SummaryAsked, asked))
    except InvalidError as error:
        return page(request, "register_summary.html", signed=who, status=error.status, **(values | {"error": error}))
    # What has not come yet is no zero.
    steps = [one for one in found.steps if one.at_ms <= site.now_ms()]
    label = "%m-%d" if found.step == "day" else "%H:%M"
    chart = chart_of([(local(one.at_ms, zone).strftime(label), one.counted.colours) for one in steps])
    values |= {"found": found, "steps": steps, "chart": chart, "query": urlencode(asked)}
    return page(request, "register_summary.html", signed=who, **values)


@ROUTER.get("/{place}/delete")
async def ask_delete(request: Request, site: TheSite, who: Taker, place: str) -> Response:
    """The form, and what was deleted before."""
    values = await _deletions(site, who, place)
    return page(request, "register_delete.html", signed=who, form=_today(site), error=None, **values)


@ROUTER.post("/{place}/delete")
async def delete(request: Request, site: TheSite, who: Taker, place: str) -> Response:
    """Have it deleted."""
    form = await form_of(request)
    values = await _deletions(site, who, place)

    async def act() -> Response:
        zone = ZoneInfo(site.timezone)
        body = {
            "from_ms": typed_ms(form.get("from", ""), zone, where="from_ms"),
            "to_ms": typed_ms(form.get("to", ""), zone, where="to_ms"),
            "confirm": form.get("confirm", ""),
            "why": form.get("why", ""),
        }
        await api.delete(site, who, place, shape(api.DeletionIn, body))
        return to(f"/register/{place}/delete")

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        return page(request, "register_delete.html", signed=who, status=status, form=form, error=error, **values)

    return await attempt(act, again)


def _asked(form: Mapping[str, str], site: Site) -> dict[str, Any]:
    """The form's filter as the API takes it; what is empty is not filtered by. Raises InvalidError."""
    zone = ZoneInfo(site.timezone)
    asked: dict[str, Any] = {
        "from_ms": typed_ms(form["from"], zone, where="from_ms"),
        "to_ms": typed_ms(form["to"], zone, where="to_ms"),
    }
    return asked | {key: form[key].strip() for key in _FILTERS if form[key].strip()}


def _today(site: Site) -> dict[str, str]:
    today = local(site.now_ms(), ZoneInfo(site.timezone)).replace(hour=0, minute=0)
    return {"from": today.strftime(MINUTE_FORM), "to": (today + timedelta(days=1)).strftime(MINUTE_FORM)}


async def _values(site: Site, who: Signed, place: str) -> dict[str, Any]:
    who.must_see(place)
    known = {each.place_id: each.name for each in await site.store.places()}
    if place not in known:
        raise NotFoundError
    return {
        "place": place,
        "name": known[place],
        "gates": [gate for gate in await site.store.gates() if gate.place_id == place],
        "colours": COLOUR_NAMES,
        "verdicts": VERDICT_NAMES,
        "directions": DIRECTION_NAMES,
        "reasons": REASON_NAMES,
        "plain_reasons": _PLAIN_REASONS,
        "takes": who.may(Permission.REGISTER_TAKE),
    }


async def _deletions(site: Site, who: Signed, place: str) -> dict[str, Any]:
    return await _values(site, who, place) | {"deletions": await api.deletions(site, who, place)}
