"""Applications for place codes. The applicant's numbers are sealed here, before anything is written down."""

import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, Shape, TimeMs
from hub.console.errors import FieldsError, NotFoundError, UnavailableError
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.registry import applications as registry
from hub.registry.applications import COMMITMENT, Said, checked_application
from hub.registry.checks import checked_id
from hub.store.place_ports import Application, ApplicationState
from protocol.placerequest import Applicant, seal_applicant

ROUTER = APIRouter(prefix="/place-applications", tags=["Places"], responses=REFUSALS)

Reader = Annotated[Signed, Depends(Needs(Permission.PLACES_READ))]
Writer = Annotated[Signed, Depends(Needs(Permission.PLACES_WRITE))]
ThisApplication = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Typed = Annotated[str, Field(max_length=300)]

LISTED: Final = 100
_SENTENCES: Final = {
    ("id_number", "not_green"): "The platform takes applications only from people whose own code is green.",
    ("id_number", "not_known"): "The platform knows nobody with this number.",
    ("phone", "taken"): "There is a place code for this phone number already.",
    ("place", "taken"): "There is a place code for this place already.",
}
_SENTENCE: Final = "The platform does not accept this."


class NewApplication(Shape):
    """What is typed into the form, as texts. All fields must be there but `id`, `place` and `people_limit`.

    The same `id` (32 hex digits) applies for the same place only once, however often it is sent.
    """

    id: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")] = ""
    place: Annotated[str, Field(max_length=32, description="A place that is registered already.")] = ""
    name: Typed = ""
    kind: Annotated[str, Field(max_length=32, description="Such as `mall`; see the enumeration `place kind`.")] = ""
    body: Typed = ""
    certificate_kind: Annotated[str, Field(max_length=32, description="credit_code, registration or id_card")] = ""
    certificate: Typed = ""
    applicant: Typed = ""
    id_number: Typed = ""
    phone: Typed = ""
    division: Annotated[str, Field(max_length=32, description="6, 9 or 12 digits (GB/T 2260).")] = ""
    province: Typed = ""
    city: Typed = ""
    district: Typed = ""
    township: Typed = ""
    latitude: Annotated[str, Field(max_length=32, description="Decimal degrees, WGS 84.")] = ""
    longitude: Annotated[str, Field(max_length=32)] = ""
    address: Typed = ""
    people_limit: Annotated[str, Field(max_length=32)] = ""
    commitment: Annotated[str, Field(max_length=8, description="`yes`, to the commitment that the form shows.")] = ""
    language: Annotated[str, Field(pattern="^(zh|en)$", description="In which the commitment was read.")] = "zh"


class RefusalOut(Shape):
    """What the platform does not accept: its field, a stable reason, and a sentence."""

    field: str
    reason: str
    what: str


class ApplicationOut(Shape):
    """An application, and what became of it. Of the applicant's numbers, what may be shown."""

    id: str
    state: ApplicationState
    place: str | None
    said: dict[str, object]
    commitment: str
    who: str
    made_ms: TimeMs
    answered_ms: TimeMs | None
    refusals: list[RefusalOut]


@ROUTER.get("")
async def list_applications(site: TheSite, who: Reader) -> list[ApplicationOut]:
    """The newest, newest first: one's own, and those for places that the account is for."""
    return [_out(each) for each in await site.store.applications(limit=LISTED) if _sees(who, each)]


@ROUTER.post("", status_code=201)
async def apply(site: TheSite, who: Writer, body: NewApplication) -> ApplicationOut:
    """Apply for a place code. The platform answers at once; where it is away, the application waits (`asked`)."""
    try:
        said, applicant = checked_application(body.model_dump())
    except registry.FieldsError as error:
        raise FieldsError(error.fields) from error
    place = body.place or None
    if place is not None:
        who.must_see(checked_id(place, what="place id"))
        if await site.store.find_place(place) is None:
            raise FieldsError({"place": "There is no such place."})
    application_id = bytes.fromhex(body.id) if body.id else secrets.token_bytes(16)
    there = await site.store.find_application(application_id)
    if there is None:
        await _ask(site, who, application_id, body, place=place, said=said, applicant=applicant)
        there = await site.store.find_application(application_id)
    if there is None or not _sees(who, there):
        raise NotFoundError
    return _out(there)


@ROUTER.get("/{application_id}")
async def one_application(site: TheSite, who: Reader, application_id: ThisApplication) -> ApplicationOut:
    """One application."""
    return _out(await _find(site, who, application_id))


@ROUTER.post("/{application_id}/ask")
async def ask_again(site: TheSite, who: Writer, application_id: ThisApplication) -> ApplicationOut:
    """Send an application again that the platform has not answered. It cannot be taken for a second one."""
    await _find(site, who, application_id)
    await site.errands.ask("place.ask", who=who.account.name, application=application_id)
    return _out(await _find(site, who, application_id))


async def _ask(
    site: Site,
    who: Signed,
    application_id: bytes,
    body: NewApplication,
    *,
    place: str | None,
    said: Said,
    applicant: Applicant,
) -> None:
    name = who.account.name
    sealed = seal_applicant(
        applicant, request_id=application_id, resolver=await site.errands.ask("platform.key", who=name)
    )
    try:
        await site.errands.ask(
            "place.apply",
            who=name,
            data=sealed,
            application=application_id.hex(),
            place=place,
            said=said.json(),
            commitment=site.words.of(body.language)(COMMITMENT),
        )
    except UnavailableError:
        # It is written down before it is sent: then it waits, and can be sent again.
        if await site.store.find_application(application_id) is None:
            raise


def _said(said: Said) -> dict[str, object]:
    """What was applied for, as programs and pages read it. Degrees are decimal again."""
    return {
        "name": said.name,
        "kind": said.kind.name.lower(),
        "body": said.body,
        "certificate_kind": said.certificate_kind.name.lower(),
        "certificate": said.certificate,
        "division": said.division,
        "region": list(said.region),
        "latitude": said.latitude_udeg / 1_000_000,
        "longitude": said.longitude_udeg / 1_000_000,
        "address": said.address,
        "people_limit": said.people_limit,
        "applicant": said.applicant,
        "id_number": said.id_number,
        "phone": said.phone,
    }


async def _find(site: Site, who: Signed, application_id: str) -> Application:
    found = await site.store.find_application(bytes.fromhex(application_id))
    if found is None or not _sees(who, found):
        raise NotFoundError
    return found


def _sees(who: Signed, application: Application) -> bool:
    if who.everywhere or application.who == who.account.name:
        return True
    return application.place_id is not None and who.sees(application.place_id)


def _out(application: Application) -> ApplicationOut:
    return ApplicationOut(
        id=application.application_id.hex(),
        state=application.state,
        place=application.place_id,
        said=_said(Said.from_json(application.said)),
        commitment=application.commitment,
        who=application.who,
        made_ms=application.made_ms,
        answered_ms=application.answered_ms,
        refusals=[
            RefusalOut(field=name, reason=reason, what=_SENTENCES.get((name, reason), _SENTENCE))
            for name, reason in application.refusals
        ],
    )
