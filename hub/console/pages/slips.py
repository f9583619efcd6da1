"""Slips: a number is typed, and the evidence behind it is shown on one page to print, in both languages."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import slips as api
from hub.console.errors import InvalidError, NotFoundError, TooManyError
from hub.console.register.wording import COLOUR_NAMES, DIRECTION_NAMES, VERDICT_NAMES
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from protocol.reasons import SENTENCES, Reason

ROUTER = APIRouter(prefix="/slips")

Who = Annotated[Signed, Depends(Needs(Permission.SLIPS))]
_SENTENCES = {reason.wire_name: sentences for reason, sentences in SENTENCES.items()}


@ROUTER.get("")
async def slips(
    request: Request, site: TheSite, who: Who, number: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """The form; with a number, what is behind it."""
    values: dict[str, Any] = {
        "number": number,
        "found": [],
        "error": None,
        "zh": site.words.of("zh"),
        "colours": COLOUR_NAMES,
        "verdicts": VERDICT_NAMES,
        "directions": DIRECTION_NAMES,
        "sentences": _SENTENCES,
        "ok": Reason.OK.wire_name,
    }
    if not number.strip():
        return page(request, "slips.html", signed=who, **values)
    try:
        found = await api.find(site, who, number.strip()[:16])
    except (InvalidError, NotFoundError, TooManyError) as error:
        headers = {"retry-after": str(error.wait_s)} if isinstance(error, TooManyError) else {}
        return page(
            request, "slips.html", signed=who, status=error.status, headers=headers, **(values | {"error": error})
        )
    return page(request, "slips.html", signed=who, **(values | {"found": found}))
