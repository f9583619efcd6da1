"""The publisher's keys: Ed25519, one PEM file a role, readable for their owner only.

root.pem         says which keys the others are; offline, under a passphrase
targets.pem      signs which bundles there are; where releases are made
snapshot.pem     signs which lists of bundles belong together; likewise
timestamp.pem    signs what is newest, every few days; may lie where nobody watches
"""

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # its __all__ is made at run time

from deploy.firmware.errors import FirmwareError

ROOT: Final = "root"
ROLES: Final = (ROOT, "targets", "snapshot", "timestamp")


class Keys:
    """The folder. `passphrase` is of the root's key; None where it has none."""

    def __init__(self, folder: Path, *, passphrase: bytes | None = None) -> None:
        self._folder, self._passphrase = folder, passphrase

    def make(self, role: str) -> CryptoSigner:
        """A new key in the place of an older one, which is kept as `<role>.pem.old`.

        Raises:
            OSError: the disk did not allow it.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, key = self._path(role), Ed25519PrivateKey.generate()
        if path.exists():
            path.rename(path.with_name(f"{path.name}.old"))
        kept: KeySerializationEncryption = NoEncryption()
        if role == ROOT and self._passphrase is not None:
            kept = BestAvailableEncryption(self._passphrase)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kept))
            file.flush()
            os.fsync(file.fileno())
        return CryptoSigner(key)

    def signer(self, role: str) -> CryptoSigner:
        """The key of a role.

        Raises:
            FirmwareError: it is not here, or is no such key, or under another passphrase.
        """
        path = self._path(role)
        try:
            key = load_pem_private_key(path.read_bytes(), self._passphrase if role == ROOT else None)
        except OSError as error:
            raise FirmwareError(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise FirmwareError(f"{path}: cannot be read as a key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise FirmwareError(f"{path}: is no Ed25519 key")
        return CryptoSigner(key)

    def has(self, role: str) -> bool:
        """Whether this role's key lies here."""
        return self._path(role).exists()

    def _path(self, role: str) -> Path:
        return self._folder / f"{role}.pem"
