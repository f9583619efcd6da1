"""What somebody types to apply for a place code -> checked values, or what is wrong with each field. Pure.

The applicant's numbers leave here on a way of their own: sealed to the platform, they are never stored or logged. What
the hub keeps of an application is `Said`.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

from hub.registry.checks import RegistryError
from hub.registry.numbers import is_credit_code, is_division, is_phone, is_registration_number, masked
from protocol.idnumber import is_id_number
from protocol.limits import ADDRESS_CHARS, NAME_CHARS, PEOPLE_LIMIT_MOST, PLACE_NAME_CHARS
from protocol.placerequest import LATITUDE_MOST_UDEG, LONGITUDE_MOST_UDEG, Applicant, PlaceApplication
from protocol.terms import CertificateKind, PlaceKind

COMMITMENT: Final = (
    "I answer for this place. What I have stated is true. I will have everyone who enters show their code, stop "
    "whoever is not green and report it at once, keep the poster where people see it, and use what I learn for "
    "nothing else."
)
"""What an applicant promises. It is kept word for word, in the language in which it was read."""

Kind = TypeVar("Kind", PlaceKind, CertificateKind)

_UDEG: Final = 1_000_000
_DEGREES: Final = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,15})?", re.ASCII)
_PEOPLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_CERTIFICATES: Final[Mapping[CertificateKind, tuple[Callable[[str], bool], str]]] = {
    CertificateKind.CREDIT_CODE: (
        is_credit_code,
        "This is no unified social credit code: 18 digits and letters, the last of them a check digit.",
    ),
    CertificateKind.REGISTRATION: (
        is_registration_number,
        "This is no business registration number: 15 digits, the last of them a check digit.",
    ),
    CertificateKind.ID_CARD: (
        is_id_number,
        "This is no ID number: 17 digits and a check digit, which may be X.",
    ),
}


class FieldsError(RegistryError):
    """Some fields cannot be accepted: a sentence for each, by its name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {what}" for name, what in fields.items()))
        self.fields = dict(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the hub keeps of an application: of the applicant's numbers only what may be shown."""

    name: str
    kind: PlaceKind
    body: str
    certificate_kind: CertificateKind
    certificate: str
    division: str
    region: tuple[str, str, str, str]
    latitude_udeg: int
    longitude_udeg: int
    address: str
    people_limit: int | None
    applicant: str
    id_number: str
    phone: str

    def json(self) -> str:
        """As the store keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Said":
        """As the store has kept it."""
        fields = json.loads(text)
        fields["kind"] = PlaceKind(fields["kind"])
        fields["certificate_kind"] = CertificateKind(fields["certificate_kind"])
        fields["region"] = tuple(fields["region"])
        return cls(**fields)

    def asked(self, *, place: str | None, commitment: str, promised_ms: int, sealed: bytes) -> PlaceApplication:
        """As the platform is asked."""
        return PlaceApplication(
            place=place,
            name=self.name,
            kind=self.kind,
            body=self.body,
            certificate_kind=self.certificate_kind,
            certificate=self.certificate,
            division=self.division,
            region=self.region,
            latitude_udeg=self.latitude_udeg,
            longitude_udeg=self.longitude_udeg,
            address=self.address,
            people_limit=self.people_limit,
            applicant=self.applicant,
            commitment=commitment,
            promised_ms=promised_ms,
            sealed=sealed,
        )


class _Form:
    """Reads field by field, and remembers what is wrong with each."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        self._typed = typed
        self.wrong: dict[str, str] = {}

    def line(self, name: str, most_chars: int) -> str:
        """A text of one line that people will read."""
        # What was pasted from a page comes with wide blanks and ends of lines.
        text = " ".join(unicodedata.normalize("NFC", self._typed.get(name, "")).split())
        if not text:
            self.wrong[name] = "Fill this in."
        elif len(text) > most_chars:
            self.wrong[name] = "This is too long."
        elif not text.isprintable():
            self.wrong[name] = "There are characters in it that cannot be printed."
        return text

    def number(self, name: str) -> str:
        """Digits and capital letters, as they are written on a card: without blanks, of ordinary width."""
        text = unicodedata.normalize("NFKC", self._typed.get(name, ""))
        return "".join(text.split()).upper()[: 2 * NAME_CHARS]

    def checked(self, name: str, fits: Callable[[str], bool], what: str) -> str:
        """Such a number of a certain form."""
        text = self.number(name)
        if not text:
            self.wrong[name] = "Fill this in."
        elif not fits(text):
            self.wrong[name] = what
        return text

    def degrees(self, name: str, most_udeg: int) -> int:
        """Decimal degrees -> millionths."""
        text = self.number(name)
        try:
            udeg = round(Decimal(text) * _UDEG) if _DEGREES.fullmatch(text) else most_udeg + 1
        except InvalidOperation:
            udeg = most_udeg + 1
        if not text:
            self.wrong[name] = "Fill this in."
        elif not -most_udeg <= udeg <= most_udeg:
            self.wrong[name] = "Type degrees with a decimal point, such as 29.5745."
        return udeg

    def people(self, name: str) -> int | None:
        """As many as may be inside; nothing typed: nobody says."""
        text = self.number(name)
        if not text:
            return None
        if not _PEOPLE.fullmatch(text) or not 1 <= int(text) <= PEOPLE_LIMIT_MOST:
            self.wrong[name] = "Type a number from 1 to 1,000,000, or nothing."
            return None
        return int(text)


def checked_application(typed: Mapping[str, str]) -> tuple[Said, Applicant]:
    """What was typed, by field -> what is kept, and what only the platform may read.

    Raises:
        FieldsError: with a sentence for each field that cannot be accepted, all at once.
    """
    form = _Form(typed)
    kind = _member(form, typed, "kind", PlaceKind)
    certificate_kind = _member(form, typed, "certificate_kind", CertificateKind)
    fits, what = _CERTIFICATES[certificate_kind or CertificateKind.CREDIT_CODE]
    certificate = form.checked("certificate", fits, what)
    id_number = form.checked("id_number", is_id_number, _CERTIFICATES[CertificateKind.ID_CARD][1])
    phone = form.checked("phone", is_phone, "This is no phone number: 11 digits, or an area code and the number.")
    said = Said(
        name=form.line("name", PLACE_NAME_CHARS),
        kind=kind or PlaceKind.OTHER,
        body=form.line("body", PLACE_NAME_CHARS),
        certificate_kind=certificate_kind or CertificateKind.CREDIT_CODE,
        certificate=masked(certificate) if certificate_kind is CertificateKind.ID_CARD else certificate,
        division=form.checked("division", is_division, "Type the division's code: 6, 9 or 12 digits, such as 500105."),
        region=(
            form.line("province", NAME_CHARS),
            form.line("city", NAME_CHARS),
            form.line("district", NAME_CHARS),
            form.line("township", NAME_CHARS),
        ),
        latitude_udeg=form.degrees("latitude", LATITUDE_MOST_UDEG),
        longitude_udeg=form.degrees("longitude", LONGITUDE_MOST_UDEG),
        address=form.line("address", ADDRESS_CHARS),
        people_limit=form.people("people_limit"),
        applicant=form.line("applicant", NAME_CHARS),
        id_number=masked(id_number),
        phone=masked(phone),
    )
    if typed.get("commitment") != "yes":
        form.wrong["commitment"] = "Without this promise no code is issued."
    if form.wrong:
        raise FieldsError(form.wrong)
    return said, Applicant(
        id_number=id_number,
        phone=phone,
        certificate=certificate if certificate_kind is CertificateKind.ID_CARD else None,
    )


def _member(form: _Form, typed: Mapping[str, str], name: str, kinds: type[Kind]) -> Kind | None:
    """A member by its name in small letters."""
    text = typed.get(name, "")
    for member in kinds:
        if member.name.lower() == text:
            return member
    form.wrong[name] = "Choose one."
    return None
