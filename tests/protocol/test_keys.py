import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import LimitError, MalformedError, SignatureError, UnsupportedError
from protocol.keys import (
    EDDSA,
    ES256,
    Ed25519SigningKey,
    P256SigningKey,
    VerifyKey,
    decode_key,
    encode_key,
    low_s,
)
from protocol.vectors.raw import P256_ORDER, flip_s

BOTH = pytest.mark.parametrize("name", ["device", "device_p256"])


@BOTH
def test_a_key_verifies_what_it_signed_and_nothing_else(keys, name):
    key = getattr(keys, name)
    signature = key.sign(b"message")
    key.public.verify(b"message", signature)
    for message, wrong in (
        (b"messagf", signature),
        (b"message", bytes(64)),
        (b"message", b"\xff" * 64),
        (b"message", signature[::-1]),
        (b"message", signature[:63]),
        (b"message", signature + b"\x00"),
        (b"message", b""),
    ):
        with pytest.raises(SignatureError):
            key.public.verify(message, wrong)


@BOTH
def test_signatures_are_deterministic(keys, name):
    key = getattr(keys, name)
    assert key.sign(b"message") == key.sign(b"message")


@given(st.binary(max_size=40))
def test_es256_signatures_have_low_s(message):
    key = P256SigningKey(ec.derive_private_key(7, ec.SECP256R1()))
    signature = key.sign(message)
    assert int.from_bytes(signature[32:], "big") <= P256_ORDER // 2
    assert low_s(signature) == signature
    assert low_s(flip_s(signature)) == signature


@pytest.mark.parametrize("s", [0, 1, P256_ORDER // 2, P256_ORDER, P256_ORDER + 1, 2**256 - 1])
def test_low_s_leaves_low_and_impossible_numbers_alone(s):
    signature = bytes(32) + s.to_bytes(32, "big")
    assert low_s(signature) == signature


def test_low_s_at_its_boundary():
    signature = bytes(32) + (P256_ORDER // 2 + 1).to_bytes(32, "big")
    assert low_s(signature) == bytes(32) + (P256_ORDER // 2).to_bytes(32, "big")


@BOTH
def test_the_kid_is_the_head_of_the_thumbprint(keys, name):
    public = getattr(keys, name).public
    assert public.kid == hashlib.sha256(encode_key(public)).digest()[:8]
    assert decode_key(encode_key(public)) == public
    assert VerifyKey.from_cose(public.cose_key) == public


def test_algorithms_belong_to_keys(keys):
    assert (keys.device.public.alg, keys.device_p256.public.alg) == (EDDSA, ES256)


def test_signing_keys_refuse_what_is_no_key_of_theirs():
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        Ed25519SigningKey(bytes(31))
    with pytest.raises(ValueError, match="secp384r1, not P-256"):
        P256SigningKey(ec.generate_private_key(ec.SECP384R1()))


@pytest.mark.parametrize(
    ("value", "error", "what"),
    [
        ([], MalformedError, "not a map"),
        ({}, MalformedError, "missing or not an integer"),
        ({1: True, -1: 6, -2: b"\x09" + bytes(31)}, MalformedError, "missing or not an integer"),
        ({1: 1, -1: 6}, MalformedError, "coordinates"),
        ({1: 1, -1: 6, -2: "x"}, MalformedError, "coordinates"),
        ({1: 2, -1: 1, -2: bytes(32)}, MalformedError, "coordinates"),
        ({1: 1, -1: 4, -2: bytes(32)}, UnsupportedError, "key type 1 with curve 4"),
        ({1: 3, -1: 1}, UnsupportedError, "key type 3"),
        ({1: 1, -1: 6, -2: bytes(32)}, MalformedError, "not a valid Ed25519"),
        ({1: 1, -1: 6, -2: bytes(33)}, MalformedError, "not a valid Ed25519"),
        ({1: 2, -1: 1, -2: b"\xff" * 32, -3: bytes(32)}, MalformedError, "not below the prime"),
        ({1: 2, -1: 1, -2: bytes(32), -3: b"\xff" * 32}, MalformedError, "not below the prime"),
        ({1: 2, -1: 1, -2: bytes(32), -3: bytes(31) + b"\x01"}, MalformedError, "not a point"),
    ],
)
def test_refusals_say_what_is_wrong_with_a_key(value, error, what):
    with pytest.raises(error, match=what) as caught:
        VerifyKey.from_cose(value)
    assert caught.value.where == "key"


def test_the_size_of_an_encoded_key_is_bounded(keys):
    padded = cbor.encode(keys.device.public.cose_key | {65: bytes(190)})
    assert len(padded) < 256
    with pytest.raises(MalformedError, match="not alone"):
        decode_key(padded)
    with pytest.raises(LimitError):
        decode_key(cbor.encode(keys.device.public.cose_key | {65: bytes(256)}))


def test_a_key_is_a_value(keys):
    again = VerifyKey.ed25519(keys.device.public.x)
    assert again == keys.device.public
    assert hash(again) == hash(keys.device.public)
    assert again != keys.hub.public


def test_a_key_is_opened_once(keys):
    data = encode_key(keys.device.public)
    assert decode_key(bytes(bytearray(data))) is decode_key(data)
