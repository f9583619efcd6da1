"""Who runs which place, and the code that hangs at its door: the stand-in's answer to applications and reissues.

Its rules are those of the platforms that it stands in for: whoever applies is known and green; one place code for one
phone number, any number for one body; a reissue kills the code before it. An answer is stored with its request, so the
same request gets it again.

Whoever scans a poster with a phone is shown his own colour and the place, and the visit is written down, marked as by
poster, beside the check-ins of gates.
"""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from deploy.sandbox.platform.lookup import person_of_id
from deploy.sandbox.platform.store import OtherContentError
from hub.registry.numbers import is_credit_code, is_phone, is_registration_number
from protocol.errors import ProtocolError
from protocol.idnumber import is_id_number
from protocol.keys import SigningKey
from protocol.placecode import PlaceCode, open_place_code, seal_place_code
from protocol.placerequest import Applicant, PlaceApplication, PlaceReissue, PlaceRequest, open_applicant
from protocol.terms import CertificateKind, Colour
from protocol.trust import TrustBundle

_SCHEMA = """
CREATE TABLE IF NOT EXISTS place (
    id TEXT PRIMARY KEY, hub BLOB NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, phone TEXT NOT NULL UNIQUE,
    person INTEGER NOT NULL, serial INTEGER NOT NULL, issued_s INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS visit (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, place TEXT NOT NULL, person INTEGER NOT NULL,
    colour INTEGER NOT NULL, way TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS request (
    id BLOB PRIMARY KEY, hub BLOB NOT NULL, content BLOB NOT NULL, answer TEXT NOT NULL
) STRICT;
"""
_CERTIFICATES = {
    CertificateKind.CREDIT_CODE: is_credit_code,
    CertificateKind.REGISTRATION: is_registration_number,
    CertificateKind.ID_CARD: is_id_number,
}
_NAME_BYTES = 4
POSTER = "poster"

Refusals = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredPlace:
    """A place with the code that is in force."""

    place: str
    name: str
    body: str
    person: int
    serial: int


class DeadCodeError(Exception):
    """A place code that is not, or no longer, in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody was at a place. `way` is `poster`: by the place's code and the visitor's own phone."""

    at_ms: int
    place: str
    person: int
    colour: Colour
    way: str


class Places:
    """The register of places.

    Args:
        path: the database file, made if it is not there. One thread owns it.
        private: opens applicants' numbers.
        key: signs place codes; a function, for it may roll over.
        known: whether there is such a person.
        colour: a person's colour.
    """

    def __init__(
        self,
        path: Path,
        *,
        private: X25519PrivateKey,
        key: Callable[[], SigningKey],
        known: Callable[[int], bool],
        colour: Callable[[int], Colour],
    ) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._private, self._key, self._known, self._colour = private, key, known, colour

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def find(self, place: str) -> RegisteredPlace | None:
        """One place."""
        found = self._db.execute("SELECT id, name, body, person, serial FROM place WHERE id = ?", (place,)).fetchone()
        fields = RegisteredPlace.__dataclass_fields__
        return None if found is None else RegisteredPlace(**dict(zip(fields, found, strict=True)))

    def take(self, request: PlaceRequest, *, hub: bytes, now_s: int) -> str:
        """A request whose signature was verified -> the answer, JSON. The same request again gets the same again.

        Raises:
            OtherContentError: the id is known for something else.
        """
        applicant = self._applicant(request)
        content = _digest(request, applicant)
        known = self._db.execute("SELECT hub, content, answer FROM request WHERE id = ?", (request.id,)).fetchone()
        if known is not None:
            if known[:2] != (hub, content):
                raise OtherContentError(request.id.hex())
            return str(known[2])
        self._db.execute("BEGIN IMMEDIATE")
        try:
            match request.asks:
                case PlaceApplication() as application:
                    answer = self._decide(application, applicant, hub=hub, now_s=now_s)
                case PlaceReissue() as reissue:
                    answer = self._reissue(reissue, hub=hub, now_s=now_s)
            self._db.execute("INSERT INTO request VALUES (?, ?, ?, ?)", (request.id, hub, content, answer))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return answer

    def visit(self, text: str, person: int, *, trust: TrustBundle, now_ms: int) -> tuple[Visit, str]:
        """A phone has scanned a poster -> the visit as it was written down, and the place's name.

        Raises:
            ProtocolError: no place code of ours.
            DeadCodeError: a reissued one has taken its place.
        """
        code = open_place_code(text, trust=trust, at_s=now_ms // 1000)
        place = self.find(code.place)
        if place is None or place.serial != code.serial:
            raise DeadCodeError(f"place {code.place}: issue {code.serial} is not in force")
        visit = Visit(at_ms=now_ms, place=code.place, person=person, colour=self._colour(person), way=POSTER)
        self._db.execute(
            "INSERT INTO visit (at_ms, place, person, colour, way) VALUES (?, ?, ?, ?, ?)",
            (visit.at_ms, visit.place, visit.person, int(visit.colour), visit.way),
        )
        return visit, place.name

    def visits(self, place: str) -> list[Visit]:
        """A place's visits by poster, oldest first."""
        found = self._db.execute("SELECT at_ms, person, colour, way FROM visit WHERE place = ? ORDER BY id", (place,))
        return [
            Visit(at_ms=at_ms, place=place, person=person, colour=Colour(colour), way=way)
            for at_ms, person, colour, way in found
        ]

    def _applicant(self, request: PlaceRequest) -> Applicant | None:
        """The applicant's numbers; None for what does not open."""
        if isinstance(request.asks, PlaceApplication):
            with suppress(ProtocolError):
                return open_applicant(request.asks.sealed, request_id=request.id, private=self._private)
        return None

    def _decide(self, asks: PlaceApplication, applicant: Applicant | None, *, hub: bytes, now_s: int) -> str:
        if applicant is None:
            return _refused([("id_number", "malformed")])
        person = person_of_id(applicant.id_number)
        refusals: Refusals = []
        if person is None or not self._known(person):
            refusals.append(("id_number", "not_known"))
        elif self._colour(person) is not Colour.GREEN:
            refusals.append(("id_number", "not_green"))
        if not is_phone(applicant.phone):
            refusals.append(("phone", "malformed"))
        elif self._db.execute("SELECT 1 FROM place WHERE phone = ?", (applicant.phone,)).fetchone():
            refusals.append(("phone", "taken"))
        if not _CERTIFICATES[asks.certificate_kind](applicant.certificate or asks.certificate):
            refusals.append(("certificate", "malformed"))
        if asks.place is not None and self.find(asks.place) is not None:
            refusals.append(("place", "taken"))
        if refusals:
            return _refused(refusals)
        place = asks.place or self._new_name(asks.division)
        self._db.execute(
            "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, 1, ?)",
            (place, hub, asks.name, asks.body, applicant.phone, person, now_s),
        )
        return self._issued(PlaceCode(place=place, name=asks.name, serial=1, issued_s=now_s))

    def _reissue(self, asks: PlaceReissue, *, hub: bytes, now_s: int) -> str:
        bumped = self._db.execute(
            "UPDATE place SET serial = serial + 1, issued_s = ? WHERE id = ? AND hub = ? RETURNING name, serial",
            (now_s, asks.place, hub),
        ).fetchone()
        if bumped is None:
            return _refused([("place", "not_found")])
        return self._issued(PlaceCode(place=asks.place, name=bumped[0], serial=bumped[1], issued_s=now_s))

    def _new_name(self, division: str) -> str:
        while True:
            name = f"P{division[:6]}-{secrets.token_hex(_NAME_BYTES)}"
            if self.find(name) is None:
                return name

    def _issued(self, code: PlaceCode) -> str:
        return json.dumps(
            {"state": "issued", "place": code.place, "code": seal_place_code(code, key=self._key())}
        )  # fmt: skip


def _refused(refusals: Refusals) -> str:
    return json.dumps(
        {"state": "refused", "refusals": [{"field": field, "reason": reason} for field, reason in refusals]}
    )


def _digest(request: PlaceRequest, applicant: Applicant | None) -> bytes:
    """What is asked, without times and without the random bytes of its sealing: what somebody meant to ask once."""
    match request.asks:
        case PlaceApplication() as asks:
            meant = [
                asks.place, asks.name, asks.kind, asks.body, asks.certificate_kind, asks.certificate, asks.division,
                asks.region, asks.latitude_udeg, asks.longitude_udeg, asks.address, asks.people_limit, asks.applicant,
                *((applicant.id_number, applicant.phone, applicant.certificate) if applicant else ()),
            ]  # fmt: skip
        case PlaceReissue(place=place, why=why):
            meant = [place, why]
    return hashlib.sha256(json.dumps(meant).encode()).digest()
