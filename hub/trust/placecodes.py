"""What the console asks of the platform about place codes: the hub signs it, hands it on, and keeps the answer.

    applied for ── signed, written down, sent ── issued: place and code are registered
                                              └─ refused: reasons by field
                                              └─ no answer: sent again when somebody asks, the same bytes
    reissue     ── signed, sent ── the new code is kept; those before are dead

The numbers of whoever applies come sealed to the platform, and leave so. The platform answers the same request always
in the same way, so an errand that is done again does no harm.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hub.model import Place
from hub.registry.applications import Said
from hub.registry.changes import Operator
from hub.registry.checks import REASON_CHARS, RegistryError, checked_id, checked_line
from hub.store.errors import RegistryConflictError
from hub.store.place_ports import Application, ApplicationState, KeptCode, PlaceStore
from hub.trust.ports import Clock, PlatformError
from protocol.errors import ProtocolError
from protocol.keys import SigningKey
from protocol.placecode import PlaceCode, open_place_code
from protocol.placerequest import (
    REQUEST_ID_BYTES,
    PlaceReissue,
    PlaceRequest,
    seal_place_request,
)
from protocol.trust import TrustBundle

_REFUSALS_MOST: Final = 32
_REASON_MOST: Final = 64
_HUB: Final = "hub"

Handler = Callable[[Operator, dict[str, Any], bytes], Awaitable[bytes]]


class PlaceSource(Protocol):
    """The part of the platform's API that is used here."""

    async def place_request(self, request_id: bytes, sealed: bytes) -> bytes:
        """Ask for a place code -> JSON. Raises PlatformError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The platform has issued this code."""

    code: PlaceCode
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It has not: (field, reason) of each thing that is wrong."""

    refusals: tuple[tuple[str, str], ...]


class PlaceCodes:
    """Handlers of errands.

    Args:
        store: where applications and codes are kept.
        source: the platform.
        key: the hub's signing key.
        trust: the bundle in force.
        now_ms: the hub's clock.
    """

    def __init__(
        self,
        *,
        store: PlaceStore,
        source: PlaceSource,
        key: SigningKey,
        trust: Callable[[], TrustBundle],
        now_ms: Clock,
    ) -> None:
        self._store, self._source, self._key, self._trust, self._now_ms = store, source, key, trust, now_ms

    @property
    def handlers(self) -> dict[str, Handler]:
        """By kind.

        `platform.key`: answers with the 32 bytes to which personal numbers are sealed.
        `place.apply`: `application` (hex), `place` (of one that is there, or null), `said` (JSON), `commitment`; data
        is the sealed applicant. Answers with nothing: what came of it stands in the application.
        `place.ask`: `application` (hex), again.
        `place.reissue`: `request` (hex), `place`, `why`.
        """
        return {
            "platform.key": self._sealing_key,
            "place.apply": self._apply,
            "place.ask": self._ask_again,
            "place.reissue": self._reissue,
        }

    async def _sealing_key(self, _operator: Operator, _args: dict[str, Any], _data: bytes) -> bytes:
        resolver = self._trust().resolver
        if resolver is None:
            raise PlatformError("the trust bundle names no key to seal to")
        return resolver

    async def _apply(self, operator: Operator, args: dict[str, Any], data: bytes) -> bytes:
        application_id = _id(args, "application")
        place = None if args.get("place") is None else checked_id(args["place"], what="place id")
        said = Said.from_json(args["said"])
        asks = said.asked(place=place, commitment=args["commitment"], promised_ms=operator.now_ms, sealed=data)
        request = PlaceRequest(id=application_id, at_ms=operator.now_ms, asks=asks)
        application = await self._store.add_application(
            Application(
                application_id=application_id,
                place_id=place,
                said=said.json(),
                commitment=args["commitment"],
                who=operator.who,
                made_ms=operator.now_ms,
                request=seal_place_request(request, key=self._key),
            ),
            audit=operator.entry("place.apply", f"{application_id.hex()}: {said.name}, promised by {said.applicant}"),
        )
        await self._send(application)
        return b""

    async def _ask_again(self, _operator: Operator, args: dict[str, Any], _data: bytes) -> bytes:
        application = await self._store.find_application(_id(args, "application"))
        if application is None:
            raise RegistryError("application: there is no such one")
        await self._send(application)
        return b""

    async def _send(self, application: Application) -> None:
        if application.request is None or application.state is not ApplicationState.ASKED:
            return
        answer = await self._answer(application.application_id, application.request)
        now = Operator(who=_HUB, now_ms=self._now_ms())
        name = application.application_id.hex()
        if isinstance(answer, Refused):
            why = ", ".join(f"{field} {reason}" for field, reason in answer.refusals)
            audit = now.entry("place.refused", f"{name}: {why}")
            await self._store.refuse_application(application.application_id, refusals=answer.refusals, audit=audit)
            return
        said = Said.from_json(application.said)
        code = answer.code
        if code.place != (application.place_id or code.place) or code.name != said.name:
            raise PlatformError(f"application {name} was answered with a code for another place")
        await self._store.issue_place(
            application.application_id,
            place=Place(place_id=code.place, name=said.name, region=said.division, responsible=said.applicant),
            code=_kept(answer, request_id=application.application_id, who=application.who, why=""),
            audit=now.entry("place.issued", f"{code.place}: {code.name}, serial {code.serial}, for {name}"),
        )

    async def _reissue(self, operator: Operator, args: dict[str, Any], _data: bytes) -> bytes:
        request_id, place = _id(args, "request"), checked_id(args["place"], what="place id")
        why = checked_line(args["why"], what="reason", limit_chars=REASON_CHARS).strip()
        if not why:
            raise RegistryError("a reason is needed")
        request = PlaceRequest(id=request_id, at_ms=operator.now_ms, asks=PlaceReissue(place=place, why=why))
        answer = await self._answer(request_id, seal_place_request(request, key=self._key))
        if isinstance(answer, Refused):
            raise RegistryConflictError("The platform issues no new code for this place.")
        if answer.code.place != place:
            raise PlatformError(f"place {place} was answered with a code for another place")
        await self._store.keep_place_code(
            _kept(answer, request_id=request_id, who=operator.who, why=why),
            audit=operator.entry("place.reissue", f"{place}: serial {answer.code.serial}: {why}"),
        )
        return b""

    async def _answer(self, request_id: bytes, sealed: bytes) -> Issued | Refused:
        body = await self._source.place_request(request_id, sealed)
        return read_answer(body, trust=self._trust(), at_s=self._now_ms() // 1000)


def read_answer(body: bytes, *, trust: TrustBundle, at_s: int) -> Issued | Refused:
    """The platform's JSON -> what it has decided; a code is verified.

    Raises:
        PlatformError: it is none of the two, or a code that the bundle does not vouch for.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PlatformError(f"place request: no JSON: {error}") from error
    match answer:
        case {"state": "issued", "place": str(place), "code": str(text)}:
            try:
                code = open_place_code(text, trust=trust, at_s=at_s)
            except ProtocolError as error:
                raise PlatformError(f"place request: {error}") from error
            if code.place != place:
                raise PlatformError("place request: a code for another place than the answer names")
            return Issued(code=code, text=text)
        case {"state": "refused", "refusals": [_, *_] as refusals} if len(refusals) <= _REFUSALS_MOST:
            return Refused(refusals=tuple(_refusal(entry) for entry in refusals))
    raise PlatformError("place request: neither issued nor refused")


def _refusal(entry: Any) -> tuple[str, str]:
    match entry:
        case {"field": str(name), "reason": str(reason)} if _is_word(name) and _is_word(reason):
            return name, reason
    raise PlatformError("place request: a refusal without field or reason")


def _is_word(text: str) -> bool:
    """A name such as `not_green`: nothing else of the platform's goes into a page or the audit log."""
    return text.isascii() and text.replace("_", "").isalnum() and len(text) <= _REASON_MOST


def _kept(answer: Issued, *, request_id: bytes, who: str, why: str) -> KeptCode:
    return KeptCode(
        place_id=answer.code.place,
        serial=answer.code.serial,
        code=answer.text,
        issued_s=answer.code.issued_s,
        request_id=request_id,
        who=who,
        why=why,
    )


def _id(args: dict[str, Any], name: str) -> bytes:
    try:
        found = bytes.fromhex(args[name])
    except ValueError as error:
        raise RegistryError(f"{name}: not hexadecimal") from error
    if len(found) != REQUEST_ID_BYTES:
        raise RegistryError(f"{name}: not {REQUEST_ID_BYTES} bytes")
    return found
