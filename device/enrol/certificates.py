"""TLS keys, requests and certificates of a device (RFC 5280, RFC 2986). P-256 throughout."""

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from device.enrol.errors import AnswerError, SiteError, UntrustedError

_BROKEN = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises, here and there, for certificates that are not well-formed."""


def make_tls_key() -> bytes:
    """A new key, PEM. Its randomness is OpenSSL's."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def request_for(tls_key: bytes, *, name: str) -> bytes:
    """Key (PEM) -> certificate request, DER. The hub gives the certificate its own name: the device id."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_private(tls_key), hashes.SHA256())
    return request.public_bytes(Encoding.DER)


def check_ca(der: bytes, *, ca_hash: bytes, now_s: int | None) -> None:
    """Whether this is the authority that a provisioning code names.

    1. SHA-256 of its SubjectPublicKeyInfo is the code's.
    2. It is an authority (RFC 5280 §4.2.1.9), and may sign certificates (§4.2.1.3).
    3. It is within its time; `now_s` is None while the clock is not to be believed.

    Raises:
        UntrustedError: one of them does not hold.
    """
    try:
        ca = x509.load_der_x509_certificate(der)
        # 1.
        if _public_hash(ca) != ca_hash:
            raise UntrustedError("the certificate authority is not the one that the code names")
        # 2.
        if not _may_sign(ca):
            raise UntrustedError("the certificate with the hash in the code is no authority's")
    except _BROKEN as error:
        raise UntrustedError(f"not the certificate of an authority: {error}") from error
    # 3.
    if now_s is not None and not _within(ca, now_s):
        raise UntrustedError("the certificate authority is outside its time")


def check_chain(chain: tuple[bytes, ...], *, tls_key: bytes, device: bytes, ca: bytes, now_s: int | None) -> None:
    """Whether the broker will take these certificates for this device's.

    1. The first is for our TLS key, and its name is the device id.
    2. Each is signed by the next, and the last by the authority, which may itself stand at the end.
    3. Each is within its time; `now_s` is None while the clock is not to be believed.

    Raises:
        AnswerError: one of them does not hold.
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        authority = x509.load_der_x509_certificate(ca)
        if len(certificates) > 1 and certificates[-1] == authority:
            certificates.pop()
        # 1.
        own = certificates[0]
        if _public_der(own.public_key()) != _public_der(_private(tls_key).public_key()):
            raise AnswerError("the certificate is for another key")
        names = [str(name.value) for name in own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        if names != [device.hex()]:
            raise AnswerError("the certificate is for another device")
        # 2.
        for signed, by in zip(certificates, [*certificates[1:], authority], strict=True):
            if not _may_sign(by):
                raise AnswerError("a certificate is signed by one that is no authority's")
            signed.verify_directly_issued_by(by)
    except InvalidSignature as error:
        raise AnswerError("a certificate is not signed by the next") from error
    except _BROKEN as error:
        raise AnswerError(f"not a chain of certificates: {error}") from error
    # 3.
    if now_s is not None and not all(_within(certificate, now_s) for certificate in certificates):
        raise AnswerError("a certificate is outside its time")


def window_s(pem: bytes) -> tuple[int, int]:
    """First certificate of a PEM file -> from when to when it holds, in s since 1970.

    Raises:
        SiteError: there is none.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except _BROKEN as error:
        raise SiteError(f"not a certificate: {error}") from error
    return int(certificate.not_valid_before_utc.timestamp()), int(certificate.not_valid_after_utc.timestamp())


def to_pem(*ders: bytes) -> bytes:
    """Certificates, DER -> one PEM file.

    Raises:
        AnswerError: one is no certificate.
    """
    try:
        return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders)
    except _BROKEN as error:
        raise AnswerError(f"not a certificate: {error}") from error


def to_der(pem: bytes) -> bytes:
    """First certificate of a PEM file -> DER.

    Raises:
        SiteError: there is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except _BROKEN as error:
        raise SiteError(f"not a certificate: {error}") from error


def public_hash(der: bytes) -> bytes:
    """Certificate, DER -> SHA-256 of its SubjectPublicKeyInfo.

    Raises:
        AnswerError: it is no certificate.
    """
    try:
        return _public_hash(x509.load_der_x509_certificate(der))
    except _BROKEN as error:
        raise AnswerError(f"not a certificate: {error}") from error


def _public_hash(certificate: x509.Certificate) -> bytes:
    return hashlib.sha256(_public_der(certificate.public_key())).digest()


def _public_der(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _private(tls_key: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(tls_key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the TLS key is not an elliptic curve key")
    return key


def _may_sign(certificate: x509.Certificate) -> bool:
    extensions = certificate.extensions
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as error:
        # Whoever says nothing of the key's usage allows every one; whoever does not say CA is none.
        return error.oid == x509.KeyUsage.oid


def _within(certificate: x509.Certificate, now_s: int) -> bool:
    now = datetime.fromtimestamp(now_s, UTC)
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
