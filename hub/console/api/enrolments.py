"""Scanners that are to come: provisioning codes, who asks with them, and the decision."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, GateId, PlaceId, Shape, TimeMs
from hub.console.errors import ConflictError, InvalidError, NotFoundError
from hub.console.site import Enrolling
from hub.console.web.asking import Needs, Signed, TheSite
from hub.registry import decisions
from hub.registry.checks import DISPLAY_CHARS, REASON_CHARS
from hub.registry.enrolments import TOKEN_DEVICES_MAX, TOKEN_MINUTES_MAX, WAITING_MAX, make_token
from hub.store.enrol_ports import Enrolment
from protocol.enrolment import EnrolmentState, fingerprint_characters, fingerprint_words
from protocol.errors import ProtocolError
from protocol.keys import decode_key
from protocol.provisioning import TOKEN_BYTES, ProvisioningCode, provisioning_text
from protocol.terms import Direction

ROUTER = APIRouter(prefix="/enrolments", tags=["Enrolment"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.FLEET_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.FLEET_WRITE))]
EnrolmentId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
CodeId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Way = Literal["in", "out"]

_LISTED: Final = 2 * WAITING_MAX
_DIRECTIONS: Final = {"in": Direction.IN, "out": Direction.OUT}
_FAR_S: Final = 1 << 31
"""As long in bytes as any time that a code carries."""


class Wifi(Shape):
    """A network that the scanner joins first. Its password stands in the code, and nowhere else."""

    ssid: Annotated[str, Field(min_length=1, max_length=32)]
    psk: Annotated[str, Field(min_length=8, max_length=64, repr=False)]


class CodeIn(Shape):
    """What a provisioning code is to be good for."""

    place: PlaceId
    gate: GateId = ""
    """Empty: the first of G1, G2, ... where no scanner stands."""
    direction: Way = "in"
    devices: Annotated[int, Field(ge=1, le=TOKEN_DEVICES_MAX)] = 1
    minutes: Annotated[int, Field(ge=1, le=TOKEN_MINUTES_MAX)] = 10
    wifi: Wifi | None = None


class CodeOut(Shape):
    """A provisioning code. `text` is shown to scanners as a QR; it is told only here."""

    code: str
    """How it is called in other answers; not what lets anybody in."""
    text: str
    place: str
    gate: str
    direction: Way
    devices: int
    expires_ms: TimeMs


class EnrolmentOut(Shape):
    """A scanner that asks, or asked."""

    id: str
    code: str
    state: Literal["waiting", "approved", "refused"]
    words: str
    """The four words that the scanner shows: only a scanner that shows them is this one."""
    characters: str
    """The same as four Chinese characters."""
    serial: str
    model: str
    firmware: str
    address: str
    place: str
    gate: str
    direction: Way
    asked_ms: TimeMs
    decided_ms: TimeMs | None
    who: str
    reason: str
    device: str


class Words(Shape):
    """The words that somebody reads on the scanner itself."""

    words: Annotated[str, Field(min_length=1, max_length=64)]


class Approval(Words):
    """What is left out is as the code says."""

    name: Annotated[str, Field(max_length=DISPLAY_CHARS)] = ""
    place: PlaceId | None = None
    gate: GateId = ""
    direction: Way | None = None


class Replacement(Words):
    """The scanner whose gate, direction and name the new one gets; it is revoked."""

    old: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Refusal(Shape):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_CHARS)]


class NewScanner(Shape):
    """What became of it."""

    device: str


@ROUTER.post("/codes", status_code=201)
async def make_code(site: TheSite, who: Writer, body: CodeIn) -> CodeOut:
    """A provisioning code to show to scanners."""
    enrolling = site.enrolling
    if enrolling is None:
        raise ConflictError("no_enrolment", "This hub enrols no scanners: [ca] and [enrolment] are not set.")
    # What does not fit into a code is said before a token is made for it.
    _text(enrolling, body, token=bytes(TOKEN_BYTES), expires_s=_FAR_S)
    secret, token = await make_token(
        site.store,
        operator=who.operator,
        place_id=body.place,
        gate_id=body.gate or None,
        direction=_DIRECTIONS[body.direction],
        devices=body.devices,
        minutes=body.minutes,
    )
    return CodeOut(
        code=token.hash.hex(),
        text=_text(enrolling, body, token=secret, expires_s=token.expires_ms // 1000),
        place=body.place,
        gate=body.gate,
        direction=body.direction,
        devices=body.devices,
        expires_ms=token.expires_ms,
    )


@ROUTER.get("")
async def list_enrolments(
    site: TheSite,
    who: Reader,
    code: Annotated[str, Query(max_length=64, description="Only who asked with this code.")] = "",
    state: Annotated[Literal["waiting", "approved", "refused"] | None, Query()] = None,
) -> list[EnrolmentOut]:
    """Who waits, oldest first, then the others, newest first; at most 400."""
    listed = [_out(each) for each in await site.store.enrolments(limit=_LISTED)]
    return [each for each in listed if code in {"", each.code} and state in {None, each.state}]


@ROUTER.get("/{enrolment}")
async def one_enrolment(site: TheSite, who: Reader, enrolment: EnrolmentId) -> EnrolmentOut:
    """One of them."""
    found = await site.store.find_enrolment(bytes.fromhex(enrolment))
    if found is None:
        raise NotFoundError
    return _out(found)


@ROUTER.post("/{enrolment}/approve")
async def approve(site: TheSite, who: Writer, enrolment: EnrolmentId, body: Approval) -> NewScanner:
    """Register it and give it its configuration. Needs the words that the scanner shows."""
    await one_enrolment(site, who, enrolment)
    device = await site.errands.ask(
        "enrol.approve",
        who=who.account.name,
        enrolment=enrolment,
        place=body.place,
        gate=body.gate or None,
        direction=None if body.direction is None else int(_DIRECTIONS[body.direction]),
        name=body.name,
        words=body.words,
    )
    site.fleet.forget()
    return NewScanner(device=device.hex())


@ROUTER.post("/{enrolment}/replace")
async def replace(site: TheSite, who: Writer, enrolment: EnrolmentId, body: Replacement) -> NewScanner:
    """Put it in the place of an old one, which is revoked. Needs the words that the new scanner shows."""
    await one_enrolment(site, who, enrolment)
    device = await site.errands.ask(
        "enrol.replace", who=who.account.name, enrolment=enrolment, old=body.old, words=body.words
    )
    site.fleet.forget()
    return NewScanner(device=device.hex())


@ROUTER.post("/{enrolment}/refuse")
async def refuse(site: TheSite, who: Writer, enrolment: EnrolmentId, body: Refusal) -> EnrolmentOut:
    """Turn it away. Its code may be used by another one instead."""
    await one_enrolment(site, who, enrolment)
    await decisions.refuse(
        site.store, operator=who.operator, enrolment_id=bytes.fromhex(enrolment), reason=body.reason.strip()
    )
    return await one_enrolment(site, who, enrolment)


def _text(enrolling: Enrolling, body: CodeIn, *, token: bytes, expires_s: int) -> str:
    code = ProvisioningCode(
        url=enrolling.url,
        token=token,
        ca_hash=enrolling.ca_hash,
        expires_s=expires_s,
        wifi=None if body.wifi is None else (body.wifi.ssid, body.wifi.psk),
        place=body.place,
        gate=body.gate or None,
    )
    try:
        return provisioning_text(code)
    except ProtocolError as error:
        raise InvalidError("malformed", str(error), where="wifi" if body.wifi is not None else "") from error


def _out(each: Enrolment) -> EnrolmentOut:
    asked, key = each.asked, decode_key(each.asked.cose_key)
    return EnrolmentOut(
        id=asked.enrolment_id.hex(),
        code=asked.token_hash.hex(),
        state=_STATES[EnrolmentState(each.state)],
        words=" ".join(fingerprint_words(key)),
        characters=fingerprint_characters(key),
        serial=asked.serial,
        model=asked.model,
        firmware=asked.firmware,
        address=asked.address,
        place=each.place_id,
        gate=each.gate_id or "",
        direction="in" if each.direction is Direction.IN else "out",
        asked_ms=asked.asked_ms,
        decided_ms=each.decided_ms,
        who=each.who or "",
        reason=each.reason,
        device="" if each.device_id is None else each.device_id.hex(),
    )


_STATES: Final[dict[EnrolmentState, Literal["waiting", "approved", "refused"]]] = {
    EnrolmentState.WAITING: "waiting",
    EnrolmentState.APPROVED: "approved",
    EnrolmentState.REFUSED: "refused",
}
