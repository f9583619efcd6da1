"""The audit log, newest first."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import audit as api
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page

ROUTER = APIRouter(prefix="/audit")

Who = Annotated[Signed, Depends(Needs(Permission.AUDIT))]


@ROUTER.get("")
async def audit(
    request: Request,
    site: TheSite,
    who: Who,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    action: Annotated[str, Query(max_length=64)] = "",
    by: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """A page of it."""
    found = await api.list_entries(site, who, before=before, action=action.strip(), by=by.strip())
    return page(request, "audit.html", signed=who, found=found, action=action, by=by, verified=None)


@ROUTER.post("/verify")
async def verify(request: Request, site: TheSite, who: Who) -> Response:
    """Compute every hash anew, and say whether all fit."""
    verified = await api.verify(site, who)
    found = await api.list_entries(site, who)
    return page(request, "audit.html", signed=who, found=found, action="", by="", verified=verified)
