from dataclasses import replace

import pytest

from protocol import base45, codes
from protocol.codes import StatusRef
from protocol.envelope import AAD_CODE
from protocol.errors import LimitError, MalformedError, SignatureError, UnsupportedError
from protocol.limits import (
    CODE_BYTES,
    LIVE_CODE_S,
    MASKED_CHARS,
    QR_TEXT_CHARS,
    RULE_CHARS,
    SUBJECT_MAX_BYTES,
    SUBJECT_MIN_BYTES,
    TIME_MAX_MS,
    URI_CHARS,
)
from protocol.terms import Colour, Kind
from protocol.vectors.raw import sign1, with_pairs


def sealed(claims, keys):
    return codes.seal_code(claims, key=keys.issuer)


def opened(data, keys):
    return codes.verify(codes.parse_text(codes.to_text(data)), key=keys.issuer.public)


def with_claims(claims, changes, keys):
    payload = codes.parse_text(codes.to_text(sealed(claims, keys))).sealed.payload
    return codes.to_text(sign1(with_pairs(payload, changes), key=keys.issuer, aad=AAD_CODE))


def test_a_verified_code_has_claims_issuer_and_hash(keys, live):
    data = sealed(live, keys)
    verified = opened(data, keys)
    assert verified.claims == live
    assert verified.issuer_kid == keys.issuer.public.kid
    assert verified.code_hash == codes.parse_text(codes.to_text(data)).hash
    assert len(verified.code_hash) == codes.CODE_HASH_BYTES


def test_both_forms_of_a_signature_have_one_hash(keys, live):
    payload = codes.parse_text(codes.to_text(sealed(live, keys))).sealed.payload
    low, high = (sign1(payload, key=keys.issuer_p256, aad=AAD_CODE, high_s=flip) for flip in (False, True))
    assert low != high
    hashes = {
        codes.verify(codes.parse_text(codes.to_text(data)), key=keys.issuer_p256.public).code_hash
        for data in (low, high)
    }
    assert len(hashes) == 1


def test_sizes_are_those_of_the_wire(keys, live, card):
    for claims in (live, card):
        assert len(codes.to_text(sealed(claims, keys))) < 374, "version 10-M holds 311 to 374 characters"


def test_another_key_does_not_verify(keys, live):
    with pytest.raises(SignatureError):
        codes.verify(codes.parse_text(codes.to_text(sealed(live, keys))), key=keys.stranger.public)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("GL1:", True), ("GL1:BB8", True), ("GL2:", True), ("GL99:", True), ("GL0:", False), ("GL100:", False),
        ("GL1", False), ("gl1:", False), (" GL1:", False), ("https://example.org/GL1:", False), ("", False),
        ("GLE1:", False),
    ],
)  # fmt: skip
def test_only_what_claims_to_be_ours_makes_a_record(text, ours):
    assert codes.is_code(text) is ours


def test_a_later_version_is_unsupported_and_not_malformed():
    with pytest.raises(UnsupportedError):
        codes.parse_text("GL2:ANYTHING")


LIMITS = [
    ("subject shortest", {"subject": bytes(SUBJECT_MIN_BYTES)}, {"subject": bytes(SUBJECT_MIN_BYTES - 1)}, "claims.subject"),
    ("subject longest", {"subject": bytes(SUBJECT_MAX_BYTES)}, {"subject": bytes(SUBJECT_MAX_BYTES + 1)}, "claims.subject"),
    ("rule shortest", {"rule": "r"}, {"rule": ""}, "claims.rule"),
    ("rule longest", {"rule": "则" * RULE_CHARS}, {"rule": "r" * (RULE_CHARS + 1)}, "claims.rule"),
    ("masked", {"masked": ("张" * MASKED_CHARS, "", "23")}, {"masked": ("", "1" * (MASKED_CHARS + 1), "")}, "claims.masked"),
    ("uri", {"status": StatusRef(index=0, uri="u" * URI_CHARS)}, {"status": StatusRef(index=0, uri="u" * (URI_CHARS + 1))}, "claims.status.uri"),
    ("uri shortest", {"status": StatusRef(index=0, uri="u")}, {"status": StatusRef(index=0, uri="")}, "claims.status.uri"),
    ("index", {"status": StatusRef(index=0, uri="u")}, {"status": StatusRef(index=-1, uri="u")}, "claims.status.idx"),
    ("colour", {"colour": Colour.NOTICE}, {"colour": Colour.GREY}, "claims.colour"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "bad", "where"), LIMITS, ids=[row[0] for row in LIMITS])
def test_each_claim_at_its_limit_and_one_above(keys, live, *, name, good, bad, where):
    claims = replace(live, **good)
    assert opened(sealed(claims, keys), keys).claims == claims
    with pytest.raises(MalformedError) as caught:
        sealed(replace(live, **bad), keys)
    assert caught.value.where == where


@pytest.mark.parametrize("kind", [Kind.LIVE, Kind.GUARDIAN])
def test_live_codes_end_after_120_seconds(keys, live, kind):
    longest = replace(live, kind=kind, expires_s=live.issued_s + LIVE_CODE_S)
    assert opened(sealed(longest, keys), keys).claims == longest
    with pytest.raises(MalformedError, match=r"claims\.expires: a live code is valid for at most 120 s"):
        sealed(replace(longest, expires_s=longest.expires_s + 1), keys)
    with pytest.raises(MalformedError, match=r"claims\.expires: not after issued"):
        sealed(replace(longest, expires_s=longest.issued_s), keys)


def test_cards_and_specimens_may_live_until_the_year_9999(keys, live, card):
    for claims in (card, replace(live, kind=Kind.SPECIMEN)):
        last = replace(claims, expires_s=TIME_MAX_MS // 1000)
        assert opened(sealed(last, keys), keys).claims == last
        with pytest.raises(MalformedError, match=r"claims\.expires: beyond the year 9999"):
            sealed(replace(last, expires_s=last.expires_s + 1), keys)


def test_something_must_decide(keys, live, card):
    with pytest.raises(MalformedError, match="claims: neither colour nor status"):
        sealed(replace(live, colour=None), keys)
    with pytest.raises(MalformedError, match=r"claims\.status: a card is decided by its status list"):
        sealed(replace(card, status=None, colour=Colour.GREEN), keys)


def test_the_text_at_its_limit_and_one_above():
    filled = "GL1:" + "0" * (QR_TEXT_CHARS - 4)
    with pytest.raises(MalformedError) as caught:
        codes.parse_text(filled)
    assert not isinstance(caught.value, LimitError) or caught.value.what.startswith("1363 bytes")
    with pytest.raises(LimitError, match="code: 2049 characters, at most 2048 are allowed"):
        codes.parse_text(filled + "0")


def test_the_bytes_at_their_limit_and_one_above(keys, live):
    base = len(base45.decode(with_claims(live, {65: bytes(300)}, keys)[4:]))
    exact = 300 + CODE_BYTES - base
    assert len(base45.decode(with_claims(live, {65: bytes(exact)}, keys)[4:])) == CODE_BYTES
    assert codes.parse_text(with_claims(live, {65: bytes(exact)}, keys)).claims == live
    with pytest.raises(LimitError, match="code: 1025 bytes, at most 1024 are allowed"):
        codes.parse_text(with_claims(live, {65: bytes(exact + 1)}, keys))


def test_an_issuer_cannot_seal_what_is_too_long_to_be_read(keys, card):
    """The claims alone are within 1 KiB, the sealed code is not."""
    uri = replace(card, status=StatusRef(index=0, uri="网" * URI_CHARS), masked=("张" * 32, "1", "2"))
    with pytest.raises(LimitError, match="code: "):
        codes.seal_code(uri, key=keys.issuer)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({2: None}, "claims.subject"),
        ({4: None}, "claims.expires"),
        ({6: None}, "claims.issued"),
        ({-70002: ["a", "b"]}, "claims.masked"),
        ({-70002: [1, 2, 3]}, "claims.masked"),
        ({-70003: 4}, "claims.kind"),
        ({-70003: True}, "claims.kind"),
        ({65535: {}}, "claims.status"),
        ({65535: {"status_list": {"idx": 1}}}, "claims.status"),
        ({65535: {"status_list": {"idx": "1", "uri": "u"}}}, "claims.status.idx"),
        ({65535: {"status_list": {"idx": 1, "uri": "u"}, "other": 1}}, "claims.status"),
        ({64: 0}, "claims"),
        ({-65536: 0}, "claims"),
    ],
)
def test_refusals_name_the_claim(keys, live, changes, where):
    with pytest.raises(MalformedError) as caught:
        codes.parse_text(with_claims(live, changes, keys))
    assert caught.value.where == where
