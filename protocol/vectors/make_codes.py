"""Vectors of codes: good ones, and ones whose text, form, header or signature is bad."""  # noqa: INP001 - as raw.py

import hashlib
from dataclasses import replace
from typing import Any

import cbor2

from protocol import codes
from protocol.codes import Claims, StatusRef, VerifiedCode
from protocol.envelope import AAD_CODE, TYP_STATUS_LIST
from protocol.terms import Colour, Kind
from protocol.vectors.make_claims import CARD, ISSUED_S, LIVE, TRUSTED, make_claims, payload_of, refused_code, seal
from protocol.vectors.plain import plain
from protocol.vectors.raw import (
    AADS,
    Raw,
    Vector,
    accepted,
    filler,
    head,
    header,
    pairs,
    refused,
    sign1,
    signer,
    steps,
    with_pairs,
)


def make() -> list[Vector]:
    """All vectors of codes."""
    return [*_good(), *_tolerated(), *_bad_text(), *_bad_form(), *_bad_header(), *make_claims(), *_bad_signature()]


def _good() -> list[Vector]:
    made = [
        ("live-green-eddsa", "the smallest live code, signed with Ed25519", LIVE, "issuer"),
        ("live-green-es256", "the same claims, signed with P-256", LIVE, "issuer-p256"),
        ("live-red", "a red code", replace(LIVE, colour=Colour.RED), "issuer"),
        ("live-yellow-rule", "a yellow code that names its rule",
         replace(LIVE, colour=Colour.YELLOW, rule="R7/2a"), "issuer"),
        ("live-notice", "a notice", replace(LIVE, colour=Colour.NOTICE), "issuer"),
        ("live-longest", "a live code of exactly 120 s", replace(LIVE, expires_s=ISSUED_S + 120), "issuer"),
        ("live-status-too", "colour and list entry in one code: the worse wins",
         replace(LIVE, status=CARD.status), "issuer"),
        ("masked", "what a register may show", replace(LIVE, masked=("张", "11", "23")), "issuer"),
        ("guardian", "held by a guardian", replace(LIVE, kind=Kind.GUARDIAN), "issuer"),
        ("card", "a card: long life, decided by its list entry", CARD, "issuer"),
        ("card-es256", "a card signed with P-256", CARD, "issuer-p256"),
        ("specimen", "a specimen may live long; it is never admitted",
         replace(LIVE, kind=Kind.SPECIMEN, expires_s=ISSUED_S + 10**7), "issuer"),
        ("subject-shortest", "a subject of 16 bytes", replace(LIVE, subject=filler("s16", 16)), "issuer"),
        ("subject-longest", "a subject of 64 bytes", replace(LIVE, subject=filler("s64", 64)), "issuer"),
        ("rule-longest", "a rule of 16 characters, not bytes", replace(LIVE, rule="规" * 16), "issuer"),
        ("uri-longest", "a status address of 256 characters",
         replace(CARD, status=StatusRef(index=0, uri="u" * 256)), "issuer"),
    ]  # fmt: skip
    return [
        _accepted(name, shows, codes.seal_code(claims, key=signer(by)), claims=claims, by=by)
        for name, shows, claims, by in made
    ]


def _tolerated() -> list[Vector]:
    """Accepted, although nobody's first thought."""
    payload = payload_of(LIVE)
    later = with_pairs(payload, {65: 1, 2**32: {1: "nested", 2: [True, b"\x00"]}, -65537: "private"})
    live_kind = with_pairs(payload, {-70003: 0})
    low = sign1(payload, key=signer("issuer-p256"), aad=AAD_CODE)
    high = sign1(payload, key=signer("issuer-p256"), aad=AAD_CODE, high_s=True)
    extra_header = header(signer("issuer"), more={65: "later"})
    return [
        _accepted("unknown-keys-ignored", "unknown keys above 64 and below -65536 are left for later versions",
                  sign1(later, key=signer("issuer"), aad=AAD_CODE), claims=LIVE, by="issuer"),
        _accepted("kind-live-written", "kind 0 written out means the same as no kind",
                  sign1(live_kind, key=signer("issuer"), aad=AAD_CODE), claims=LIVE, by="issuer"),
        _accepted("unknown-header-ignored", "an unknown header parameter that is not critical",
                  sign1(payload, key=signer("issuer"), aad=AAD_CODE, protected=extra_header), claims=LIVE, by="issuer"),
        _accepted("es256-high-s", "the high-s form of live-green-es256: accepted, with the hash of the low-s form",
                  high, claims=LIVE, by="issuer-p256", low_s=low),
    ]  # fmt: skip


def _bad_text() -> list[Vector]:
    good = codes.to_text(seal(payload_of(LIVE)))
    over = codes.PREFIX + "0" * (2049 - len(codes.PREFIX))
    made = [
        ("text-prefix-missing", "no GL1: in front", good[4:], "malformed"),
        ("text-prefix-lower-case", "the prefix in lower case", "gl1:" + good[4:], "malformed"),
        ("text-prefix-next-version", "the prefix of another version", "GL2:" + good[4:], "unsupported"),
        ("text-prefix-version-0", "no version is 0", "GL0:" + good[4:], "malformed"),
        ("text-empty", "nothing after the prefix", "GL1:", "malformed"),
        ("text-too-long", "2,049 characters", over, "limit"),
        ("base45-lower-case", "a character outside the alphabet", good[:-1] + "a", "malformed"),
        ("base45-lonely-character", "one character is left over", good[:4] + "A", "malformed"),
        ("base45-group-overflow", "a group of three above 65535", good[:4] + ":::" + good[7:], "malformed"),
        ("base45-last-overflow", "a last group of two above 255", good[:4] + "::", "malformed"),
        ("text-space-after", "a space after the end shifts the length", good + " ", "malformed"),
    ]
    return [refused(name, shows, {"text": text, "trusted_keys": TRUSTED}, reason) for name, shows, text, reason in made]


def _bad_form() -> list[Vector]:
    payload, key = payload_of(LIVE), signer("issuer")
    good = seal(payload)
    parts = cbor2.loads(good[1:])

    def form(**changes: Any) -> bytes:
        return sign1(payload, key=key, aad=AAD_CODE, **changes)

    big = with_pairs(payload, {65: filler("big", 1000)})
    made = [
        ("tag-missing", "no tag 18", form(tag=b""), "malformed"),
        ("tag-wrong", "tag 98, a COSE_Sign", form(tag=b"\xd8\x62"), "malformed"),
        ("tag-long", "tag 18 in two bytes", form(tag=b"\xd8\x12"), "malformed"),
        ("tag-cwt-around", "tag 61 around tag 18", form(tag=b"\xd8\x3d\xd2"), "malformed"),
        ("array-long-head", "the array's length in two bytes", form(array=b"\x98\x04"), "malformed"),
        ("array-indefinite", "an array of indefinite length", form(array=b"\x9f") + b"\xff", "malformed"),
        ("array-of-three", "no signature", b"\xd2" + cbor2.dumps(parts[:3]), "malformed"),
        ("array-of-five", "a fifth part", b"\xd2" + cbor2.dumps([*parts, b""]), "malformed"),
        ("trailing-byte", "a byte after the end", good + b"\x00", "malformed"),
        ("cut", "the last byte is missing", good[:-1], "malformed"),
        ("unprotected-kid", "the unprotected header is not empty", form(unprotected=b"\xa1\x04\x41\x00"), "malformed"),
        ("unprotected-missing", "the unprotected header is null", form(unprotected=b"\xf6"), "malformed"),
        ("payload-detached", "the payload is null",
         b"\xd2" + cbor2.dumps([parts[0], {}, None, parts[3]]), "malformed"),
        ("signature-short", "a signature of 63 bytes",
         b"\xd2" + cbor2.dumps([*parts[:3], parts[3][:63]]), "malformed"),
        ("signature-long", "a signature of 65 bytes",
         b"\xd2" + cbor2.dumps([*parts[:3], parts[3] + b"\x00"]), "malformed"),
        ("signature-der", "an ES256 signature in DER instead of r and s",
         b"\xd2" + cbor2.dumps([*parts[:3], b"\x30\x44" + bytes(68)]), "malformed"),
        ("payload-text", "the payload is a text string",
         b"\xd2" + cbor2.dumps([parts[0], {}, "payload", parts[3]]), "malformed"),
        ("array-claims-4-billion", "an array head that claims 2^32 - 1 elements",
         b"\xd2" + head(4, 2**32 - 1, 4), "malformed"),
        ("bytes-claim-2-to-63", "a byte string head that claims 2^63 bytes",
         b"\xd2\x84" + head(2, 2**63, 8), "malformed"),
        ("code-too-long", "more than 1,024 bytes", sign1(big, key=key, aad=AAD_CODE), "limit"),
    ]  # fmt: skip
    return [refused_code(name, shows, data, reason) for name, shows, data, reason in made]


def _bad_header() -> list[Vector]:
    payload, key = payload_of(LIVE), signer("issuer")

    def with_header(protected: bytes) -> bytes:
        return sign1(payload, key=key, aad=AAD_CODE, protected=protected)

    kid = key.public.kid
    made = [
        ("critical-header", "a critical header parameter that nobody here knows",
         with_header(header(key, more={2: [65], 65: 1})), "unsupported"),
        ("kid-missing", "no kid", with_header(pairs((1, -8))), "malformed"),
        ("kid-short", "a kid of 7 bytes", with_header(header(key, kid=kid[:7])), "malformed"),
        ("kid-text", "a kid that is a text string", with_header(header(key, kid="issuer01")), "malformed"),
        ("kid-other", "a kid that no trusted key has", with_header(header(key, kid=bytes(8))), "unknown_key"),
        ("kid-of-another-issuer", "the kid of a trusted key, over a signature of another one",
         with_header(header(signer("issuer-p256"))), "bad_signature"),
        ("alg-missing", "no algorithm", with_header(pairs((4, kid))), "malformed"),
        ("alg-text", "the algorithm by name", with_header(header(key, alg="EdDSA")), "malformed"),
        ("alg-not-the-key's", "ES256 named over an Ed25519 key", with_header(header(key, alg=-7)), "bad_signature"),
        ("alg-none", "algorithm 0", with_header(header(key, alg=0)), "bad_signature"),
        ("header-empty", "an empty protected header", with_header(b""), "malformed"),
        ("header-not-a-map", "a protected header that is an array", with_header(b"\x82\x01\x27"), "malformed"),
        ("typ-of-a-list", "the typ of a status list, which has no external_aad either",
         with_header(header(key, more={16: TYP_STATUS_LIST})), "malformed"),
        ("header-order", "kid before alg", with_header(pairs((4, kid), (1, -8))), "malformed"),
        ("header-alg-twice", "alg twice", with_header(pairs((1, -8), (1, -7), (4, kid))), "malformed"),
        ("header-alg-long", "alg in a longer form than needed",
         with_header(pairs((1, Raw(b"\x38\x07")), (4, kid))), "malformed"),
    ]  # fmt: skip
    return [refused_code(name, shows, data, reason) for name, shows, data, reason in made]


def _bad_signature() -> list[Vector]:
    payload = payload_of(LIVE)
    good, key = seal(payload), signer("issuer")
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    made = [
        ("signature-flipped", "one bit of the signature", flipped, "bad_signature"),
        ("signature-zeros", "a signature of zeros", good[:-64] + bytes(64), "bad_signature"),
        ("colour-changed", "red turned into green after signing",
         seal(with_pairs(payload, {-70001: 1})).replace(b"\x3a\x00\x01\x11\x70\x01", b"\x3a\x00\x01\x11\x70\x00"),
         "bad_signature"),
        ("stranger", "signed by a key that is not trusted, under its own kid",
         sign1(payload, key=signer("stranger"), aad=AAD_CODE), "unknown_key"),
        ("signed-by-stranger", "the issuer's kid over a stranger's signature",
         sign1(payload, key=signer("stranger"), aad=AAD_CODE, protected=header(key)), "bad_signature"),
        *(
            (f"aad-of-{name}", f"claims signed as a {name}", sign1(payload, key=key, aad=aad), "bad_signature")
            for name, aad in AADS.items() if aad
        ),
    ]  # fmt: skip
    return [refused_code(name, shows, data, reason) for name, shows, data, reason in made]


def _accepted(name: str, shows: str, data: bytes, *, claims: Claims, by: str, low_s: bytes | None = None) -> Vector:
    code_hash = hashlib.sha256(low_s or data).digest()[:16]
    verified = VerifiedCode(claims=claims, issuer_kid=signer(by).public.kid, code_hash=code_hash)
    given = {"text": codes.to_text(data), "trusted_keys": TRUSTED}
    return accepted(name, shows, given, plain(verified), cose_hex=data.hex(), steps=steps(data, aad=AAD_CODE))
