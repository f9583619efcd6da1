"""Applying for a place code: the form, and what became of it."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import applications as api
from hub.console.api import places as places_api
from hub.console.api.place_shapes import PlaceOut
from hub.console.errors import ConsoleError, FieldsError
from hub.console.pages.forms import attempt, form_of, shape, to
from hub.console.pages.place_titles import CERTIFICATES, FIELDS, KINDS
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import language_of, page
from hub.registry.applications import COMMITMENT
from hub.store.place_ports import ApplicationState

ROUTER = APIRouter(prefix="/place-applications")

Reader = Annotated[Signed, Depends(Needs(Permission.PLACES_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.PLACES_WRITE))]


@ROUTER.get("/new")
async def new(
    request: Request, site: TheSite, who: Writer, place: Annotated[str, Query(max_length=32)] = ""
) -> Response:
    """The empty form."""
    return await _form(request, site, who, form={"place": place}, error=None)


@ROUTER.post("/new")
async def apply(request: Request, site: TheSite, who: Writer) -> Response:
    """Send it. What is wrong comes back at its field, with everything as it was typed."""
    form = await form_of(request)
    fields = {name: form.get(name, "") for name in (*FIELDS, "id")}
    # The form needs the places of now; `attempt` calls back without waiting.
    known = await _places(site, who)

    def again(error: Exception) -> Response:
        return _page(request, who, known, form=form, error=error)

    async def act() -> Response:
        made = await api.apply(site, who, shape(api.NewApplication, fields | {"language": language_of(request)}))
        if made.state is ApplicationState.REFUSED:
            # What was refused has its answer: what is corrected is another application.
            corrected = form | {"id": secrets.token_hex(16)}
            error = FieldsError({refusal.field: refusal.what for refusal in made.refusals})
            return _page(request, who, known, form=corrected, error=error)
        return to(
            f"/places/{made.place}" if made.state is ApplicationState.ISSUED else f"/place-applications/{made.id}"
        )

    return await attempt(act, again)


@ROUTER.get("/{application_id}")
async def application(request: Request, site: TheSite, who: Reader, application_id: api.ThisApplication) -> Response:
    """What was applied for, and what became of it."""
    return _shown(request, who, await api.one_application(site, who, application_id), error=None)


@ROUTER.post("/{application_id}/ask")
async def ask_again(request: Request, site: TheSite, who: Writer, application_id: api.ThisApplication) -> Response:
    """Send it once more."""
    found = await api.one_application(site, who, application_id)
    try:
        await api.ask_again(site, who, application_id)
    except ConsoleError as error:
        return _shown(request, who, found, error=error)
    return to(f"/place-applications/{application_id}")


def _shown(request: Request, who: Signed, found: api.ApplicationOut, *, error: ConsoleError | None) -> Response:
    status = 200 if error is None else error.status
    return page(
        request,
        "place_application.html",
        signed=who,
        status=status,
        application=found,
        titles=FIELDS,
        kinds=KINDS,
        certificates=CERTIFICATES,
        error=error,
    )


async def _form(
    request: Request, site: Site, who: Signed, *, form: dict[str, str], error: Exception | None
) -> Response:
    return _page(request, who, await _places(site, who), form=form, error=error)


async def _places(site: Site, who: Signed) -> list[PlaceOut]:
    """Those that have no code yet."""
    return [place for place in await places_api.list_places(site, who) if place.serial is None]


def _page(
    request: Request,
    who: Signed,
    known: list[PlaceOut],
    *,
    form: dict[str, str],
    error: Exception | None,
) -> Response:
    status = error.status if isinstance(error, ConsoleError) else 200
    wrong = error.fields if isinstance(error, FieldsError) else {}
    return page(
        request,
        "place_application_form.html",
        signed=who,
        status=status,
        form={"id": secrets.token_hex(16)} | {name: value for name, value in form.items() if value},
        error=error,
        wrong={name: wrong[name] for name in (*FIELDS, *wrong) if name in wrong},
        titles=FIELDS,
        places=known,
        kinds=KINDS,
        certificates=CERTIFICATES,
        commitment=COMMITMENT,
    )
