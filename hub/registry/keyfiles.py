"""The hub's own signing key, made once and kept in a file."""

import os
import secrets
from pathlib import Path

from hub.registry.checks import RegistryError
from protocol.keyfile import encode_seed
from protocol.keys import Ed25519SigningKey, VerifyKey, encode_key
from protocol.limits import KEY_FILE_BYTES


def create_signing_key(path: Path) -> VerifyKey:
    """Make a new Ed25519 key: private at `path`, for its owner only, and public at `path` + `.pub` as COSE_Key.

    The private file is one line, `ed25519 ` and the seed in hex. Devices get the public one.

    Raises:
        RegistryError: a file cannot be written, or is there already.
    """
    seed = secrets.token_bytes(32)
    public = Ed25519SigningKey(seed).public
    write_new(path, encode_seed(seed), mode=0o600)
    write_new(path.with_name(path.name + ".pub"), encode_key(public), mode=0o644)
    return public


def read_key_file(path: Path) -> bytes:
    """The bytes of a public key's file.

    Raises:
        RegistryError: it cannot be read, or is too long to be a key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(KEY_FILE_BYTES + 1)
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error
    if len(data) > KEY_FILE_BYTES:
        raise RegistryError(f"{path}: over {KEY_FILE_BYTES} bytes, no key is that long")
    return data


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """A file that was not there, on the disk when this returns.

    Raises:
        RegistryError: it is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error
