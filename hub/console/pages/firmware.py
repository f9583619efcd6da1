"""Firmware: the release on its way, what the mirror has, and the rings."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from hub.console.accounts.roles import Permission
from hub.console.api import firmware as api
from hub.console.errors import ConsoleError
from hub.console.pages.forms import attempt_or, form_of, shape, to
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.console.web.render import page
from hub.console.web.stream import EventStream
from hub.firmware import changes
from hub.firmware.outcome import MINUTE_MS
from hub.firmware.rollout import FAILURES
from hub.store.firmware_ports import RINGS, Outcome, RolloutState

ROUTER = APIRouter(prefix="/firmware")

Reader = Annotated[Signed, Depends(Needs(Permission.FLEET_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.FLEET_WRITE))]

_LOOK_S: Final = 5.0
STATES: Final = {
    RolloutState.RUNNING: ("warn", "On its way"),
    RolloutState.HALTED: ("bad", "Halted"),
    RolloutState.DONE: ("good", "Every ring had its turn"),
    RolloutState.CANCELLED: ("", "Cancelled"),
}
OUTCOMES: Final = {Outcome.FAILED: ("bad", "Failed"), Outcome.UNABLE: ("warn", "Cannot be updated in this way")}
REASONS: Final = {
    "unreachable": "It could not fetch the release.",
    "untrusted": "The publisher's signatures did not hold.",
    "older": "It has run something newer before.",
    "unfit": "There is no bundle for this machine, or no room for it.",
    "unhealthy": "It ran the release, was not well in time, and went back by itself.",
    "gone": "It was told, and has not been heard since.",
    "silent": "It runs what it ran, and does not say why.",
    "went_back": "It ran the release, and runs an older one now.",
    "unsupported": "Its firmware does not know how.",
    "no_answer": "It does not answer: its firmware does not know how.",
}
SURE: Final = {
    "stage": (
        "Send it on its way",
        "Ring by ring scanners fetch it and try it; those that are not well go back.",
    ),
    "halt": ("Halt", "No further scanner is told. Those that were told go on."),
    "resume": ("Resume", "The next scanners are told."),
    "cancel": ("Cancel it", "It ends for good: no further scanner is told, and none goes back."),
}
_ACTS: Final[dict[str, tuple[Any, Any]]] = {
    "stage": (api.StageIn, api.stage),
    "halt": (api.HaltIn, api.halt),
    "resume": (api.ResumeIn, api.resume),
    "cancel": (api.CancelIn, api.cancel),
}


@ROUTER.get("")
async def firmware(request: Request, site: TheSite, who: Reader) -> Response:
    """All of it."""
    return await _page(request, site, who, error=None)


@ROUTER.get("/stream")
async def stream(request: Request, site: TheSite, who: Reader) -> Response:
    """How the rollout fares, whenever that has changed."""

    async def look() -> Mapping[str, str]:
        part = page(request, "firmware_progress.html", signed=who, **await _progress(site, who))
        return {"progress": bytes(part.body).decode()}

    return EventStream(request, who, look, every_s=_LOOK_S)


@ROUTER.post("/stage")
async def stage(request: Request, site: TheSite, who: Writer) -> Response:
    """Send a release on its way."""
    return await _act(request, site, who, "stage")


@ROUTER.post("/halt")
async def halt(request: Request, site: TheSite, who: Writer) -> Response:
    """Tell no further scanner."""
    return await _act(request, site, who, "halt")


@ROUTER.post("/resume")
async def resume(request: Request, site: TheSite, who: Writer) -> Response:
    """Let it go on."""
    return await _act(request, site, who, "resume")


@ROUTER.post("/cancel")
async def cancel(request: Request, site: TheSite, who: Writer) -> Response:
    """End it for good."""
    return await _act(request, site, who, "cancel")


@ROUTER.post("/rings/{device}")
async def ring(request: Request, site: TheSite, who: Writer, device: api.DeviceId) -> Response:
    """Put a scanner into a ring, from its own page."""
    form = await form_of(request)

    async def act() -> Response:
        await api.set_ring(site, who, device, shape(api.RingIn, {"ring": form.get("ring", "")}))
        return to(f"/scanners/{device}")

    return await attempt_or(act, lambda error: _page(request, site, who, error=error))


async def _act(request: Request, site: Site, who: Signed, name: str) -> Response:
    """Check what the form says, ask once more, do it."""
    form = await form_of(request)
    kind, do = _ACTS[name]

    async def act() -> Response:
        given = {key: text.strip() for key, text in form.items() if key in kind.model_fields}
        asked = shape(kind, {key: text for key, text in given.items() if text or key in {"place", "reason", "version"}})
        if form.get("sure") != "yes":
            title, what = SURE[name]
            names = {place.place_id: place.name for place in await site.store.places()}
            return page(
                request, "firmware_sure.html", signed=who, act=name, title=title, what=what, fields=given, asked=asked,
                names=names,
            )  # fmt: skip
        await do(site, who, asked)
        return to("/firmware")

    return await attempt_or(act, lambda error: _page(request, site, who, error=error))


async def _progress(site: Site, who: Signed) -> dict[str, Any]:
    found = await api.overview(site, who)
    rollout = found.rollout
    troubled = [each for each in await api.told(site, who) if each.outcome in OUTCOMES]
    rows = {row.device.device_id.hex(): row.device for row in await site.store.fleet(slot=0)} if troubled else {}
    until_ms = None
    if rollout is not None and rollout.soak_from_ms is not None:
        until_ms = rollout.soak_from_ms + rollout.soak_min * MINUTE_MS
    return {
        "found": found,
        "rollout": rollout,
        "soak_until_ms": until_ms,
        "troubled": troubled,
        "scanners": {device: row.name or f"{row.place_id}/{row.gate_id}" for device, row in rows.items()},
        "names": {place.place_id: place.name for place in await site.store.places()},
        "states": STATES,
        "outcomes": OUTCOMES,
        "reasons": REASONS,
        "failures": FAILURES,
        "all_rings": RINGS,
        "writes": who.may(Permission.FLEET_WRITE),
    }


async def _page(request: Request, site: Site, who: Signed, *, error: Exception | None) -> Response:
    values = await _progress(site, who)
    mirror = values["found"].mirror
    versions = list(dict.fromkeys(each.version for each in mirror.bundles)) if mirror is not None else []
    status = 200 if error is None else error.status if isinstance(error, ConsoleError) else 400
    return page(
        request,
        "firmware.html",
        signed=who,
        status=status,
        error=error,
        versions=versions,
        plain=changes,
        **values,
    )
