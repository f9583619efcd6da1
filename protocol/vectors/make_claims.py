"""Vectors of codes whose claims are bad, and the claims that all vectors of codes begin with."""  # noqa: INP001 - as raw.py

import cbor2

from protocol import codes, envelope
from protocol.codes import Claims, StatusRef
from protocol.envelope import AAD_CODE
from protocol.terms import Colour, Kind
from protocol.vectors.raw import Raw, Vector, filler, head, pairs, refused, sign1, signer, with_pairs

ISSUED_S = 1_795_334_400
TRUSTED = ["issuer", "issuer-p256"]
LIVE = Claims(subject=filler("subject", 32), issued_s=ISSUED_S, expires_s=ISSUED_S + 60, colour=Colour.GREEN)
CARD = Claims(
    subject=filler("card", 16),
    issued_s=ISSUED_S,
    expires_s=ISSUED_S + 31_536_000,
    status=StatusRef(index=99_999, uri="https://status.example/1"),
    kind=Kind.CARD,
)


def payload_of(claims: Claims) -> bytes:
    """The claims' encoding."""
    return envelope.parse(codes.seal_code(claims, key=signer("issuer")), what="code", limit=1024).payload


def seal(payload: bytes) -> bytes:
    """A payload of any form, signed by the issuer."""
    return sign1(payload, key=signer("issuer"), aad=AAD_CODE)


def refused_code(name: str, shows: str, data: bytes, reason: str) -> Vector:
    """A vector of bytes that are no code, as a text that a camera could read."""
    return refused(name, shows, {"text": codes.to_text(data), "trusted_keys": TRUSTED}, reason) | {
        "cose_hex": data.hex()
    }


def make_claims() -> list[Vector]:
    """Everything that can be wrong with claims, well signed."""
    live, card = payload_of(LIVE), payload_of(CARD)
    subject, expires_s, issued_s = LIVE.subject, LIVE.expires_s, LIVE.issued_s
    in_order = [(2, subject), (4, expires_s), (6, issued_s)]
    long_colour = pairs(*in_order, (Raw(head(1, 70000, 4)), Raw(b"\x18\x00")))
    long_key = pairs((Raw(b"\x18\x02"), subject), *in_order[1:], (-70001, 0))
    long_text = pairs(*in_order, (-70001, 2), (-70004, Raw(b"\x78\x02R7")))
    float_time = pairs((2, subject), (4, float(expires_s)), (6, issued_s), (-70001, 0))
    chunks = pairs((2, Raw(b"\x5f\x50" + bytes(16) + b"\xff")), *in_order[1:], (-70001, 0))
    deep = _nested(live, 8)
    changed: list[tuple[str, str, bytes, str]] = [
        ("subject-missing", "no subject", with_pairs(live, {2: None}), "malformed"),
        ("subject-short", "a subject of 15 bytes", with_pairs(live, {2: bytes(15)}), "malformed"),
        ("subject-long", "a subject of 65 bytes", with_pairs(live, {2: bytes(65)}), "malformed"),
        ("subject-text", "a subject that is a text string", with_pairs(live, {2: "0123456789abcdef"}), "malformed"),
        ("expires-missing", "no end", with_pairs(live, {4: None}), "malformed"),
        ("issued-missing", "no time of issue", with_pairs(live, {6: None}), "malformed"),
        ("issued-negative", "issued before 1970", with_pairs(live, {6: -1}), "malformed"),
        ("issued-true", "true where a number belongs", with_pairs(live, {6: True}), "malformed"),
        ("expires-year-10000", "a time beyond the year 9999", with_pairs(card, {4: 253_402_300_800}), "malformed"),
        ("expires-not-after-issued", "ends when it is issued", with_pairs(live, {4: issued_s}), "malformed"),
        ("live-too-long", "a live code of 121 s", with_pairs(live, {4: issued_s + 121}), "malformed"),
        ("guardian-too-long", "a guardian's code of 121 s",
         with_pairs(live, {4: issued_s + 121, -70003: 2}), "malformed"),
        ("neither-colour-nor-status", "nothing to decide by", with_pairs(live, {-70001: None}), "malformed"),
        ("card-without-status", "a card with a colour alone", with_pairs(live, {-70003: 1}), "malformed"),
        ("colour-grey", "grey is a gate's colour, not an issuer's", with_pairs(live, {-70001: 4}), "malformed"),
        ("colour-unknown", "colour 5", with_pairs(live, {-70001: 5}), "malformed"),
        ("colour-true", "true is not 1", with_pairs(live, {-70001: True}), "malformed"),
        ("kind-unknown", "kind 4", with_pairs(live, {-70003: 4}), "malformed"),
        ("masked-two-parts", "masked with two parts", with_pairs(live, {-70002: ["张", "11"]}), "malformed"),
        ("masked-long", "a masked part of 33 characters",
         with_pairs(live, {-70002: ["张" * 33, "11", "23"]}), "malformed"),
        ("rule-empty", "an empty rule", with_pairs(live, {-70004: ""}), "malformed"),
        ("rule-long", "a rule of 17 characters", with_pairs(live, {-70004: "r" * 17}), "malformed"),
        ("status-more", "a status claim with a third member",
         with_pairs(card, {65535: {"status_list": {"idx": 0, "uri": "u", "x": 1}}}), "malformed"),
        ("status-index-negative", "a negative index",
         with_pairs(card, {65535: {"status_list": {"idx": -1, "uri": "u"}}}), "malformed"),
        ("status-uri-long", "an address of 257 characters",
         with_pairs(card, {65535: {"status_list": {"idx": 0, "uri": "u" * 257}}}), "malformed"),
        ("unknown-low-key", "unknown key 64 may not be ignored", with_pairs(live, {64: 1}), "malformed"),
        ("unknown-cwt-claim", "claim 1 (issuer) has no place here", with_pairs(live, {1: "issuer"}), "malformed"),
        ("unknown-private-key", "unknown key -65536 may not be ignored", with_pairs(live, {-65536: 1}), "malformed"),
        ("text-key", "a map key that is a text string", with_pairs(live, {"colour": 0}), "malformed"),
        ("not-a-map", "claims that are an array", cbor2.dumps([1, 2]), "malformed"),
        ("claims-trailing", "a byte after the claims", live + b"\x00", "malformed"),
        ("claims-empty", "no claims at all", b"", "malformed"),
        ("float-time", "a time with a decimal point", float_time, "malformed"),
        ("null-claim", "a claim that is null", pairs(*in_order, (-70001, 0), (-70004, None)), "malformed"),
        ("undefined-claim", "a claim that is undefined",
         pairs(*in_order, (-70001, 0), (-70004, Raw(b"\xf7"))), "malformed"),
        ("tagged-time", "a time with tag 1",
         pairs((2, subject), (4, Raw(b"\xc1" + cbor2.dumps(expires_s))), (6, issued_s), (-70001, 0)), "malformed"),
        ("bignum", "a number with tag 2",
         pairs((2, subject), (4, Raw(b"\xc2\x44\x6b\x02\xd0\x3c")), (6, issued_s), (-70001, 0)), "malformed"),
        ("number-long", "colour 0 in two bytes", long_colour, "malformed"),
        ("key-long", "key 2 in two bytes", long_key, "malformed"),
        ("length-long", "a text's length in two bytes", long_text, "malformed"),
        ("bytes-indefinite", "a byte string in chunks", chunks, "malformed"),
        ("map-indefinite", "a map of indefinite length", b"\xbf" + live[1:] + b"\xff", "malformed"),
        ("keys-out-of-order", "expires after issued",
         pairs((2, subject), (6, issued_s), (4, expires_s), (-70001, 0)), "malformed"),
        ("keys-shortest-first", "-70001 before the longer 2^32: the order is bytewise, not shortest first",
         pairs(*in_order, (-70001, 0), (2**32, 1)), "malformed"),
        ("key-twice", "two colours", pairs(*in_order, (-70001, 1), (-70001, 0)), "malformed"),
        ("text-not-utf8", "a text string that is not UTF-8",
         pairs(*in_order, (-70001, 2), (-70004, Raw(b"\x62\xff\xfe"))), "malformed"),
        ("too-deep", "eight arrays within one another in an ignored key: nine levels with the map", deep, "malformed"),
        ("nested-key-twice", "a double key inside an ignored value",
         pairs(*in_order, (65, Raw(pairs((1, 1), (1, 2)))), (-70001, 0)), "malformed"),
    ]  # fmt: skip
    return [refused_code(name, shows, seal(payload), reason) for name, shows, payload, reason in changed]


def _nested(payload: bytes, levels: int) -> bytes:
    """The claims with key 65 holding arrays within arrays, at its place in the order."""
    value = b"\x81" * levels + b"\x00"
    marker = cbor2.dumps(65) + cbor2.dumps("marker")
    return with_pairs(payload, {65: "marker"}).replace(marker, cbor2.dumps(65) + value)
