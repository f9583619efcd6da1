"""Certificates and signing keys for one sandbox site, as files.

Two certificate authorities, because there are two owners: the site's own, which is the hub's (broker, hub, gates), and
the platform's (its server, and the client certificate it gave to this hub). TLS keys are P-256, which every
TLS 1.3 stack has (RFC 8446 §9.1). Private files are created 0600, never widened and narrowed again.
"""

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.registry.authority import create_authority, load_authority
from protocol.keyfile import encode_seed, parse_private
from protocol.keys import Ed25519SigningKey, P256SigningKey, SigningKey, encode_key

VALID_DAYS = 90
# A gate's clock may be a little behind; certificates start earlier than now.
BACKDATE = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Where one party finds its TLS files, all PEM."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Where one signing key lies: the private file (0600) and the COSE_Key bytes for everyone else."""

    signing: Path
    public: Path


class CertificateAuthority:
    """One CA that signs servers and clients into its folder.

    Args:
        folder: gets `ca.crt` and a `.crt` and `.key` for every name issued.
        name: the CA's common name.
        now: certificates are valid from an hour before to `VALID_DAYS` after it.
    """

    def __init__(self, folder: Path, *, name: str, now: dt.datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate_file = folder / "ca.crt"
        self._folder = folder
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        usage = _key_usage(signs_certificates=True)
        builder = self._builder(self._name, self._key.public_key())
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str, *, host: str = "127.0.0.1") -> CertificateFiles:
        """A server certificate for `localhost` and the address `host`."""
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(host))])
        return self._issue(name, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, name: str) -> CertificateFiles:
        """A client certificate whose common name is `name`."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issue(
        self, name: str, use: x509.ObjectIdentifier, names: x509.SubjectAlternativeName | None
    ) -> CertificateFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(_name(name), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(issuer_id, critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        files = CertificateFiles(
            ca=self.certificate_file, cert=self._folder / f"{name}.crt", key=self._folder / f"{name}.key"
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        files.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_private(files.key, _pem(key))
        return files

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATE)
            .not_valid_after(self._now + dt.timedelta(days=VALID_DAYS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


class SiteAuthority:
    """The hub's own certificate authority, made and used as the hub does.

    Args:
        folder: gets `ca.crt` and `ca.key`, and a `.crt` and `.key` for every name issued.
        now: certificates begin a little before it.
    """

    def __init__(self, folder: Path, *, now: dt.datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate_file, self.key_file = folder / "ca.crt", folder / "ca.key"
        self._folder = folder
        self._now_ms = int(now.timestamp() * 1000)
        name = "Gatelight sandbox site CA"
        create_authority(cert=self.certificate_file, key=self.key_file, name=name, now_ms=self._now_ms)
        self._authority = load_authority(
            cert=self.certificate_file, key=self.key_file, days=VALID_DAYS, now_ms=self._now_ms
        )

    def server(self, name: str, *, host: str = "127.0.0.1") -> CertificateFiles:
        """A server certificate for the address `host` and `localhost`."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._authority.issue_server(key.public_key(), hosts=(host, "localhost"), now_ms=self._now_ms)
        return self._write(name, key, made.der)

    def client(self, name: str) -> CertificateFiles:
        """A client certificate whose common name is `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._authority.issue_client(key.public_key(), name=name, now_ms=self._now_ms)
        return self._write(name, key, made.der)

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, der: bytes) -> CertificateFiles:
        files = CertificateFiles(
            ca=self.certificate_file, cert=self._folder / f"{name}.crt", key=self._folder / f"{name}.key"
        )
        pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
        files.cert.write_bytes(pem)
        write_private(files.key, _pem(key))
        return files


def make_signing_key(folder: Path, *, name: str, p256: bool = False) -> KeyFiles:
    """Makes one signing key: Ed25519, or P-256 as a gate with a TPM would hold it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = KeyFiles(signing=folder / f"{name}.signing", public=folder / f"{name}.cose")
    key: SigningKey
    if p256:
        private = ec.generate_private_key(ec.SECP256R1())
        key = P256SigningKey(private)
        write_private(files.signing, _pem(private))
    else:
        seed = os.urandom(32)
        key = Ed25519SigningKey(seed)
        write_private(files.signing, encode_seed(seed))
    files.public.write_bytes(encode_key(key.public))
    return files


def read_signing_key(path: Path) -> SigningKey:
    """Reads what `make_signing_key` wrote.

    Raises:
        ProtocolError: the file is neither of the two forms.
    """
    return parse_private(path.read_bytes())


def write_private(path: Path, data: bytes) -> None:
    """Writes a new file that only its owner can read, from its first byte on.

    Raises:
        FileExistsError: a private file is never overwritten.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


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
