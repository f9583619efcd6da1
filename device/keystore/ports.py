"""The port of a key store.

Keys are made inside and never leave; whoever needs one knows its name and gets something that signs. Names are
`[a-z0-9-]`, 1 to 64 characters, and are never used twice: a new key gets a new name, so that a power cut between
making the new and erasing the old leaves both, each under its own.
"""

import re
from typing import Protocol

from protocol.keys import SigningKey

_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)


class KeyStoreError(Exception):
    """The store cannot do it: not there, full, locked, or it refuses. The sentence names store and key."""


class NoSuchKeyError(KeyStoreError):
    """There is no key of this name."""


class KeyStore(Protocol):
    """Makes, finds and erases signing keys by name."""

    def make(self, name: str) -> SigningKey:
        """A new key, which outlives a power cut once this has returned.

        Raises:
            KeyStoreError: the name is taken, or the store cannot.
        """

    def load(self, name: str) -> SigningKey:
        """The key of this name.

        Raises:
            NoSuchKeyError: there is none.
            KeyStoreError: it cannot be used.
        """

    def erase(self, name: str) -> None:
        """Removes the key for good. Nothing happens where there is none.

        Raises:
            KeyStoreError: it is still there.
        """


def make_or_load(keys: KeyStore, name: str) -> SigningKey:
    """The key of this name, made if a power cut came before it was.

    Raises:
        KeyStoreError: the store cannot.
    """
    try:
        return keys.load(name)
    except NoSuchKeyError:
        return keys.make(name)


def checked_name(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: it could be a path or an option: a mistake of ours.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"not the name of a key: {name!r}")
    return name
