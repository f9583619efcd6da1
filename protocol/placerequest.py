"""What a hub asks of the platform about place codes: a first one for a place, or another one in its place.

The hub signs the request. The applicant's numbers in it are sealed to the platform's resolver key (HPKE, as look-ups
are) before the hub gets them: it hands them on and cannot read them.
"""

from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from protocol import cbor, envelope
from protocol.envelope import AAD_PLACE_REQUEST
from protocol.errors import LimitError, MalformedError, SignatureError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import (
    ADDRESS_CHARS,
    APPLICANT_BYTES,
    COMMITMENT_CHARS,
    NAME_CHARS,
    PEOPLE_LIMIT_MOST,
    PLACE_NAME_CHARS,
    PLACE_REQUEST_BYTES,
    REASON_CHARS,
)
from protocol.placecode import read_line
from protocol.terms import CertificateKind, PlaceKind

REQUEST_ID_BYTES = 16
LATITUDE_MOST_UDEG = 90_000_000
LONGITUDE_MOST_UDEG = 180_000_000
_REQUEST = "place request"
_APPLICATION = "place application"
_REISSUE = "place reissue"
_APPLICANT = "applicant"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_INFO = b"gatelight/applicant/1"
_SEALED_LEAST = 32 + 16
_DIVISION_DIGITS = (6, 9, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """The numbers by which the platform knows who applies. They stand in no representation, so that none reaches a log.

    `certificate` is there where the body is a person, known by an identity number.
    """

    id_number: str = field(repr=False)
    phone: str = field(repr=False)
    certificate: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceApplication:
    """A place for which a code is asked. Degrees are in millionths, WGS 84.

    Attributes:
        place: the id of a place that the hub has already; None: the platform names a new one.
        certificate: the body's number; of an identity number only what may be shown, for all of it is in `sealed`.
        division: the place's administrative division (GB/T 2260, GB/T 10114).
        region: the names of province, city, district and township.
        people_limit: as many as may be inside at once; None: nobody has said.
        commitment: what the applicant has promised, word for word.
        sealed: an `Applicant`, for the platform alone.
    """

    place: str | None = None
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
    people_limit: int | None = None
    applicant: str
    commitment: str
    promised_ms: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceReissue:
    """A new code for a place; the one in force dies."""

    place: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRequest:
    """One of the two. The same id always asks for the same, and gets the same answer."""

    id: bytes
    at_ms: int
    asks: PlaceApplication | PlaceReissue


def seal_applicant(applicant: Applicant, *, request_id: bytes, resolver: bytes) -> bytes:
    """Applicant -> HPKE ciphertext that only the holder of the resolver's key can read, for this request alone.

    Raises:
        MalformedError: numbers that the platform would refuse, or no key that anything can be sealed to.
    """
    fields: dict[int, Any] = {1: applicant.id_number, 2: applicant.phone}
    if applicant.certificate is not None:
        fields[3] = applicant.certificate
    plain = cbor.encode(fields)
    _read_applicant(plain)
    try:
        return bytes(_SUITE.encrypt(plain, X25519PublicKey.from_public_bytes(resolver), info=_INFO + request_id))
    except ValueError as error:  # a wrong length, or a point of small order
        raise MalformedError("resolver", "not a usable X25519 public key") from error


def open_applicant(data: bytes, *, request_id: bytes, private: X25519PrivateKey) -> Applicant:
    """HPKE ciphertext -> applicant, as the platform reads it.

    Raises:
        LimitError, MalformedError: not an applicant.
        SignatureError: sealed to another key or request, or altered.
    """
    if len(data) > APPLICANT_BYTES:
        raise LimitError(_APPLICANT, f"{len(data)} bytes, at most {APPLICANT_BYTES} are allowed")
    try:
        plain = _SUITE.decrypt(data, private, info=_INFO + request_id)
    except (InvalidTag, ValueError) as error:
        raise SignatureError(_APPLICANT, "does not open with this key and request") from error
    return _read_applicant(plain)


def seal_place_request(request: PlaceRequest, *, key: SigningKey) -> bytes:
    """Request -> signed bytes, by the hub's key.

    Raises:
        LimitError, MalformedError: one that the platform would refuse.
    """
    fields: dict[int, Any] = {1: request.id, 2: request.at_ms}
    match request.asks:
        case PlaceApplication() as application:
            fields[3] = _application_map(application)
        case PlaceReissue(place=place, why=why):
            fields[4] = {1: place, 2: why}
    payload = cbor.encode(fields)
    _read_request(payload)
    data = envelope.seal(payload, key=key, aad=AAD_PLACE_REQUEST)
    if len(data) > PLACE_REQUEST_BYTES:
        raise LimitError(_REQUEST, f"{len(data)} bytes, at most {PLACE_REQUEST_BYTES} are allowed")
    return data


def open_place_request(data: bytes, *, key: VerifyKey) -> PlaceRequest:
    """Bytes -> request, verified with the hub's key.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a request.
        SignatureError: the hub did not sign it.
    """
    sealed = envelope.parse(data, what=_REQUEST, limit=PLACE_REQUEST_BYTES)
    envelope.verify(sealed, key=key, aad=AAD_PLACE_REQUEST)
    return _read_request(sealed.payload)


def _application_map(application: PlaceApplication) -> dict[int, Any]:
    fields: dict[int, Any] = {
        2: application.name,
        3: application.kind,
        4: application.body,
        5: application.certificate_kind,
        6: application.certificate,
        7: application.division,
        8: list(application.region),
        9: [application.latitude_udeg, application.longitude_udeg],
        10: application.address,
        12: application.applicant,
        13: application.commitment,
        14: application.promised_ms,
        15: application.sealed,
    }
    if application.place is not None:
        fields[1] = application.place
    if application.people_limit is not None:
        fields[11] = application.people_limit
    return fields


def _read_request(payload: bytes) -> PlaceRequest:
    fields = cbor.fields(
        cbor.decode(payload, what=_REQUEST, limit=PLACE_REQUEST_BYTES), what=_REQUEST, known=frozenset(range(1, 5))
    )
    if (3 in fields) == (4 in fields):
        raise MalformedError(_REQUEST, "neither application nor reissue, or both")
    return PlaceRequest(
        id=cbor.sized_bytes(fields.get(1), f"{_REQUEST}.id", REQUEST_ID_BYTES),
        at_ms=cbor.time_ms(fields.get(2), f"{_REQUEST}.at"),
        asks=_read_application(fields[3]) if 3 in fields else _read_reissue(fields[4]),
    )


def _read_reissue(value: Any) -> PlaceReissue:
    fields = cbor.fields(value, what=_REISSUE, known=frozenset({1, 2}))
    return PlaceReissue(
        place=cbor.name(fields.get(1), f"{_REISSUE}.place"),
        why=read_line(fields.get(2), f"{_REISSUE}.why", REASON_CHARS),
    )


def _read_application(value: Any) -> PlaceApplication:
    what = _APPLICATION
    fields = cbor.fields(value, what=what, known=frozenset(range(1, 16)))
    latitude_udeg, longitude_udeg = _read_position(fields.get(9))
    return PlaceApplication(
        place=cbor.name(fields[1], f"{what}.place") if 1 in fields else None,
        name=read_line(fields.get(2), f"{what}.name", PLACE_NAME_CHARS),
        kind=cbor.member(fields.get(3), f"{what}.kind", PlaceKind),
        body=read_line(fields.get(4), f"{what}.body", PLACE_NAME_CHARS),
        certificate_kind=cbor.member(fields.get(5), f"{what}.certificate_kind", CertificateKind),
        certificate=read_line(fields.get(6), f"{what}.certificate", NAME_CHARS),
        division=_read_division(fields.get(7)),
        region=_read_region(fields.get(8)),
        latitude_udeg=latitude_udeg,
        longitude_udeg=longitude_udeg,
        address=read_line(fields.get(10), f"{what}.address", ADDRESS_CHARS),
        people_limit=cbor.integer(fields[11], f"{what}.people_limit", 1, PEOPLE_LIMIT_MOST) if 11 in fields else None,
        applicant=read_line(fields.get(12), f"{what}.applicant", NAME_CHARS),
        commitment=read_line(fields.get(13), f"{what}.commitment", COMMITMENT_CHARS),
        promised_ms=cbor.time_ms(fields.get(14), f"{what}.promised"),
        sealed=cbor.sized_bytes(fields.get(15), f"{what}.sealed", _SEALED_LEAST, APPLICANT_BYTES),
    )


def _read_division(value: Any) -> str:
    where = f"{_APPLICATION}.division"
    text = cbor.text(value, where, 1, max(_DIVISION_DIGITS))
    if len(text) not in _DIVISION_DIGITS or not (text.isascii() and text.isdigit()):
        raise MalformedError(where, "not 6, 9 or 12 digits")
    return text


def _read_region(value: Any) -> tuple[str, str, str, str]:
    where = f"{_APPLICATION}.region"
    match value:
        case [province, city, district, township]:
            return (
                read_line(province, where, NAME_CHARS),
                read_line(city, where, NAME_CHARS),
                read_line(district, where, NAME_CHARS),
                read_line(township, where, NAME_CHARS),
            )
    raise MalformedError(where, "not the names of province, city, district and township")


def _read_position(value: Any) -> tuple[int, int]:
    where = f"{_APPLICATION}.position"
    match value:
        case [latitude, longitude]:
            return (
                cbor.integer(latitude, where, -LATITUDE_MOST_UDEG, LATITUDE_MOST_UDEG),
                cbor.integer(longitude, where, -LONGITUDE_MOST_UDEG, LONGITUDE_MOST_UDEG),
            )
    raise MalformedError(where, "not a latitude and a longitude")


def _read_applicant(plain: bytes) -> Applicant:
    fields = cbor.fields(
        cbor.decode(plain, what=_APPLICANT, limit=APPLICANT_BYTES), what=_APPLICANT, known=frozenset({1, 2, 3})
    )
    return Applicant(
        id_number=read_line(fields.get(1), f"{_APPLICANT}.id_number", NAME_CHARS),
        phone=read_line(fields.get(2), f"{_APPLICANT}.phone", NAME_CHARS),
        certificate=read_line(fields[3], f"{_APPLICANT}.certificate", NAME_CHARS) if 3 in fields else None,
    )
