"""HPKE (RFC 9180) in base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, no aad.

HPKE draws a fresh key for each sealing: this is the one place where this package is not a pure function.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from protocol import cbor
from protocol.errors import MalformedError, SignatureError

SEALING_BYTES: Final = 32 + 16
"""Longer than the plaintext: the encapsulated key, and the tag."""
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def seal_to(public: bytes, plain: bytes, *, info: bytes, where: str) -> bytes:
    """Plaintext -> encapsulated key (32 bytes) and ciphertext.

    Raises:
        MalformedError: no X25519 key that anything can be sealed to.
    """
    try:
        return _SUITE.encrypt(plain, X25519PublicKey.from_public_bytes(public), info=info)
    except ValueError as error:  # a wrong length, or a point of small order
        raise MalformedError(where, "not a usable X25519 public key") from error


def key_fingerprint(public: bytes) -> str:
    """Public key -> the first 128 bits of its thumbprint (RFC 9679: SHA-256 over its COSE_Key), in groups of four.

    For people to compare on two screens. Sixteen bytes, as a key that is like another in fewer could be searched for.
    """
    digits = hashlib.sha256(cbor.encode({1: 1, -1: 4, -2: public})).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def open_sealed(data: bytes, *, private: X25519PrivateKey, info: bytes, where: str) -> bytes:
    """Encapsulated key and ciphertext -> plaintext.

    Raises:
        SignatureError: sealed to another key or for another id, or altered.
    """
    try:
        return _SUITE.decrypt(data, private, info=info)
    except (InvalidTag, ValueError) as error:
        raise SignatureError(where, "does not open with this key and id") from error
