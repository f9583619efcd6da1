"""Vectors of place codes, requests for them, and sealed applicants."""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import base45, cbor
from protocol.envelope import AAD_PLACE, AAD_PLACE_REQUEST
from protocol.placecode import PREFIX, PlaceCode, place_code_text, seal_place_code
from protocol.placerequest import (
    Applicant,
    PlaceApplication,
    PlaceReissue,
    PlaceRequest,
    seal_place_request,
)
from protocol.terms import CertificateKind, PlaceKind
from protocol.vectors import hpke
from protocol.vectors.faults import Changes, all_bad, faults, good, missing, payload_of
from protocol.vectors.make_checkins import AT_MS
from protocol.vectors.make_gate import AT_S, PLACE
from protocol.vectors.make_resolve import NOBODY, RESOLVER, RESOLVER_PUBLIC
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, filler, refused, signer, steps

CODE = PlaceCode(place=PLACE, name="江北万象城", serial=1, issued_s=AT_S)
REQUEST_ID = filler("place request", 16)
APPLICANT = Applicant(id_number=NOBODY, phone="13900000001")
_INFO = b"gatelight/applicant/1"
_EPHEMERAL = filler("gatelight vectors: applicant", 32)


def sealed_applicant(inner: bytes, *, info_id: bytes = REQUEST_ID, to: bytes = b"") -> bytes:
    """A sealed applicant of any content, always the same bytes."""
    return hpke.seal(inner, to=to or RESOLVER_PUBLIC, ephemeral=_EPHEMERAL, info=_INFO + info_id)


def plain_applicant(applicant: Applicant = APPLICANT, **changes: Any) -> bytes:
    """What stands inside; `_2=1` replaces field 2, `_2=None` leaves it out."""
    fields: dict[int, Any] = {1: applicant.id_number, 2: applicant.phone, 3: applicant.certificate}
    fields |= {int(key[1:]): value for key, value in changes.items()}
    return cbor.encode({key: value for key, value in fields.items() if value is not None})


APPLICATION = PlaceApplication(
    name="江北万象城", kind=PlaceKind.MALL, body="重庆某商业管理有限公司", certificate_kind=CertificateKind.CREDIT_CODE,
    certificate="91500000MA5U0000XX", division="500105", region=("重庆市", "重庆市", "江北区", "观音桥街道"),
    latitude_udeg=29_574_500, longitude_udeg=106_533_000, address="建新北路1号", applicant="张伟",
    commitment="I answer for what I have said here.", promised_ms=AT_MS, sealed=sealed_applicant(plain_applicant()),
)  # fmt: skip
REQUEST = PlaceRequest(id=REQUEST_ID, at_ms=AT_MS, asks=APPLICATION)
REISSUE = PlaceRequest(id=REQUEST_ID, at_ms=AT_MS, asks=PlaceReissue(place=PLACE, why="torn"))


def make_place_codes() -> list[Vector]:
    """Place codes: texts, looked up among `trusted_keys` with the use `place`."""
    text = seal_place_code(CODE, key=signer("platform"))
    sealed = base45.decode(text.removeprefix(PREFIX))
    opener: dict[str, Any] = {"trusted_keys": ["platform"], "at_s": AT_S}
    longest = replace(CODE, place="p" * 32, name="😀" * 64, serial=2**63 - 1)
    changes: Changes = [
        *missing({1: "place", 2: "name", 3: "serial", 4: "issued"}),
        ("place-space", "a place id with a space", {1: "mall 1"}),
        ("name-empty", "a place without a name", {2: ""}),
        ("name-65", "a name of 65 characters", {2: "n" * 65}),
        ("name-reversed", "a name that turns the writing round", {2: "mall\u202e1"}),
        ("name-line", "a name of two lines", {2: "mall\n1"}),
        ("serial-zero", "serials count from 1", {3: 0}),
        ("issued-text", "a time as a text", {4: "2026"}),
    ]
    bad = faults(sealed, AAD_PLACE, by="platform", other_signer="unknown_key", changes=changes)
    texts = [
        ("prefix-code", "a person's code", "GL1:" + text.removeprefix(PREFIX), "malformed"),
        ("prefix-later", "a later version", "GLP2:" + text.removeprefix(PREFIX), "unsupported"),
        ("small-letters", "small letters", text.lower(), "malformed"),
        ("too-long", "more than 2,048 characters", text + "0" * 2048, "limit"),
    ]
    return [
        accepted("place", "a place", {"text": text} | opener, plain(CODE), steps=steps(sealed, aad=AAD_PLACE)),
        accepted("longest", "every field at its longest",
                 {"text": seal_place_code(longest, key=signer("issuer-p256"))} | opener
                 | {"trusted_keys": ["issuer-p256"]}, plain(longest)),
        *(refused(name, shows, {"text": place_code_text(data)} | opener, reason) for name, shows, data, reason in bad),
        *(refused(name, shows, {"text": given} | opener, reason) for name, shows, given, reason in texts),
    ]  # fmt: skip


def make_place_requests() -> list[Vector]:
    """Requests of a hub."""
    opener = {"key": "hub"}
    full = replace(
        APPLICATION, place=PLACE, certificate_kind=CertificateKind.ID_CARD, certificate="11**************15",
        people_limit=2000, kind=PlaceKind.VILLAGE, division="500105001001",
        sealed=sealed_applicant(plain_applicant(replace(APPLICANT, certificate=NOBODY))),
    )  # fmt: skip
    sealed = seal_place_request(REQUEST, key=signer("hub"))
    inner = cbor.decode(payload_of(sealed), what="request", limit=1 << 16)[3]

    def with_(**changed: Any) -> dict[Any, Any]:
        fields = inner | {int(key[1:]): value for key, value in changed.items()}
        return {3: {key: value for key, value in fields.items() if value is not None}}

    names = {2: "name", 3: "kind", 4: "body", 5: "certificate-kind", 6: "certificate", 7: "division", 8: "region"}
    names |= {9: "position", 10: "address", 12: "applicant", 13: "commitment", 14: "promised", 15: "sealed"}
    changes: Changes = [
        *missing({1: "id", 2: "at", 3: "question"}),
        ("both", "an application and a reissue", {4: {1: PLACE, 2: "torn"}}),
        *((f"application-without-{name}", f"no {name}", with_(**{f"_{key}": None})) for key, name in names.items()),
        ("kind-unknown", "a kind of place that does not exist", with_(_3=99)),
        ("division-8", "a division of eight digits", with_(_7="50010500")),
        ("division-wide", "digits of full width", with_(_7="５００１０５")),
        ("region-three", "no township", with_(_8=["a", "b", "c"])),
        ("latitude", "beyond the pole", with_(_9=[90_000_001, 0])),
        ("longitude", "beyond the date line", with_(_9=[0, -180_000_001])),
        ("people-none", "room for nobody", with_(_11=0)),
        ("address-two-lines", "an address of two lines", with_(_10="a\nb")),
        ("sealed-short", "too short to hold anything", with_(_15=bytes(47))),
        ("application-unknown-key", "unknown key 16 in the application", with_(_16=0)),
        ("reissue-without-why", "a reissue without a reason", {3: None, 4: {1: PLACE, 2: ""}}),
    ]
    values = [
        ("application", "for a new place", REQUEST),
        ("application-full", "every field, for a place that is there", replace(REQUEST, asks=full)),
        ("reissue", "a code is torn", REISSUE),
    ]
    return [
        *(
            good(name, shows, seal_place_request(value, key=signer("hub")), value, AAD_PLACE_REQUEST, **opener)
            for name, shows, value in values
        ),
        *all_bad(
            faults(sealed, AAD_PLACE_REQUEST, by="hub", other_signer="bad_signature", changes=changes), **opener
        ),
        refused("too-long", "more than 8,192 bytes", {"hex": (sealed + bytes(8192)).hex()} | opener, "limit"),
    ]  # fmt: skip


def make_applicants() -> list[Vector]:
    """Sealed applicants: to open, for each sealing gives other bytes."""
    given = {"private_hex": RESOLVER.private_bytes_raw().hex(), "id": REQUEST_ID.hex()}
    person = replace(APPLICANT, certificate=NOBODY)
    data = sealed_applicant(plain_applicant())
    stranger = X25519PrivateKey.from_private_bytes(filler("gatelight vectors: other resolver", 32))
    other = stranger.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    bad = [
        ("missing-id-number", "no id number", sealed_applicant(plain_applicant(_1=None)), "malformed"),
        ("missing-phone", "no phone", sealed_applicant(plain_applicant(_2=None)), "malformed"),
        ("phone-33", "33 characters", sealed_applicant(plain_applicant(_2="1" * 33)), "malformed"),
        ("unknown-low-key", "unknown key 4", sealed_applicant(plain_applicant(_4=0)), "malformed"),
        ("other-request", "sealed for another request",
         sealed_applicant(plain_applicant(), info_id=bytes(16)), "bad_signature"),
        ("other-key", "sealed to another key", sealed_applicant(plain_applicant(), to=other), "bad_signature"),
        ("flipped", "one bit of the ciphertext", data[:-1] + bytes([data[-1] ^ 1]), "bad_signature"),
        ("short", "too short to hold anything", bytes(47), "bad_signature"),
        ("too-long", "more than 512 bytes", data + bytes(512), "limit"),
    ]  # fmt: skip
    return [
        *(
            accepted(
                name, shows, {"hex": sealed_applicant(plain_applicant(value)).hex()} | given, plain(value),
                plaintext_hex=plain_applicant(value).hex(), ephemeral_private_hex=_EPHEMERAL.hex(),
                info_hex=(_INFO + REQUEST_ID).hex(),
            )
            for name, shows, value in (
                ("applicant", "who applies for a body", APPLICANT), ("person", "the body is a person", person)
            )
        ),
        *(refused(name, shows, {"hex": bytes_.hex()} | given, reason) for name, shows, bytes_, reason in bad),
    ]  # fmt: skip
