"""The open API, described for those who write programs against it."""

from itertools import groupby
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from hub.console.accounts.roles import PERMISSIONS, Permission
from hub.console.api.reference import described
from hub.console.api.shapes import REFUSALS, Refused
from hub.console.web.asking import Needs, Signed
from hub.console.web.functions import functions
from hub.console.web.pace import ACCOUNT_BURST, ACCOUNT_PER_S
from hub.console.web.render import page

ROUTER = APIRouter()

Who = Annotated[Signed, Depends(Needs(Permission.SIGNED_IN))]

_ROLES: Final = {
    permission.value: [role.value for role, has in PERMISSIONS.items() if permission in has]
    for permission in Permission
}


@ROUTER.get("/api")
async def reference(request: Request, who: Who) -> Response:
    """The page."""
    all_of_them = list(functions(described(request.app)))
    return page(
        request,
        "reference.html",
        signed=who,
        groups=[(title, list(each)) for title, each in groupby(all_of_them, key=lambda one: one.group)],
        roles=_ROLES,
        refusals={status: each["description"] for status, each in REFUSALS.items()},
        refused=list(Refused.model_fields),
        pace=f"An account may ask {ACCOUNT_BURST} times at once, and then {int(ACCOUNT_PER_S)} times a second.",
    )
