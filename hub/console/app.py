"""Site -> the ASGI application: routes, and what a refusal looks like to people and to programs.

The way of a request: `web/headers.py` (limits, headers) -> `web/asking.py` (who, and may they) -> `api/` (does it, and
answers programs) or `pages/` (calls the same functions, and answers people).
"""

from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from hub.console import api, pages
from hub.console.errors import ConflictError, ConsoleError, InvalidError, NotFoundError, NotSignedInError, TooManyError
from hub.console.site import Site
from hub.console.web.asking import Of, as_json, signed_in
from hub.console.web.headers import Headers, Limits
from hub.console.web.pace import Paced
from hub.console.web.render import page
from hub.console.web.routes import API
from hub.registry.checks import RegistryError
from hub.store.errors import RegistryConflictError, StoreError

_API: Final = "/api/"
_VERSION: Final = "1"


def console_app(site: Site) -> Headers:
    """The console of a site."""
    return Headers(Paced(Limits(Of(site, routes())), pace=site.pace), https=site.https)


@cache
def routes() -> FastAPI:
    """Every route. No route is of one site alone, and making them all takes seconds: one for the process."""
    app = FastAPI(
        title="Gatelight",
        version=_VERSION,
        summary="The open API of a Gatelight hub.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    for router in api.ROUTERS:
        app.include_router(router, prefix=API)
    for router in pages.ROUTERS:
        app.include_router(router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=str(files("hub.console") / "static")), name="static")
    app.add_exception_handler(ConsoleError, _refused)
    app.add_exception_handler(RegistryError, _refused)
    app.add_exception_handler(StoreError, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    told = _told(error)
    headers = {"retry-after": str(told.wait_s)} if isinstance(told, TooManyError) else {}
    if request.url.path.startswith(_API):
        return JSONResponse(as_json(told), status_code=told.status, headers=headers)
    if isinstance(told, NotSignedInError):
        return RedirectResponse(f"/sign-in?next={request.url.path}", status_code=303)
    signed = None if isinstance(told, NotSignedInError) or told.reason == "cross_site" else await signed_in(request)
    return page(request, "refused.html", signed=signed, status=told.status, headers=headers, told=told)


def _told(error: Exception) -> ConsoleError:
    """What any of the hub's errors is to whoever asked."""
    match error:
        case ConsoleError():
            return error
        case RequestValidationError():
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:])
            return InvalidError("malformed", str(first["msg"]), where=where)
        case RegistryConflictError():
            return ConflictError("conflict", str(error))
        case RegistryError():
            return InvalidError("malformed", str(error))
        case HTTPException() if error.status_code == NotFoundError.status:
            return NotFoundError()
        case HTTPException() if error.status_code == ConsoleError.status:
            return InvalidError("malformed", "The request cannot be read.")
        case HTTPException():
            told = ConsoleError("bad_request", str(error.detail))
            told.status = error.status_code
            return told
        case _:
            told = ConsoleError("unavailable", "The hub cannot do this now. Try again.")
            told.status = 503
            return told
