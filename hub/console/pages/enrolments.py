"""Adding scanners: the code that they are shown, who asks with it, and the decision."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import segno
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import enrolments as api
from hub.console.api.scanner_shapes import direction_text
from hub.console.errors import ConflictError, ConsoleError, InvalidError
from hub.console.pages.forms import attempt_or, form_of, shape, to
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from hub.console.web.stream import EventStream
from hub.model import DeviceState

ROUTER = APIRouter(prefix="/scanners")

Reader = Annotated[Signed, Depends(Needs(Permission.FLEET_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.FLEET_WRITE))]
_SCALE: Final = 8
"""A module of a version 10 QR is 8 pixels: 520 in all, sharp on a phone that shows half of it."""


@ROUTER.get("/add")
async def add(
    request: Request, site: TheSite, who: Writer, place: Annotated[str, Query(max_length=32)] = ""
) -> Response:
    """For which place and gate."""
    return await _form(request, site, who, form={"place": place}, error=None)


@ROUTER.post("/add")
async def show(request: Request, site: TheSite, who: Writer) -> Response:
    """The code, and who asks with it. It is shown once: the hub does not keep its secret."""
    form = await form_of(request)

    async def act() -> Response:
        code = await api.make_code(site, who, shape(api.CodeIn, _code_in(form)))
        drawn = segno.make(code.text, error="m", boost_error=False, micro=False, mode="alphanumeric")
        return page(
            request,
            "enrol_code.html",
            signed=who,
            code=code,
            picture=drawn.svg_data_uri(scale=_SCALE, border=4, dark="#000", light="#fff"),
            now_ms=site.now_ms(),
            **await _asking(site, who, code.code),
        )

    return await attempt_or(act, lambda error: _form(request, site, who, form=form, error=error))


@ROUTER.get("/waiting")
async def waiting(request: Request, site: TheSite, who: Reader) -> Response:
    """Everybody who asks, whatever code it was shown."""
    return page(request, "enrol_waiting.html", signed=who, error=None, **await _asking(site, who, ""))


@ROUTER.get("/waiting/stream")
async def waiting_stream(
    request: Request, site: TheSite, who: Reader, code: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """The same, or those with one code, whenever it has changed."""

    async def look() -> Mapping[str, str]:
        values = await _asking(site, who, code)
        part = page(request, "enrol_asking.html", signed=who, **values)
        return {"asking": bytes(part.body).decode()}

    return EventStream(request, who, look)


@ROUTER.get("/waiting/{enrolment}")
async def decide(request: Request, site: TheSite, who: Writer, enrolment: api.EnrolmentId) -> Response:
    """One that asks."""
    return await _one(request, site, who, enrolment, form={}, error=None)


@ROUTER.post("/waiting/{enrolment}")
async def decided(request: Request, site: TheSite, who: Writer, enrolment: api.EnrolmentId) -> Response:
    """Approve it, put it in the place of an old one, or refuse it."""
    form = await form_of(request)
    asked = await api.one_enrolment(site, who, enrolment)

    async def act() -> Response:
        if form.get("act") == "refuse":
            reason = form.get("reason", "").strip()
            await api.refuse(site, who, enrolment, shape(api.Refusal, {"reason": reason}))
            return to("/scanners/waiting")
        if form.get("same") != "yes":
            raise InvalidError("malformed", "Compare the words first, and tick that they are the same.", where="same")
        # The page showed these words, and somebody has just said that the scanner shows them too.
        words = {"words": form.get("words", "")}
        if form.get("act") == "replace":
            made = await api.replace(
                site, who, enrolment, shape(api.Replacement, words | {"old": form.get("old", "").strip().lower()})
            )
        else:
            gate = form.get("gate", "").strip()
            where = {"place": asked.place, "gate": gate} if gate else {}
            made = await api.approve(
                site, who, enrolment, shape(api.Approval, words | where | {"name": form.get("name", "").strip()})
            )
        return to(f"/scanners/{made.device}")

    return await attempt_or(act, lambda error: _one(request, site, who, enrolment, form=form, error=error))


async def _asking(site: Site, who: Signed, code: str) -> dict[str, Any]:
    asked = await api.list_enrolments(site, who, code=code, state=None)
    waits = [each for each in asked if each.state == "waiting"]
    return {"waits": waits, "over": [each for each in asked if each.state != "waiting"][:50]}


async def _form(
    request: Request, site: Site, who: Signed, *, form: dict[str, str], error: Exception | None
) -> Response:
    if site.enrolling is None and error is None:
        error = ConflictError("no_enrolment", "This hub enrols no scanners: [ca] and [enrolment] are not set.")
    return page(
        request,
        "enrol_add.html",
        signed=who,
        status=200 if error is None else _status(error),
        places=await site.store.places(),
        gates=await site.store.gates(),
        form=form,
        error=error,
    )


async def _one(
    request: Request, site: Site, who: Signed, enrolment: str, *, form: dict[str, str], error: Exception | None
) -> Response:
    asked = await api.one_enrolment(site, who, enrolment)
    old = [each for each in await site.store.devices() if each.state is not DeviceState.REVOKED]
    return page(
        request,
        "enrol_decide.html",
        signed=who,
        status=200 if error is None else _status(error),
        asked=asked,
        old=[each for each in old if each.place_id == asked.place],
        gates=[each for each in await site.store.gates() if each.place_id == asked.place],
        direction_text=direction_text,
        form=form,
        error=error,
    )


def _code_in(form: dict[str, str]) -> dict[str, Any]:
    ssid, psk = form.get("ssid", ""), form.get("psk", "")
    wifi = {"wifi": {"ssid": ssid, "psk": psk}} if ssid or psk else {}
    return {
        "place": form.get("place", ""),
        "gate": form.get("gate", "").strip(),
        "direction": form.get("direction", "in"),
        "devices": form.get("devices", "1"),
        "minutes": form.get("minutes", "10"),
        **wifi,
    }


def _status(error: Exception) -> int:
    return error.status if isinstance(error, ConsoleError) else 422
