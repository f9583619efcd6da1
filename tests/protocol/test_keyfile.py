import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LimitError, MalformedError, ProtocolError, UnsupportedError
from protocol.keyfile import encode_seed, parse_private
from protocol.keys import Ed25519SigningKey
from protocol.limits import KEY_FILE_BYTES


def pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_both_forms_sign():
    seed = bytes(range(32))
    assert parse_private(encode_seed(seed)).public == Ed25519SigningKey(seed).public
    key = parse_private(pem(ec.generate_private_key(ec.SECP256R1())))
    key.public.verify(b"message", key.sign(b"message"))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (b"ed25519 ", MalformedError),
        (b"ed25519 00", MalformedError),
        (b"ed25519 " + b"zz" * 32, MalformedError),
        (b"ed25519 \xff", MalformedError),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", MalformedError),
        (b"x" * (KEY_FILE_BYTES + 1), LimitError),
        (pem(ec.generate_private_key(ec.SECP384R1())), UnsupportedError),
        (pem(ed25519.Ed25519PrivateKey.generate()), UnsupportedError),
        (pem(rsa.generate_private_key(65537, 2048)), UnsupportedError),
    ],
)
def test_anything_else_is_refused_without_showing_what_it_was(data, error):
    with pytest.raises(error) as raised:
        parse_private(data)
    assert "zz" not in str(raised.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_a_refusal(data):
    for given_ in (data, b"ed25519 " + data, b"-----BEGIN PRIVATE KEY-----\n" + data):
        try:
            parse_private(given_)
        except ProtocolError:
            continue
