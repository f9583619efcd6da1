"""What the stand-in platform signs for phones, seen as a gate sees it."""

import time

import pytest

from deploy.sandbox.platform.authority import bundle_file, root_file
from deploy.sandbox.platform.wallet import CodeKind, CodeRequest
from protocol.codes import parse_text, verify
from protocol.errors import SignatureError, UnknownKeyError
from protocol.keys import EDDSA, ES256, decode_key
from protocol.limits import LIVE_CODE_S
from protocol.terms import Colour, Kind
from protocol.trust import KeyUse, open_trust

NOW_S = int(time.time())


@pytest.fixture
def bundle(authority_folder):
    root = decode_key(root_file(authority_folder).read_bytes())
    return open_trust(bundle_file(authority_folder).read_bytes(), root=root)


def ask(wallet, person=1, kind=CodeKind.LIVE, colour=Colour.GREEN, **more):
    return parse_text(wallet.code(CodeRequest(person=person, colour=colour, kind=kind, **more), now_s=NOW_S))


def verified(code, bundle):
    return verify(code, key=bundle.find(code.kid, use=KeyUse.CODE, at_s=NOW_S))


@pytest.mark.parametrize("colour", [Colour.GREEN, Colour.YELLOW, Colour.RED, Colour.NOTICE])
@pytest.mark.parametrize("person", [1, 2])
def test_a_live_code_verifies_against_the_bundle(wallet, bundle, person, colour):
    claims = verified(ask(wallet, person, colour=colour), bundle).claims
    assert claims.colour is colour
    assert claims.kind is Kind.LIVE
    assert claims.issued_s <= NOW_S <= claims.expires_s
    assert (claims.rule is None) == (colour is Colour.GREEN)


def test_the_two_issuers_sign_with_both_algorithms(wallet):
    assert {ask(wallet, person).sealed.alg for person in (1, 2)} == {EDDSA, ES256}


def test_only_the_platform_can_open_a_subject_and_no_two_are_alike(wallet):
    first, second = ask(wallet, 77), ask(wallet, 77)
    assert first.claims.subject != second.claims.subject
    assert wallet.open_subject(first.claims.subject) == 77
    assert wallet.open_subject(bytes(32)) is None
    assert wallet.open_subject(b"") is None


def test_masked_goes_into_the_code(wallet):
    assert ask(wallet, masked=("张", "11", "23")).claims.masked == ("张", "11", "23")


def test_a_live_code_is_small_enough_for_a_phone_at_arms_length(wallet):
    text = wallet.code(CodeRequest(person=1, colour=Colour.GREEN), now_s=NOW_S)
    # 290 characters are version 11-M; PROTOCOL measures 187 to 237.
    assert len(text) < 290


def test_an_expired_code_is_signed_and_over(wallet, bundle):
    claims = verified(ask(wallet, kind=CodeKind.EXPIRED), bundle).claims
    assert claims.expires_s < NOW_S - LIVE_CODE_S


def test_a_specimen_and_a_card_say_what_they_are(wallet, bundle):
    assert verified(ask(wallet, kind=CodeKind.SPECIMEN), bundle).claims.kind is Kind.SPECIMEN
    card = verified(ask(wallet, 9, kind=CodeKind.CARD), bundle).claims
    assert (card.kind, card.colour, card.status.index) == (Kind.CARD, None, 9)


@pytest.mark.parametrize("person", [1, 2])
def test_a_forged_code_names_a_real_issuer_and_fails(wallet, bundle, person):
    code = ask(wallet, person, kind=CodeKind.FORGED)
    with pytest.raises(SignatureError):
        verified(code, bundle)


def test_a_stranger_is_no_issuer(wallet, bundle):
    with pytest.raises(UnknownKeyError):
        verified(ask(wallet, kind=CodeKind.BAD_ISSUER), bundle)
