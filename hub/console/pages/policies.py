"""Policies: the table of places, and the page of one: rules as a form, what they would do, publish, take back."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import policies as api
from hub.console.errors import ConsoleError
from hub.console.pages.forms import attempt, form_of, shape, to
from hub.console.pages.when import local
from hub.console.register.wording import CASES, COLOUR_NAMES, DEEDS, HOLDINGS, REASON_NAMES
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from hub.trust.rules import KEYS

ROUTER = APIRouter(prefix="/policies")

Reader = Annotated[Signed, Depends(Needs(Permission.POLICIES_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.POLICIES_WRITE))]
_OFF: Final = "off"
_CC: Final = 100


@dataclass(frozen=True, kw_only=True)
class RuleField:
    """How a rule is asked for. `options` are (value, words); without any it is typed, in `unit`."""

    key: str
    label: str
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    low: str = ""
    high: str = ""
    step: str = "1"
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One line of the table as people read it: codes for which a gate does the same stand together."""

    case: str
    holdings: tuple[str, ...]
    decision: api.DecisionOut
    was: api.DecisionOut | None


_YES_NO: Final = (("yes", "yes"), ("no", "no"))
_ADMIT_HOLD: Final = (("admit", "Let pass"), ("hold", "Hold for an attendant"))

GROUPS: Final[dict[str, tuple[RuleField, ...]]] = {
    "Who may pass": (
        RuleField(key="enabled", label="Gates are in service", hint="Otherwise grey for everybody.", options=_YES_NO),
        RuleField(key="green", label="Green", options=_ADMIT_HOLD),
        RuleField(
            key="notice",
            label="Notice",
            hint="Something to settle, such as a journey to a region at risk.",
            options=_ADMIT_HOLD,
        ),
        RuleField(
            key="yellow",
            label="Yellow",
            hint="Red is refused, whatever is set here.",
            options=(("hold", "Hold for an attendant"), ("refuse", "Refuse")),
        ),
        RuleField(
            key="temperature_max_cc",
            label="Hold from this temperature on",
            hint="30 to 45. Leave empty where nobody's temperature is taken.",
            low="30",
            high="45",
            step="0.01",
            unit="°C",
        ),
    ),
    "Personal data": (
        RuleField(
            key="keep_masked",
            label="Register shows masked names",
            hint="Surname, first and last two digits. Otherwise it shows counts only.",
            options=_YES_NO,
        ),
    ),
    "Time": (
        RuleField(
            key="leeway_s",
            label="Phones' clocks may differ by",
            hint="0 to 300.",
            low="0",
            high="300",
            unit="seconds",
        ),
        RuleField(
            key="reuse_s",
            label="A card counts as used for",
            hint="1 to 86400: one card, one person.",
            low="1",
            high="86400",
            unit="seconds",
        ),
        RuleField(
            key="stale_s",
            label="Status lists may be this old",
            hint="60 to 604800. Older ones make gates show grey.",
            low="60",
            high="604800",
            unit="seconds",
        ),
        RuleField(
            key="light_ms", label="Lights stay on for", hint="1 to 60000.", low="1", high="60000", unit="milliseconds"
        ),
        RuleField(
            key="open_ms", label="Gate stays open for", hint="1 to 60000.", low="1", high="60000", unit="milliseconds"
        ),
    ),
    "Looking up online": (
        RuleField(
            key="resolve_prefixes",
            label="Codes that begin so are looked up",
            hint="With commas between. Leave empty for none.",
        ),
        RuleField(key="resolve_cards", label="Identity numbers are looked up", options=_YES_NO),
        RuleField(
            key="resolve_cache_s",
            label="An answer is kept for",
            hint="0 to 3600.",
            low="0",
            high="3600",
            unit="seconds",
        ),
    ),
}
"""All rules but quiet hours, which are two times."""

LABELS: Final = {field.key: field.label for fields in GROUPS.values() for field in fields} | {"quiet": "Quiet hours"}


@ROUTER.get("")
async def policies(request: Request, site: TheSite, who: Reader) -> Response:
    """Every place with the version in force."""
    names = {place.place_id: place.name for place in await site.store.places()}
    found = await api.list_policies(site, who)
    return page(request, "policies.html", signed=who, policies=found, names=names)


@ROUTER.get("/{place}")
async def policy(request: Request, site: TheSite, who: Reader, place: str) -> Response:
    """The rules in force, what they do, and how they came to be."""
    return await _page(request, site, who, place)


@ROUTER.post("/{place}/preview")
async def preview(request: Request, site: TheSite, who: Writer, place: str) -> Response:
    """What the form's rules would change, before anybody publishes them."""
    form = await form_of(request)
    # Made before it is known whether it is needed: what is wrong in a form is told on its own page.
    wrong = await _values(site, who, place)

    async def act() -> Response:
        looked = await api.preview(site, who, place, shape(api.PreviewIn, {"rules": _rules(form, site, wrong)}))
        return await _page(request, site, who, place, form=form, looked=looked)

    return await attempt(act, lambda error: _again(request, who, wrong, form, error))


@ROUTER.post("/{place}")
async def publish(request: Request, site: TheSite, who: Writer, place: str) -> Response:
    """Publish the form's rules."""
    form = await form_of(request)
    wrong = await _values(site, who, place)

    async def act() -> Response:
        body = {
            "rules": _rules(form, site, wrong),
            "expected_version": form.get("expected_version", ""),
            "note": form.get("note", ""),
        }
        await api.publish(site, who, place, shape(api.PolicyIn, body))
        return to(f"/policies/{place}")

    return await attempt(act, lambda error: _again(request, who, wrong, form, error))


@ROUTER.post("/{place}/revert")
async def revert(request: Request, site: TheSite, who: Writer, place: str) -> Response:
    """Publish the rules of an older version as a new one."""
    form = await form_of(request)
    wrong = await _values(site, who, place)

    async def act() -> Response:
        body = {key: form.get(key, "") for key in ("to_version", "expected_version", "note")}
        await api.revert(site, who, place, shape(api.RevertIn, body))
        return to(f"/policies/{place}")

    return await attempt(act, lambda error: _again(request, who, wrong, {}, error))


def _rules(form: dict[str, str], site: Site, known: dict[str, Any]) -> dict[str, str]:
    """The form's rules, as they are typed everywhere else. What the form does not have stays as it is."""
    rules = {key: form[key].strip() or _OFF for key in LABELS if key in form and key != "quiet"}
    degrees = rules.get("temperature_max_cc", _OFF)
    if degrees != _OFF:
        rules["temperature_max_cc"] = _centidegrees(degrees)
    if "quiet_from" in form:
        rules["quiet"] = _quiet(form, site, before=known["found"].rules["quiet"])
    return rules


def _centidegrees(text: str) -> str:
    """`37.3` -> `3730`; what is no number stays what it is, and is refused with its name."""
    try:
        value = float(text) * _CC
    except ValueError:
        return text
    return str(round(value)) if abs(value) < _CC * _CC else text


def _quiet(form: dict[str, str], site: Site, *, before: str) -> str:
    """Two times -> `22:00-06:00+08:00`, by the site's distance from UTC now, unless the times are what they were."""
    begin, end = form.get("quiet_from", "").strip(), form.get("quiet_to", "").strip()
    if not begin and not end:
        return _OFF
    if before.startswith(f"{begin}-{end}"):
        return before
    offset = local(site.now_ms(), ZoneInfo(site.timezone)).strftime("%z")
    return f"{begin}-{end}{offset[:3]}:{offset[3:5]}"


def _typed(rules: dict[str, str]) -> dict[str, str]:
    """Rules -> the form's fields."""
    typed = {key: "" if text == _OFF else text for key, text in rules.items()}
    if typed["temperature_max_cc"]:
        typed["temperature_max_cc"] = f"{int(typed['temperature_max_cc']) / _CC:g}"
    quiet = typed.pop("quiet")
    return typed | {"quiet_from": quiet[:5], "quiet_to": quiet[6:11]}


def told(table: list[api.LineOut], *, before: list[api.LineOut] | None = None) -> list[Told]:
    """The table's lines; with what each was before, where it was there. Pure."""
    old = {(line.case, holding): decision for line in before or () for holding, decision in line.decisions.items()}
    lines: list[Told] = []
    for line in table:
        groups: dict[tuple[api.DecisionOut, api.DecisionOut | None], list[str]] = {}
        for holding, decision in line.decisions.items():
            groups.setdefault((decision, old.get((line.case, holding))), []).append(holding)
        lines += [
            Told(case=line.case, holdings=tuple(holdings), decision=decision, was=was)
            for (decision, was), holdings in groups.items()
        ]
    return lines


async def _values(site: Site, who: Signed, place: str) -> dict[str, Any]:
    found = await api.one_policy(site, who, place)
    return {
        "place": place,
        "name": next(known.name for known in await site.store.places() if known.place_id == place),
        "found": found,
        "table": told((await api.table(site, who, place)).table),
        "versions": await api.versions(site, who, place),
        "groups": GROUPS,
        "labels": LABELS,
        "keys": KEYS,
        "cases": CASES,
        "holdings": HOLDINGS,
        "colours": COLOUR_NAMES,
        "deeds": DEEDS,
        "reasons": REASON_NAMES,
        "writes": who.may(Permission.POLICIES_WRITE),
    }


async def _page(
    request: Request,
    site: Site,
    who: Signed,
    place: str,
    *,
    form: dict[str, str] | None = None,
    looked: api.PreviewOut | None = None,
) -> Response:
    values = await _values(site, who, place)
    typed = _typed(values["found"].rules) | (form or {})
    after = told(looked.table, before=(await api.table(site, who, place)).table) if looked else []
    return page(request, "policy.html", signed=who, error=None, form=typed, looked=looked, after=after, **values)


def _again(request: Request, who: Signed, values: dict[str, Any], form: dict[str, str], error: Exception) -> Response:
    typed = _typed(values["found"].rules) | form
    status = error.status if isinstance(error, ConsoleError) else 400
    return page(
        request, "policy.html", signed=who, status=status, error=error, form=typed, looked=None, after=[], **values
    )
