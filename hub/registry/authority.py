"""The hub's certificate authority: who may speak to the broker, and who the hub itself is.

A device asks with a CSR; only its public key is taken from it, all else is said here: CN = device id, client
authentication, a random serial number. Every certificate is written down by the caller before it is handed out.
"""

import datetime as dt
import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.registry.checks import RegistryError
from hub.registry.keyfiles import read_key_file, write_new
from hub.registry.requests import PublicKey, key_digest
from hub.store.enrol_ports import Certificate
from protocol.limits import CERTIFICATE_BYTES

AUTHORITY_YEARS: Final = 10
"""A new authority means a visit to every device: longer than they last."""
BACKDATE_S: Final = 3600
"""A device's clock may be behind ours; certificates begin an hour before they are made."""
_SERIAL_BYTES: Final = 16
"""Random, as the CA/Browser Forum asks of 8 bytes at least; RFC 5280 §4.1.2.2 allows 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A loaded authority. Built by `load_authority`."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    days: int
    """How long what it signs is good for; never longer than the authority itself."""

    @property
    def der(self) -> bytes:
        """Its own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_hash(self) -> bytes:
        """SHA-256 of its public key info, 32 bytes: what provisioning codes pin."""
        return key_digest(self.key.public_key())

    def issue_device(self, public: PublicKey, *, device_id: bytes, now_ms: int) -> Certificate:
        """A device's certificate, CN = its id. Raises RegistryError when the authority has ended."""
        return self._issue(public, name=device_id.hex(), hosts=(), device_id=device_id, now_ms=now_ms)

    def issue_client(self, public: PublicKey, *, name: str, now_ms: int) -> Certificate:
        """A certificate of a client that is no device, such as the hub itself at the broker. Raises RegistryError."""
        return self._issue(public, name=name, hosts=(), device_id=None, now_ms=now_ms)

    def issue_server(self, public: PublicKey, *, hosts: tuple[str, ...], now_ms: int) -> Certificate:
        """A server's certificate for these names and addresses, CN = the first of them. Raises RegistryError."""
        return self._issue(public, name=hosts[0], hosts=hosts, device_id=None, now_ms=now_ms)

    def _issue(
        self, public: PublicKey, *, name: str, hosts: tuple[str, ...], device_id: bytes | None, now_ms: int
    ) -> Certificate:
        now = dt.datetime.fromtimestamp(now_ms // 1000, dt.UTC)
        ends = min(now + dt.timedelta(days=self.days), self.certificate.not_valid_after_utc)
        if ends <= now:
            raise RegistryError(f"the certificate authority has ended on {ends:%Y-%m-%d}")
        begins = max(now - dt.timedelta(seconds=BACKDATE_S), self.certificate.not_valid_before_utc)
        if begins > now:
            raise RegistryError(f"the certificate authority begins on {begins:%Y-%m-%d}, or the clock is wrong")
        use = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        serial = 1 << 8 * _SERIAL_BYTES - 2 | secrets.randbits(8 * _SERIAL_BYTES - 2)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(serial)
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        made = builder.sign(self.key, hashes.SHA256())
        return Certificate(
            serial=serial.to_bytes(_SERIAL_BYTES, "big"),
            device_id=device_id,
            name=name,
            key=key_digest(public),
            der=made.public_bytes(serialization.Encoding.DER),
            issued_ms=now_ms,
            not_after_ms=int(ends.timestamp()) * 1000,
        )


def create_authority(*, cert: Path, key: Path, name: str, now_ms: int) -> x509.Certificate:
    """Make an authority with a P-256 key: `key` is PKCS#8 PEM for its owner only, `cert` PEM for everybody.

    Raises:
        RegistryError: a file cannot be written, or is there already.
    """
    now = dt.datetime.fromtimestamp(now_ms // 1000, dt.UTC)
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(seconds=BACKDATE_S))
        .not_valid_after(now + dt.timedelta(days=AUTHORITY_YEARS * 365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    if cert.exists():
        raise RegistryError(f"{cert}: File exists")
    write_new(key, private_pem(private), mode=0o600)
    write_new(cert, made.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return made


def load_authority(*, cert: Path, key: Path, days: int, now_ms: int) -> Authority:
    """Files -> authority.

    1. The key is for its owner only, and P-256.
    2. The certificate is this key's, signed by it, and short enough for the wire.
    3. It is an authority's.
    4. It has begun and not ended.

    Raises:
        RegistryError: one of them fails; the sentence names the file.
    """
    # 1.
    private = _read_private(key)
    # 2.
    try:
        certificate = x509.load_pem_x509_certificate(read_key_file(cert))
        certificate.verify_directly_issued_by(certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise RegistryError(f"{cert}: no certificate of an authority that signed itself: {error}") from error
    if certificate.public_key() != private.public_key():
        raise RegistryError(f"{cert}: the certificate of another key than {key}")
    if len(certificate.public_bytes(serialization.Encoding.DER)) > CERTIFICATE_BYTES:
        raise RegistryError(f"{cert}: over {CERTIFICATE_BYTES} bytes, no device would take it")
    # 3.
    if not constraints.ca or not usage.key_cert_sign:
        raise RegistryError(f"{cert}: may not sign certificates")
    # 4.
    now = dt.datetime.fromtimestamp(now_ms // 1000, dt.UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise RegistryError(f"{cert}: outside its time, which ends on {certificate.not_valid_after_utc:%Y-%m-%d}")
    return Authority(certificate=certificate, key=private, days=days)


def key_hash_of(cert: Path) -> bytes:
    """An authority's certificate alone -> what provisioning codes pin. Raises RegistryError."""
    try:
        public = x509.load_pem_x509_certificate(read_key_file(cert)).public_key()
    except ValueError as error:
        raise RegistryError(f"{cert}: no certificate: {error}") from error
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise RegistryError(f"{cert}: the certificate of another kind of key")
    return key_digest(public)


def private_pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as its file holds it."""
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    data = read_key_file(path)
    if path.stat().st_mode & 0o077:
        raise RegistryError(f"{path}: others than its owner may read the private key; chmod 600 it")
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise RegistryError(f"{path}: no private key in PEM without password") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise RegistryError(f"{path}: not a P-256 key")
    return private


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
