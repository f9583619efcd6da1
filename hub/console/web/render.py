"""Templates: a page in the reader's language, with what every page shows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from hub.console.accounts.roles import Permission
from hub.console.web.asking import Signed, site_of
from hub.console.web.words import LANGUAGES, wanted

LANGUAGE_COOKIE: Final = "language"

MENU: Final = (
    ("/live", "Live", Permission.LIVE),
    ("/alerts", "Alerts", Permission.ALERTS),
    ("/desk", "Desk", Permission.DESK),
    ("/places", "Places", Permission.PLACES_READ),
    ("/scanners", "Scanners", Permission.FLEET_READ),
    ("/firmware", "Firmware", Permission.FLEET_READ),
    ("/policies", "Policies", Permission.POLICIES_READ),
    ("/register", "Register", Permission.REGISTER),
    ("/slips", "Slips", Permission.SLIPS),
    ("/accounts", "Accounts", Permission.ACCOUNTS),
    ("/audit", "Audit log", Permission.AUDIT),
    ("/traces", "Traces", Permission.AUDIT),
)


_ALSO: Final = {"/places": "/place-applications"}
"""Pages that belong to a menu's entry without lying under its path."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hub.console", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    return environment


def language_of(request: Request) -> str:
    """The reader's language."""
    return wanted(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))


def page(
    request: Request,
    template: str,
    *,
    signed: Signed | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A whole page, or a part of one, as `template` says."""
    site, language = site_of(request), language_of(request)
    say = site.words.of(language)
    zone = ZoneInfo(site.timezone)

    def moment(at_ms: int | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
        return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).strftime(form)

    path = request.url.path
    menu = [(to, say(title), _is_at(path, to)) for to, title, needs in MENU if signed is not None and signed.may(needs)]
    text = (
        _environment()
        .get_template(template)
        .render(
            site=site,
            signed=signed,
            language=language,
            languages=LANGUAGES,
            menu=menu,
            path=path,
            moment=moment,
            permission=Permission,
            _=say,
            gettext=say,
            **values,
        )
    )
    return HTMLResponse(text, status_code=status, headers=dict(headers or {}) | {"content-language": language})


def _is_at(path: str, entry: str) -> bool:
    return any(path == at or path.startswith(f"{at}/") for at in (entry, _ALSO.get(entry, entry)))
