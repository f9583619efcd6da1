"""Vectors of online look-ups: sealed queries, signed answers, identity numbers."""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import cbor
from protocol.envelope import AAD_RESOLVED
from protocol.resolve import Query, Resolved, seal_resolved
from protocol.terms import Colour, Scheme
from protocol.vectors import hpke
from protocol.vectors.faults import Changes, all_bad, faults, good, missing
from protocol.vectors.make_checkins import DEVICE
from protocol.vectors.make_gate import AT_S, GATE, OTHER_DEVICE, PLACE
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, filler, refused, signer

RESOLVER = X25519PrivateKey.from_private_bytes(filler("gatelight vectors: resolver", 32))
RESOLVER_PUBLIC = RESOLVER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
QUERY = Query(
    nonce=filler("query", 16), device=DEVICE, place=PLACE, gate=GATE, scheme=Scheme.OPAQUE,
    text="https://codes.example/8NPC2R",
)  # fmt: skip
RESOLVED = Resolved(
    id=QUERY.id, device=DEVICE, found=True, subject=filler("resolved subject", 48), colour=Colour.GREEN,
    issued_s=AT_S, expires_s=AT_S + 60,
)  # fmt: skip
NOT_FOUND = Resolved(id=QUERY.id, device=DEVICE, found=False, issued_s=AT_S, expires_s=AT_S + 60)
NOBODY = "110101209912310015"
"""An identity number of a person who will be born on the last day of 2099."""

_OTHER_ID = filler("other query", 16)
_INFO = b"gatelight/resolve/1"
_EPHEMERAL = filler("gatelight vectors: ephemeral", 32)


def plain_query(query: Query = QUERY, **changes: Any) -> bytes:
    """What stands inside a sealed query; `_5=1` replaces field 5, `_5=None` leaves it out."""
    text = query.text.encode() + b"\x80"
    fields: dict[int, Any] = {
        1: query.nonce, 2: query.device, 3: query.place, 4: query.gate, 5: query.scheme,
        6: text + bytes(-len(text) % 64),
    }  # fmt: skip
    fields |= {int(key[1:]): value for key, value in changes.items()}
    return cbor.encode({key: value for key, value in fields.items() if value is not None})


def sealed_query(inner: bytes, *, outer_id: bytes = QUERY.id, info_id: bytes | None = None, to: bytes = b"") -> bytes:
    """A sealed query of any content, always the same bytes. The id is that of `QUERY` unless another is given."""
    info = _INFO + (outer_id if info_id is None else info_id)
    sealed = hpke.seal(inner, to=to or RESOLVER_PUBLIC, ephemeral=_EPHEMERAL, info=info)
    return cbor.encode({1: outer_id, 2: sealed})


def make_queries() -> list[Vector]:
    """Sealed queries: to open, for each sealing gives other bytes."""
    number = replace(QUERY, scheme=Scheme.CARD_NUMBER, text=NOBODY)
    longest = replace(QUERY, place="p" * 32, gate="g" * 32, text="😀" * 512)
    made = [
        ("opaque", "an opaque code", QUERY),
        ("card-number", "an identity number: as long as the opaque code", number),
        ("padded-63", "63 bytes: the most in one step", replace(QUERY, text="c" * 63)),
        ("padded-64", "64 bytes: two steps", replace(QUERY, text="c" * 64)),
        ("longest", "512 characters of four bytes", longest),
    ]
    with_zeros = b"code\x80" + bytes(59)
    changes: list[tuple[str, str, dict[str, Any]]] = [
        *((f"missing-{name}", f"no {name}", {f"_{key}": None}) for key, name in enumerate(_QUERY_NAMES, 1)),
        ("scheme-gatelight", "our own codes are not looked up", {"_5": 0}),
        ("scheme-true", "true is not 1", {"_5": True}),
        ("text-empty", "no text", {"_6": b"\x80" + bytes(63)}),
        ("text-string", "a text that is not padded", {"_6": "code"}),
        ("padding-63", "63 bytes in all", {"_6": with_zeros[:-1]}),
        ("padding-more", "a step too many", {"_6": with_zeros + bytes(64)}),
        ("padding-none", "no 0x80", {"_6": b"c" * 64}),
        ("padding-ones", "padded with something else", {"_6": with_zeros[:-1] + b"\x01"}),
        ("text-latin", "not UTF-8", {"_6": b"\xe9\x80" + bytes(62)}),
        ("text-513", "513 characters", {"_6": b"c" * 513 + b"\x80" + bytes(62)}),
        ("unknown-low-key", "unknown key 7", {"_7": 0}),
        ("nonce-other", "the id is that of another nonce", {"_1": _OTHER_ID}),
        ("text-other", "the id is that of another text", {"_6": b"another\x80" + bytes(56)}),
        ("device-other", "the id is that of another device", {"_2": OTHER_DEVICE}),
    ]  # fmt: skip
    data = sealed_query(plain_query())
    stranger = X25519PrivateKey.from_private_bytes(filler("gatelight vectors: other resolver", 32))
    other = stranger.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    altered: list[tuple[str, str, bytes, str]] = [
        ("sealed-to-another", "sealed to another key", sealed_query(plain_query(), to=other), "bad_signature"),
        ("sealed-for-another-id", "sealed for another id",
         sealed_query(plain_query(), info_id=_OTHER_ID), "bad_signature"),
        ("ciphertext-flipped", "one bit of the ciphertext", data[:-1] + bytes([data[-1] ^ 1]), "bad_signature"),
        ("ciphertext-47", "too short to hold anything", cbor.encode({1: QUERY.id, 2: bytes(47)}), "malformed"),
        ("id-short", "an id of 15 bytes", cbor.encode({1: bytes(15), 2: bytes(64)}), "malformed"),
        ("ciphertext-missing", "no ciphertext", cbor.encode({1: QUERY.id}), "malformed"),
        ("trailing-byte", "a byte after the end", data + b"\x00", "malformed"),
        ("too-long", "more than 3,072 bytes", sealed_query(plain_query(_65=bytes(3000))), "limit"),
    ]  # fmt: skip
    private = {"private_hex": RESOLVER.private_bytes_raw().hex()}
    return [
        *(
            accepted(
                name, shows, {"hex": sealed_query(plain_query(query), outer_id=query.id).hex()} | private, plain(query),
                plaintext_hex=plain_query(query).hex(), ephemeral_private_hex=_EPHEMERAL.hex(),
                info_hex=(_INFO + query.id).hex(),
            )
            for name, shows, query in made
        ),
        *(
            refused(name, shows, {"hex": sealed_query(plain_query(**changed)).hex()} | private, "malformed")
            for name, shows, changed in changes
        ),
        *(refused(name, shows, {"hex": bad.hex()} | private, reason) for name, shows, bad, reason in altered),
    ]  # fmt: skip


def make_resolved() -> list[Vector]:
    """Answers, opened by the device that asked."""
    opener: dict[str, Any] = {
        "trusted_keys": ["platform"], "at_s": AT_S + 60, "device": DEVICE.hex(), "id": QUERY.id.hex()
    }  # fmt: skip
    full = replace(
        RESOLVED, subject=filler("longest", 256), colour=Colour.YELLOW, masked=("张", "11", "23"), rule="R7/2a"
    )
    sealed = seal_resolved(RESOLVED, key=signer("platform"))
    names = {1: "id", 2: "device", 3: "found", 4: "subject", 5: "colour", 6: "issued", 7: "expires"}
    changes: Changes = [
        *missing(names),
        ("found-one", "1 is not true", {3: 1}),
        ("subject-short", "a subject of 15 bytes", {4: bytes(15)}),
        ("subject-long", "a subject of 257 bytes", {4: bytes(257)}),
        ("colour-grey", "grey is a gate's colour", {5: 4}),
        ("expires-at-issued", "it lives for no time", {7: AT_S}),
        ("not-found-with-subject", "not found, yet a subject", {3: False, 5: None}),
        ("not-found-with-colour", "not found, yet a colour", {3: False, 4: None}),
        ("not-found-with-rule", "not found, yet a rule", {3: False, 4: None, 5: None, 9: "R7"}),
        ("not-found-with-masked", "not found, yet a name", {3: False, 4: None, 5: None, 8: ["张", "11", "23"]}),
        ("rule-long", "a rule of 17 characters", {9: "r" * 17}),
        ("masked-two", "a name in two parts", {8: ["张", "11"]}),
        ("other-device", "for another device", {2: OTHER_DEVICE}),
        ("other-query", "the answer to another query", {1: _OTHER_ID}),
    ]
    values = [
        ("found", "found: subject and colour", RESOLVED),
        ("found-full", "every field", full),
        ("not-found", "not found", NOT_FOUND),
    ]
    ended = refused(
        "ended", "a second after its end", {"hex": sealed.hex()} | opener | {"at_s": AT_S + 61}, "expired"
    )  # fmt: skip
    kid = signer("platform").public.kid
    return [
        *(
            good(
                name, shows, seal_resolved(value, key=signer("platform")), replace(value, issuer_kid=kid),
                AAD_RESOLVED, **opener,
            )
            for name, shows, value in values
        ),
        *all_bad(faults(sealed, AAD_RESOLVED, by="platform", other_signer="unknown_key", changes=changes), **opener),
        ended,
        refused("too-long", "more than 1,024 bytes", {"hex": (sealed + bytes(1024)).hex()} | opener, "limit"),
    ]  # fmt: skip


def make_id_numbers() -> list[Vector]:
    """Texts, and whether each is an identity number; nobody has those that are."""
    made = [
        (NOBODY, "a number", True),
        ("11010120991231004X", "its check digit is ten", True),
        ("650101209602290018", "a leap day", True),
        ("911156209912310010", "a foreigner with permanent residence", True),
        ("110101209912310014", "a wrong check digit", False),
        ("11010120991231004x", "a small x", False),
        ("110101209902290014", "the 29th of February of a common year", False),
        ("110101210002280011", "a year beyond the century", False),
        ("110101209913010014", "a thirteenth month", False),
        ("110101209912320010", "a 32nd day", False),
        ("000000209912310018", "no such province", False),
        ("160101209912310014", "no such province", False),
        ("11010120991231001", "17 characters", False),
        ("110101991231001", "the form with 15 digits", False),
        ("１１０１０１209912310015", "digits of full width", False),
        ("110101209912310015\n", "a line feed at the end", False),
    ]
    return [
        {"name": f"number-{at}", "shows": shows, "input": {"text": text}, "expected": {"id_number": is_one}}
        for at, (text, shows, is_one) in enumerate(made, 1)
    ]


_QUERY_NAMES = ("nonce", "device", "place", "gate", "scheme", "text")
