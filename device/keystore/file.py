"""Ed25519 keys as files of mode 600: for machines without a secure element."""

import stat
from collections.abc import Callable
from pathlib import Path

from device import durable
from device.keystore.ports import KeyStoreError, NoSuchKeyError, checked_name
from protocol.errors import ProtocolError
from protocol.keyfile import encode_seed, parse_private
from protocol.keys import SEED_BYTES, SigningKey
from protocol.limits import KEY_FILE_BYTES


class FileKeyStore:
    """One file a key in `folder`, which is made with the first.

    Args:
        folder: where the files lie.
        random_bytes: `secrets.token_bytes` on a device.
    """

    def __init__(self, folder: Path, *, random_bytes: Callable[[int], bytes]) -> None:
        self._folder = folder
        self._random_bytes = random_bytes

    def make(self, name: str) -> SigningKey:
        """As `KeyStore.make`."""
        path = self._path(name)
        if path.exists():
            raise KeyStoreError(f"{path}: there is a key of this name")
        data = encode_seed(self._random_bytes(SEED_BYTES))
        try:
            durable.make_folder(self._folder)
            durable.write_atomic(path, data)
        except OSError as error:
            raise KeyStoreError(f"{path}: {error.strerror}") from error
        return parse_private(data)

    def load(self, name: str) -> SigningKey:
        """As `KeyStore.load`."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                data = file.read(KEY_FILE_BYTES + 1)
            others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        except FileNotFoundError as error:
            raise NoSuchKeyError(f"{path}: no such key") from error
        except OSError as error:
            raise KeyStoreError(f"{path}: {error.strerror}") from error
        if others:
            raise KeyStoreError(f"{path}: a private key that others may read; chmod 600 it")
        try:
            return parse_private(data)
        except ProtocolError as error:
            raise KeyStoreError(f"{path}: {error}") from error

    def erase(self, name: str) -> None:
        """As `KeyStore.erase`: overwritten, then removed."""
        path = self._path(name)
        try:
            durable.erase(path)
        except OSError as error:
            raise KeyStoreError(f"{path}: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        return self._folder / f"{checked_name(name)}.key"
