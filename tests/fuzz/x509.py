"""A certificate authority and a device's certificate and request, always the same ones: where runs over DER begin."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

NOW_S = 1_795_334_400
_DEVICE = "3fa1c20b7d5e9046"
_CA_KEY = ec.derive_private_key(0xCA, ec.SECP256R1())
_KEY = ec.derive_private_key(0xD0, ec.SECP256R1())
TLS_KEY = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
CA_HASH = hashlib.sha256(_CA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _certificate(name: str, public: ec.EllipticCurvePublicKey, *, authority: bool) -> bytes:
    began = datetime.fromtimestamp(NOW_S, UTC) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name("Gatelight"))
        .public_key(public)
        .serial_number(7)
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    return builder.sign(_CA_KEY, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


@cache
def ca() -> bytes:
    """The authority's, DER."""
    return _certificate("Gatelight", _CA_KEY.public_key(), authority=True)


@cache
def leaf() -> bytes:
    """The device's, DER."""
    return _certificate(_DEVICE, _KEY.public_key(), authority=False)


@cache
def request() -> bytes:
    """The device's request, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(_DEVICE))
    return builder.sign(_KEY, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)
