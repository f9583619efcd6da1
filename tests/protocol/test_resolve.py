from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol import cbor
from protocol.envelope import AAD_RESOLVED
from protocol.errors import ExpiredError, KeyUseError, LimitError, MalformedError, SignatureError, UnknownKeyError
from protocol.limits import CHECKIN_SUBJECT_BYTES, QUERY_BYTES, QUERY_TEXT_CHARS, RESOLVED_BYTES, RULE_CHARS
from protocol.resolve import open_query, open_resolved, query_id, seal_query, seal_resolved
from protocol.terms import Colour, Scheme
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey
from protocol.vectors import hpke
from protocol.vectors.faults import payload_of
from protocol.vectors.make_gate import AT_S, DEVICE, OTHER_DEVICE
from protocol.vectors.make_resolve import (
    NOBODY,
    NOT_FOUND,
    QUERY,
    RESOLVED,
    RESOLVER,
    RESOLVER_PUBLIC,
    plain_query,
    sealed_query,
)
from protocol.vectors.raw import sign1, with_pairs

NUMBER = replace(QUERY, scheme=Scheme.CARD_NUMBER, text=NOBODY)
STRANGER = X25519PrivateKey.from_private_bytes(b"s" * 32)


@pytest.mark.parametrize(
    "query",
    [
        QUERY,
        NUMBER,
        *(replace(QUERY, text="c" * length) for length in (1, 62, 63, 64, 127, 128, QUERY_TEXT_CHARS)),
        replace(QUERY, text="😀" * QUERY_TEXT_CHARS, place="p" * 32, gate="g" * 32),
        replace(QUERY, text="ends with \x00\x00"),
        replace(QUERY, text="\x80\x00"),
    ],
)
def test_a_query_comes_back_as_it_was_sealed(query):
    data = seal_query(query, resolver=RESOLVER_PUBLIC)
    assert open_query(data, private=RESOLVER) == query
    assert query_id(data) == query.id
    assert len(data) <= QUERY_BYTES


def test_nobody_else_can_read_it_and_no_two_are_alike():
    one, two = (seal_query(NUMBER, resolver=RESOLVER_PUBLIC) for _ in range(2))
    assert one != two
    assert NOBODY.encode() not in one
    assert DEVICE not in one
    with pytest.raises(SignatureError, match="does not open"):
        open_query(one, private=STRANGER)


def test_an_identity_number_stands_in_no_representation():
    assert NOBODY not in repr(NUMBER)


def test_its_length_does_not_tell_an_id_card_from_another_code():
    lengths = {
        len(seal_query(replace(query, text=text), resolver=RESOLVER_PUBLIC))
        for query, text in ((NUMBER, NOBODY), (QUERY, "c"), (QUERY, "c" * 63), (QUERY, "平" * 21))
    }
    assert len(lengths) == 1
    assert len(seal_query(replace(QUERY, text="c" * 64), resolver=RESOLVER_PUBLIC)) == lengths.pop() + 64


def test_a_query_is_bound_to_its_id():
    sealed = cbor.decode(seal_query(QUERY, resolver=RESOLVER_PUBLIC), what="query", limit=QUERY_BYTES)
    with pytest.raises(SignatureError):
        open_query(cbor.encode(sealed | {1: bytes(16)}), private=RESOLVER)
    with pytest.raises(MalformedError, match="another question than the id outside stands for"):
        open_query(sealed_query(plain_query(), outer_id=bytes(16)), private=RESOLVER)


def test_every_altered_bit_shows():
    data = seal_query(QUERY, resolver=RESOLVER_PUBLIC)
    for at in range(len(data)):
        for bit in (0, 7):
            altered = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises((MalformedError, SignatureError)):
                open_query(altered, private=RESOLVER)


def test_the_library_opens_what_was_sealed_by_hand():
    assert open_query(sealed_query(plain_query(NUMBER), outer_id=NUMBER.id), private=RESOLVER) == NUMBER


def test_hpke_by_hand_gives_what_rfc_9180_gives():
    """Appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, first message."""
    sealed = hpke.seal(
        bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479"),
        to=bytes.fromhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"),
        ephemeral=bytes.fromhex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600"),
        info=bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
        aad=bytes.fromhex("436f756e742d30"),
    )
    encapsulated = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
    ciphertext = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    assert sealed.hex() == encapsulated + ciphertext


@pytest.mark.parametrize("resolver", [b"", bytes(31), bytes(33), bytes(32), b"\x01" + bytes(31)])
def test_nothing_is_sealed_to_a_key_that_is_none(resolver):
    with pytest.raises(MalformedError) as caught:
        seal_query(QUERY, resolver=resolver)
    assert caught.value.where == "resolver"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"nonce": bytes(15)}, "query.nonce"),
        ({"device": bytes(9)}, "query.device"),
        ({"place": ""}, "query.place"),
        ({"gate": "a b"}, "query.gate"),
        ({"scheme": Scheme.GATELIGHT}, "query.scheme"),
        ({"scheme": Scheme.ATTENDANT}, "query.scheme"),
        ({"text": ""}, "query.text"),
        ({"text": "c" * (QUERY_TEXT_CHARS + 1)}, "query.text"),
        ({"text": "half a \ud83d"}, "query.text"),
    ],
)
def test_what_the_platform_would_refuse_cannot_be_sealed(changes, where):
    with pytest.raises(MalformedError) as caught:
        seal_query(replace(QUERY, **changes), resolver=RESOLVER_PUBLIC)
    assert caught.value.where == where


@pytest.mark.parametrize("data", [b"", b"\xa0", cbor.encode({1: bytes(16)}), cbor.encode({1: bytes(15), 2: bytes(99)})])
def test_the_hub_refuses_what_is_no_sealed_query(data):
    with pytest.raises(MalformedError):
        query_id(data)


def test_a_longer_one_is_not_looked_into():
    with pytest.raises(LimitError):
        query_id(bytes(QUERY_BYTES + 1))


@pytest.fixture
def trust(keys):
    def trusted(key, use):
        return TrustedKey(key=key.public, uses=frozenset({use}), not_before_s=AT_S - 10, not_after_s=AT_S + 100)

    members = (trusted(keys.platform, KeyUse.RESOLVED), trusted(keys.issuer, KeyUse.CODE))
    issuer = Issuer(name="platform", region="CN", keys=members)
    return TrustBundle(version=1, issued_s=AT_S, expires_s=AT_S + 80, issuers=(issuer,))


@pytest.fixture
def read(trust):
    def opened(data, *, at_s=AT_S, device=DEVICE, query=QUERY.id):
        return open_resolved(data, trust=trust, at_s=at_s, device=device, id=query)

    return opened


FULL = replace(
    RESOLVED, subject=bytes(CHECKIN_SUBJECT_BYTES), colour=Colour.RED, masked=("😀" * 32,) * 3, rule="😀" * RULE_CHARS
)


@pytest.mark.parametrize("resolved", [RESOLVED, NOT_FOUND, FULL, replace(RESOLVED, subject=bytes(16))])
def test_an_answer_comes_back_as_it_was_sealed(keys, read, resolved):
    data = seal_resolved(resolved, key=keys.platform)
    assert read(data) == replace(resolved, issuer_kid=keys.platform.public.kid)
    assert len(data) <= RESOLVED_BYTES


def test_only_a_key_for_answers_answers(keys, read):
    with pytest.raises(KeyUseError, match="not for resolved"):
        read(seal_resolved(RESOLVED, key=keys.issuer))
    with pytest.raises(UnknownKeyError):
        read(seal_resolved(RESOLVED, key=keys.hub))
    data = seal_resolved(RESOLVED, key=keys.platform)
    with pytest.raises(SignatureError):
        read(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(KeyUseError, match="window"):
        read(data, at_s=AT_S - 11)


def test_an_answer_is_for_one_device_and_one_query(keys, read):
    data = seal_resolved(RESOLVED, key=keys.platform)
    with pytest.raises(MalformedError, match="another device"):
        read(data, device=OTHER_DEVICE)
    with pytest.raises(MalformedError, match="another query"):
        read(data, query=bytes(16))


def test_an_answer_ends(keys, read):
    data = seal_resolved(RESOLVED, key=keys.platform)
    assert read(data, at_s=RESOLVED.expires_s).found
    with pytest.raises(ExpiredError, match="ended at"):
        read(data, at_s=RESOLVED.expires_s + 1)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(15)}, "resolved.id"),
        ({2: None}, "resolved.device"),
        ({3: 1}, "resolved.found"),
        ({3: None}, "resolved.found"),
        ({3: False}, "resolved.found"),
        ({4: None}, "resolved.subject"),
        ({4: bytes(15)}, "resolved.subject"),
        ({4: bytes(CHECKIN_SUBJECT_BYTES + 1)}, "resolved.subject"),
        ({5: None}, "resolved.colour"),
        ({5: 4}, "resolved.colour"),
        ({5: False}, "resolved.colour"),
        ({6: None}, "resolved.issued"),
        ({7: AT_S}, "resolved.expires"),
        ({8: ["a", "b"]}, "resolved.masked"),
        ({9: ""}, "resolved.rule"),
        ({10: 0}, "resolved"),
        ({3: False, 4: None, 5: None, 9: "R"}, "resolved.found"),
    ],
)
def test_refused_answers_name_the_field(keys, read, changes, where):
    payload = payload_of(seal_resolved(RESOLVED, key=keys.platform))
    with pytest.raises(MalformedError) as caught:
        read(sign1(with_pairs(payload, changes), key=keys.platform, aad=AAD_RESOLVED))
    assert caught.value.where == where


def test_nobody_in_between_can_have_another_text_answered_under_the_same_id():
    """He sees the id and can seal to the platform as well, but the id stands for what was asked."""
    for other in (
        replace(QUERY, text="somebody else"),
        replace(QUERY, nonce=bytes(16)),
        replace(QUERY, device=bytes(8)),
    ):
        forged = sealed_query(plain_query(other), outer_id=QUERY.id)
        with pytest.raises(MalformedError, match="another question"):
            open_query(forged, private=RESOLVER)
