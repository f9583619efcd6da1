"""A request for a certificate (PKCS#10) -> the public key in it, checked. What else it says counts for nothing."""

import hashlib
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from hub.registry.checks import RegistryError
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey
from protocol.limits import CSR_BYTES

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_COORDINATE_BYTES: Final = 32


def checked_csr(data: bytes) -> PublicKey:
    """DER -> key.

    1. Its length.
    2. It can be read, and names a P-256 or an Ed25519 key.
    3. That key signed it: whoever asks holds it.
    4. The key is a sound one.

    Raises:
        RegistryError: one of them fails.
    """
    # 1.
    if len(data) > CSR_BYTES:
        raise RegistryError(f"a certificate request of {len(data)} bytes, at most {CSR_BYTES} are allowed")
    try:
        # 2.
        csr = x509.load_der_x509_csr(data)
        public = csr.public_key()
        signed = csr.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise RegistryError(f"no certificate request: {error}") from error
    if isinstance(public, ed25519.Ed25519PublicKey) or (
        isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)
    ):
        # 3.
        if not signed:
            raise RegistryError("a certificate request that its own key did not sign")
        # 4.
        try:
            as_verify_key(public)
        except ProtocolError as error:
            raise RegistryError(f"a certificate request for an unsound key: {error}") from error
        return public
    raise RegistryError("a certificate request for a key that is neither P-256 nor Ed25519")


def as_verify_key(public: PublicKey) -> VerifyKey:
    """The same key as this wire writes signing keys, to be compared with one.

    Raises:
        MalformedError: it is no sound key.
    """
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers = public.public_numbers()
        return VerifyKey.p256(
            numbers.x.to_bytes(_COORDINATE_BYTES, "big"), numbers.y.to_bytes(_COORDINATE_BYTES, "big")
        )
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return VerifyKey.ed25519(raw)


def key_digest(public: PublicKey) -> bytes:
    """SHA-256 of the public key info (RFC 5280 §4.1.2.7), 32 bytes."""
    info = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).digest()
