"""Who this gate is: its signing key, and the public keys that it trusts, from files.

A private signing key is one line, `ed25519 ` and the 32-byte seed in hex, or a PKCS#8 PEM of a P-256 key. A public
key is a COSE_Key. Private files must not be readable by others.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protocol.errors import ProtocolError
from protocol.keys import Ed25519SigningKey, P256SigningKey, SigningKey, VerifyKey, decode_key

_FILE_LIMIT_BYTES = 4096


class IdentityError(Exception):
    """A key file cannot be used; the sentence names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """This device's id (8 bytes) and keys."""

    device: bytes
    signing: SigningKey
    hub: VerifyKey
    root: VerifyKey


def load_identity(*, device: bytes, signing: Path, hub: Path, root: Path) -> Identity:
    """Reads the key files.

    Raises:
        IdentityError: a file is missing, readable by others, or no key.
    """
    return Identity(device=device, signing=load_signing(signing), hub=load_public(hub), root=load_public(root))


def load_signing(path: Path) -> SigningKey:
    """A private key file -> key.

    Raises:
        IdentityError: missing, readable by others, or no key of ours.
    """
    data = _read(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise IdentityError(f"{path}: a private key that others may read; chmod 600 it")
    try:
        if data.startswith(b"ed25519 "):
            return Ed25519SigningKey(bytes.fromhex(data.removeprefix(b"ed25519 ").decode("ascii").strip()))
        private = load_pem_private_key(data, password=None)
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return P256SigningKey(private)
    except (ValueError, TypeError) as error:
        raise IdentityError(f"{path}: not a private key: {error}") from error
    raise IdentityError(f"{path}: neither an Ed25519 seed nor a P-256 key")


def load_public(path: Path) -> VerifyKey:
    """A public key file -> key.

    Raises:
        IdentityError: missing, or no COSE_Key of ours.
    """
    try:
        return decode_key(_read(path))
    except ProtocolError as error:
        raise IdentityError(f"{path}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{path}: {error.strerror}") from error
    if len(data) > _FILE_LIMIT_BYTES:
        raise IdentityError(f"{path}: over {_FILE_LIMIT_BYTES} bytes, no key is that long")
    return data
