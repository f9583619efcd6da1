"""Place codes, and what a hub asks for them."""

from dataclasses import replace

import pytest

from protocol import cbor, envelope
from protocol.envelope import AAD_PLACE_REQUEST
from protocol.errors import KeyUseError, LimitError, MalformedError, SignatureError, UnknownKeyError
from protocol.limits import PLACE_CODE_BYTES, PLACE_REQUEST_BYTES, QR_TEXT_CHARS
from protocol.placecode import PlaceCode, is_place_code, open_place_code, seal_place_code
from protocol.placerequest import (
    Applicant,
    open_applicant,
    open_place_request,
    seal_applicant,
    seal_place_request,
)
from protocol.terms import CertificateKind, PlaceKind
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, open_trust, seal_trust
from protocol.vectors.make_places import APPLICANT, APPLICATION, REQUEST, REQUEST_ID, RESOLVER, RESOLVER_PUBLIC

NOW_S = 1_790_000_000
CODE = PlaceCode(place="mall", name="江北万象城", serial=1, issued_s=NOW_S)
WIDE = "😀"


@pytest.fixture
def trust(keys):
    def trusted(key, *uses):
        return TrustedKey(
            key=key.public, uses=frozenset(uses), not_before_s=NOW_S - 100, not_after_s=NOW_S + 100
        )  # fmt: skip

    members = (trusted(keys.platform, KeyUse.PLACE), trusted(keys.issuer, KeyUse.CODE))
    return TrustBundle(
        version=1, issued_s=NOW_S, expires_s=NOW_S + 1000, issuers=(Issuer(name="i", region="CN", keys=members),)
    )


def test_a_code_comes_back_as_it_was_made(keys, trust):
    text = seal_place_code(CODE, key=keys.platform)
    assert is_place_code(text)
    assert open_place_code(text, trust=trust, at_s=NOW_S) == CODE


def test_only_a_key_for_places_within_its_window_makes_one(keys, trust):
    with pytest.raises(KeyUseError, match="not for place"):
        open_place_code(seal_place_code(CODE, key=keys.issuer), trust=trust, at_s=NOW_S)
    with pytest.raises(UnknownKeyError):
        open_place_code(seal_place_code(CODE, key=keys.stranger), trust=trust, at_s=NOW_S)
    with pytest.raises(KeyUseError, match="window"):
        open_place_code(seal_place_code(CODE, key=keys.platform), trust=trust, at_s=NOW_S + 101)


def test_an_altered_code_is_refused(keys, trust):
    text = seal_place_code(CODE, key=keys.platform)
    for at in range(5, len(text)):
        other = text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :]
        with pytest.raises((MalformedError, SignatureError, UnknownKeyError)):
            open_place_code(other, trust=trust, at_s=NOW_S)


@pytest.mark.parametrize("name", ["a\u202eb", "a\nb", "a\u200db", "\x1b[31m", "", "n" * 65])
def test_a_name_that_steers_what_shows_it_is_refused(keys, name):
    with pytest.raises(MalformedError):
        seal_place_code(replace(CODE, name=name), key=keys.platform)


def test_the_longest_code_fits_its_limit_and_a_scanner(keys):
    text = seal_place_code(replace(CODE, name=WIDE * 64, place="p" * 32, serial=2**63 - 1), key=keys.platform)
    assert len(text) < PLACE_CODE_BYTES * 3 / 2 < QR_TEXT_CHARS


def test_the_longest_application_fits_its_limit(keys):
    longest = replace(
        APPLICATION, place="p" * 32, name=WIDE * 64, kind=PlaceKind.VILLAGE, body=WIDE * 64, certificate=WIDE * 32,
        certificate_kind=CertificateKind.ID_CARD, division="9" * 12, region=(WIDE * 32,) * 4,
        latitude_udeg=-90_000_000, longitude_udeg=-180_000_000, address=WIDE * 128, people_limit=1_000_000,
        applicant=WIDE * 32, commitment=WIDE * 500, sealed=bytes(512),
    )  # fmt: skip
    data = seal_place_request(replace(REQUEST, asks=longest), key=keys.hub)
    assert len(data) <= PLACE_REQUEST_BYTES
    assert open_place_request(data, key=keys.hub.public).asks == longest
    with pytest.raises(LimitError):
        open_place_request(data + bytes(PLACE_REQUEST_BYTES), key=keys.hub.public)


def test_an_applicants_numbers_open_for_the_platform_and_their_request_alone():
    sealed = seal_applicant(APPLICANT, request_id=REQUEST_ID, resolver=RESOLVER_PUBLIC)
    assert open_applicant(sealed, request_id=REQUEST_ID, private=RESOLVER) == APPLICANT
    assert APPLICANT.phone.encode() not in sealed
    with pytest.raises(SignatureError):
        open_applicant(sealed, request_id=bytes(16), private=RESOLVER)
    with pytest.raises(MalformedError, match="X25519"):
        seal_applicant(APPLICANT, request_id=REQUEST_ID, resolver=bytes(32))


def test_numbers_stand_in_no_representation():
    applicant = Applicant(id_number="110101209912310015", phone="13900000001", certificate="110101209912310015")
    assert "1" not in repr(applicant)


@pytest.mark.parametrize("uses", [{KeyUse.CODE, 77}, {77}, {KeyUse.PLACE, 6, 2**64 - 1}])
def test_a_bundle_with_uses_of_a_later_version_is_taken_and_kept_whole(keys, trust, uses):
    later = TrustedKey(key=keys.hub.public, uses=frozenset(uses), not_before_s=0, not_after_s=NOW_S)
    bundle = replace(trust, issuers=(*trust.issuers, Issuer(name="later", region="CN", keys=(later,))))
    data = seal_trust(bundle, key=keys.root)
    opened = open_trust(data, root=keys.root.public)
    assert opened == bundle
    assert seal_trust(opened, key=keys.root) == data
    for use in KeyUse:
        if use in uses:
            assert opened.find(keys.hub.public.kid, use=use, at_s=NOW_S) == keys.hub.public
        else:
            with pytest.raises(KeyUseError):
                opened.find(keys.hub.public.kid, use=use, at_s=NOW_S)


def test_a_request_is_an_application_or_a_reissue(keys):
    data = seal_place_request(REQUEST, key=keys.hub)
    assert open_place_request(data, key=keys.hub.public) == REQUEST
    with pytest.raises(SignatureError):
        open_place_request(data, key=keys.platform.public)
    payload = cbor.encode({1: REQUEST.id, 2: REQUEST.at_ms})
    with pytest.raises(MalformedError, match="neither"):
        open_place_request(envelope.seal(payload, key=keys.hub, aad=AAD_PLACE_REQUEST), key=keys.hub.public)
