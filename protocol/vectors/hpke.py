"""HPKE by hand (RFC 9180 §5.1, §6.1), for vectors: one message, base mode, the one suite of this wire.

The library that seals queries draws its ephemeral key itself, and vectors must come out the same each time. It is a
second implementation too: what is sealed here must open there.
"""  # noqa: INP001 - as raw.py

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_KEM_ID, _KDF_ID, _AEAD_ID = 0x0020, 0x0001, 0x0003
_KEM = b"KEM" + _KEM_ID.to_bytes(2, "big")
_SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (_KEM_ID, _KDF_ID, _AEAD_ID))
_BASE_MODE = b"\x00"
_KEY_BYTES, _NONCE_BYTES, _SECRET_BYTES = 32, 12, 32


def seal(plain: bytes, *, to: bytes, ephemeral: bytes, info: bytes, aad: bytes = b"") -> bytes:
    """Plaintext -> encapsulated key and ciphertext, sealed to a public key with a given ephemeral private key."""
    private = X25519PrivateKey.from_private_bytes(ephemeral)
    encapsulated = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    shared = private.exchange(X25519PublicKey.from_public_bytes(to))
    extracted = _extract(_KEM, b"", b"eae_prk", shared)
    secret = _expand(_KEM, extracted, b"shared_secret", encapsulated + to, _SECRET_BYTES)
    context = _BASE_MODE + _extract(_SUITE, b"", b"psk_id_hash", b"") + _extract(_SUITE, b"", b"info_hash", info)
    scheduled = _extract(_SUITE, secret, b"secret", b"")
    key = _expand(_SUITE, scheduled, b"key", context, _KEY_BYTES)
    nonce = _expand(_SUITE, scheduled, b"base_nonce", context, _NONCE_BYTES)
    return encapsulated + ChaCha20Poly1305(key).encrypt(nonce, plain, aad)


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    """LabeledExtract (§4) with HKDF-SHA256."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, hashlib.sha256)


def _expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """LabeledExpand (§4) with HKDF-SHA256; one block is enough here."""
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(secret, labelled + b"\x01", hashlib.sha256)[:length]
