"""Who this gate is: its signing key, and the public keys that it trusts, from files.

Their forms are those of `protocol.keyfile`. Private files must not be readable by others.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import ProtocolError
from protocol.keyfile import parse_private
from protocol.keys import SigningKey, VerifyKey, decode_key
from protocol.limits import KEY_FILE_BYTES


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
        return parse_private(data)
    except ProtocolError as error:
        raise IdentityError(f"{path}: {error}") from error


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
            data = file.read(KEY_FILE_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{path}: {error.strerror}") from error
    if len(data) > KEY_FILE_BYTES:
        raise IdentityError(f"{path}: over {KEY_FILE_BYTES} bytes, no key is that long")
    return data
