"""Who this gate is: its signing key, and the public keys that it trusts.

Key files have the forms of `protocol.keyfile`. Private files must not be readable by others.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

from device.keystore.ports import KeyStore, KeyStoreError
from protocol import cbor
from protocol.errors import ProtocolError
from protocol.keyfile import parse_private
from protocol.keys import SigningKey, VerifyKey, decode_key
from protocol.limits import HUB_KEYS, KEY_FILE_BYTES


class IdentityError(Exception):
    """A key cannot be used; the sentence names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """This device's id (8 bytes) and keys. The hub's are 1 to HUB_KEYS, the one in use first."""

    device: bytes
    signing: SigningKey
    hub_keys: tuple[VerifyKey, ...]
    root: VerifyKey

    @property
    def hub(self) -> VerifyKey:
        """The hub's key in use."""
        return self.hub_keys[0]


def load_identity(
    *,
    device: bytes,
    signing: Path | None,
    hub: Path,
    root: Path,
    stored: str | None = None,
    store: KeyStore | None = None,
) -> Identity:
    """Reads the key files.

    Args:
        device: the id, 8 bytes.
        signing: this device's key as a file; else `stored` is its name in `store`.
        hub: the hub's public keys.
        root: the platform's root.
        stored: see `signing`.
        store: see `signing`.

    Raises:
        IdentityError: a key is missing, readable by others, or none.
    """
    own = load_signing(signing) if signing is not None else load_stored(stored, store)
    return Identity(device=device, signing=own, hub_keys=load_hub_keys(hub), root=load_public(root))


def load_stored(name: str | None, store: KeyStore | None) -> SigningKey:
    """A key of the key store.

    Raises:
        IdentityError: it is not there, or cannot be used.
    """
    if name is None or store is None:
        raise IdentityError("the signing key is neither a file nor in a key store")
    try:
        return store.load(name)
    except KeyStoreError as error:
        raise IdentityError(str(error)) from error


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


def load_hub_keys(path: Path) -> tuple[VerifyKey, ...]:
    """A file with one COSE_Key, or with an array of up to HUB_KEYS of them -> keys.

    Raises:
        IdentityError: missing, or anything else.
    """
    try:
        value = cbor.decode(_read(path), what="hub keys", limit=KEY_FILE_BYTES)
        listed = value if isinstance(value, list) else [value]
        if not 1 <= len(listed) <= HUB_KEYS:
            raise IdentityError(f"{path}: {len(listed)} keys, 1 to {HUB_KEYS} are allowed")
        return tuple(VerifyKey.from_cose(key) for key in listed)
    except ProtocolError as error:
        raise IdentityError(f"{path}: {error}") from error


def encode_hub_keys(keys: tuple[VerifyKey, ...]) -> bytes:
    """Keys -> the file that `load_hub_keys` reads."""
    return cbor.encode([key.cose_key for key in keys])


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_FILE_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{path}: {error.strerror}") from error
    if len(data) > KEY_FILE_BYTES:
        raise IdentityError(f"{path}: over {KEY_FILE_BYTES} bytes, no key is that long")
    return data
