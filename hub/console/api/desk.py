"""The attendant's desk. What is typed there comes sealed to the platform; nothing here can read it, nor the answers."""

import base64
import binascii
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, Shape, TimeMs
from hub.console.errors import ConflictError, InvalidError, NotFoundError, TooManyError, UnavailableError
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.store.desk_ports import Rate
from protocol.desk import Ask, SealedQuestion, read_question
from protocol.errors import ProtocolError
from protocol.limits import DESK_BYTES
from protocol.sealing import key_fingerprint
from protocol.trust import open_trust

ROUTER = APIRouter(prefix="/desk", tags=["Desk"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.DESK))]

_SEALED_CHARS: Final = -(-DESK_BYTES // 3) * 4
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
RATES: Final = {
    Ask.LOOK_UP: (Rate(window_ms=_MINUTE_MS, most=10), Rate(window_ms=_HOUR_MS, most=60)),
    Ask.REGISTRATION: (Rate(window_ms=_MINUTE_MS, most=20), Rate(window_ms=_HOUR_MS, most=300)),
}
"""Of one account. A look-up is for the odd case at the door: whoever needs more tries numbers. A registration tells
colours too, but each stands in a person's own record at the platform."""


class Sealed(Shape):
    """A question, sealed to the platform: see *The attendant's desk* in the wire's specification."""

    sealed: Annotated[str, Field(min_length=4, max_length=_SEALED_CHARS, description="Base64.")]


class SealedLookUp(Sealed):
    """A look-up. Consent stands inside the seal too; said here, it is written into the audit log."""

    consent: Literal[True]


class Registered(Shape):
    """`stored`: the platform has it, and `answer` is what it signed. `kept`: the hub will deliver it."""

    state: Literal["stored", "kept"]
    answer: Annotated[str, Field(description="Base64; empty for `kept`.")]


class Answered(Shape):
    """What the platform signed; only whoever sealed the question can read what is told."""

    answer: Annotated[str, Field(description="Base64.")]


class KeyOut(Shape):
    """The platform's key, to which everything is sealed, out of the trust bundle that its root has signed."""

    key: Annotated[str, Field(description="X25519 public key, 64 hex digits.")]
    fingerprint: Annotated[str, Field(description="The first 128 bits of SHA-256 over the key's COSE_Key (RFC 9679).")]
    version: int
    expires_ms: TimeMs


class DeskOut(Shape):
    """A gate at whose desk the account may stand."""

    place: str
    place_name: str
    gate: str
    gate_name: str


@ROUTER.get("/gates")
async def list_desks(site: TheSite, who: Who) -> list[DeskOut]:
    """Where the account may stand."""
    names = {place.place_id: place.name for place in await site.store.places()}
    return [
        DeskOut(place=gate.place_id, place_name=names[gate.place_id], gate=gate.gate_id, gate_name=gate.name)
        for gate in await site.store.gates()
        if who.sees(gate.place_id, gate.gate_id)
    ]


@ROUTER.get("/key")
async def sealing_key(site: TheSite, who: Who) -> KeyOut:
    """The key that is believed now. The console verifies the bundle's signature each time."""
    data = await site.store.trust_bundle()
    if site.root is None or data is None:
        raise UnavailableError("no_key", "The platform's key is not known yet: nothing can be typed here.")
    try:
        bundle = open_trust(data, root=site.root)
    except ProtocolError as error:
        raise UnavailableError(
            "no_key", "The trust bundle is not the platform's: nothing may be typed here."
        ) from error
    if bundle.resolver is None or bundle.expires_s * 1000 < who.now_ms:
        raise UnavailableError("no_key", "The platform has no key in force: nothing can be typed here.")
    return KeyOut(
        key=bundle.resolver.hex(),
        fingerprint=key_fingerprint(bundle.resolver),
        version=bundle.version,
        expires_ms=bundle.expires_s * 1000,
    )


@ROUTER.post("/registrations")
async def register(site: TheSite, who: Who, body: Sealed) -> Registered:
    """Register somebody without a phone. The same question again is the same visit."""
    question = await _question(site, who, body, Ask.REGISTRATION)
    if any(closing.place_id == question.place for closing in await site.store.closings()):
        raise ConflictError("place_closed", "This place is closed.")
    await _not_too_often(site, who, question)
    answer = await site.errands.ask("desk.register", who=who.account.name, data=question.data)
    return Registered(state="stored" if answer else "kept", answer=base64.b64encode(answer).decode())


@ROUTER.post("/look-ups")
async def look_up(site: TheSite, who: Who, body: SealedLookUp) -> Answered:
    """Somebody's colour, with that person's consent."""
    question = await _question(site, who, body, Ask.LOOK_UP)
    await _not_too_often(site, who, question)
    answer = await site.errands.ask("desk.look-up", who=who.account.name, data=question.data)
    return Answered(answer=base64.b64encode(answer).decode())


async def _question(site: Site, who: Signed, body: Sealed, ask: Ask) -> SealedQuestion:
    try:
        question = read_question(base64.b64decode(body.sealed, validate=True))
    except (binascii.Error, ValueError, ProtocolError) as error:
        raise InvalidError("malformed", "This is not a sealed question.", where="sealed") from error
    if question.ask is not ask:
        raise InvalidError("malformed", "This is another kind of question.", where="sealed")
    who.must_see(question.place, question.gate)
    gates = {(gate.place_id, gate.gate_id) for gate in await site.store.gates()}
    if (question.place, question.gate) not in gates:
        raise NotFoundError
    return question


async def _not_too_often(site: Site, who: Signed, question: SealedQuestion) -> None:
    """A look-up is audited before it is answered; a registration by the hub, once, when it is kept."""
    where = f"{question.place}/{question.gate}"
    wait_ms = await site.store.note_asking(
        who.account.name,
        question.ask.wire_name,
        now_ms=who.now_ms,
        rates=RATES[question.ask],
        audit=who.entry("desk.look_up", f"{where}, with consent") if question.ask is Ask.LOOK_UP else None,
    )
    if wait_ms:
        await site.store.audit(who.entry("desk.too_often", f"{where}: {question.ask.wire_name}"))
        raise TooManyError(wait_ms / 1000)
