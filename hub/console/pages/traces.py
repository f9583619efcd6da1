"""What the platform has asked about the past, newest first."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import traces as api
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from hub.store.trace_ports import TraceState

ROUTER = APIRouter(prefix="/traces")

Who = Annotated[Signed, Depends(Needs(Permission.AUDIT))]

STATES: Final = {
    TraceState.ANSWERING: ("warn", "Being answered"),
    TraceState.ANSWERED: ("good", "Answered"),
    TraceState.ENDED: ("warn", "Ended early"),
    TraceState.REFUSING: ("bad", "Refused"),
    TraceState.REFUSED: ("bad", "Refused"),
}
REASONS: Final = {
    "unknown_key": "Nobody whom this hub knows has signed it.",
    "bad_signature": "Its signature does not fit.",
    "malformed": "It cannot be read, is for another hub, or its window is too long.",
    "limit": "It cannot be read, is for another hub, or its window is too long.",
    "unsupported": "It cannot be read, is for another hub, or its window is too long.",
    "key_use": "Its key may not ask for traces, or not at that time.",
    "expired": "Its time was over.",
    "other_content": "Another query had its number.",
    "not_here": "Its place or gate is not registered here.",
    "not_taken": "The platform wanted no more of the answer.",
}


@ROUTER.get("")
async def traces(
    request: Request, site: TheSite, who: Who, before: Annotated[int | None, Query(ge=1, lt=2**63)] = None
) -> Response:
    """A page of them."""
    found = await api.list_traces(site, who, before=before)
    names = {place.place_id: place.name for place in await site.store.places()}
    return page(request, "traces.html", signed=who, found=found, names=names, states=STATES, reasons=REASONS)
