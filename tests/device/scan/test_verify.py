import pytest

from device.model import Refusal
from device.scan.verify import verify_text
from protocol import base45, cbor
from protocol.codes import VerifiedCode
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.trust import KeyUse


def verify_at(world, text, **bundle):
    return verify_text(text, trust=world.bundle(**bundle), now_s=world.now_s)


@pytest.mark.parametrize("issuer", ["issuer", "second_issuer"])
def test_a_code_of_any_issuer_in_the_bundle_is_verified(world, issuer):
    shown = verify_at(world, world.text(key=getattr(world, issuer)))
    assert isinstance(shown, VerifiedCode)
    assert shown.claims == world.claims()
    assert shown.issuer_kid == getattr(world, issuer).public.kid


def test_an_unknown_issuer_is_told_apart_and_nothing_it_says_is_kept(world):
    stranger = Ed25519SigningKey(bytes(32))
    shown = verify_at(world, world.text(key=stranger))
    assert shown == Refusal(reason=Reason.UNKNOWN_ISSUER, code_hash=shown.code_hash, issuer_kid=stranger.public.kid)


@pytest.mark.parametrize("bundle", [{"not_after_s": 1}, {"uses": frozenset({KeyUse.STATUS})}])
def test_a_key_outside_its_window_or_use_is_an_unknown_issuer(world, bundle):
    assert verify_at(world, world.text(), **bundle).reason is Reason.UNKNOWN_ISSUER


def test_a_changed_signature_is_bad(world):
    data = bytearray(base45.decode(world.text()[4:]))
    data[-1] ^= 1
    assert verify_at(world, "GL1:" + base45.encode(bytes(data))).reason is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("text", ["GL1:", "GL1:é", "GL1:%%%", "GL1:" + "0" * 3000, "GL1:NCF"])
def test_damage_is_malformed_and_still_has_a_hash(world, text):
    shown = verify_at(world, text)
    assert shown.reason is Reason.MALFORMED
    assert len(shown.code_hash) == 16


def test_a_later_version_is_unsupported(world):
    assert verify_at(world, "GL2:ABC").reason is Reason.UNSUPPORTED


def test_another_algorithm_is_unsupported(world):
    protected = cbor.encode({1: -37, 4: bytes(8)})
    payload = base45.decode(world.text()[4:])
    sealed = cbor.decode(payload[1:], what="code", limit=1024)
    data = b"\xd2" + cbor.encode([protected, {}, sealed[2], bytes(64)])
    assert verify_at(world, "GL1:" + base45.encode(data)).reason is Reason.UNSUPPORTED
