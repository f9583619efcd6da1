"""What this API can do, as OpenAPI, with the permission that each function needs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS
from hub.console.web.asking import Needs, Signed
from hub.console.web.routes import every_route

ROUTER = APIRouter(tags=["Reference"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.SIGNED_IN))]


@ROUTER.get("/openapi.json", response_class=JSONResponse)
async def openapi(request: Request, who: Who) -> dict[str, Any]:
    """This description of all functions (OpenAPI 3.1)."""
    return described(request.app)


def described(app: FastAPI) -> dict[str, Any]:
    """Its OpenAPI. `x-permission` is what a function needs; roles have them as `accounts/roles.py` says."""
    if app.openapi_schema is None:
        told = get_openapi(
            title=app.title, version=app.version, summary=app.summary, openapi_version="3.1.0", routes=app.routes
        )
        for route in every_route(app):
            if route.path in told["paths"] and route.permission is not None:
                function = told["paths"][route.path][route.method.lower()]
                function["x-permission"] = route.permission.value
                function["summary"] = " ".join(function["description"].split()).partition(". ")[0].removesuffix(".")
        app.openapi_schema = told
    return app.openapi_schema
