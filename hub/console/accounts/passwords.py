"""Passwords: what is taken for one, and argon2id of it (RFC 9106 §4, second recommended option)."""

import asyncio
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

CHARS_LEAST: Final = 12
CHARS_MOST: Final = 256
"""argon2 takes more; nobody types more."""
_HASHES_AT_ONCE: Final = 2
"""64 MiB each: whoever asks for more waits."""


class PasswordError(ValueError):
    """Not a password that is taken; the sentence says why."""


class Passwords:
    """Hashes in threads, few at once. One for a process."""

    def __init__(self, *, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
        self._turns = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """A password that `checked` has taken -> PHC string."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, normal(password))

    async def fits(self, password: str, phc: str | None) -> bool:
        """Whether it is the password. Takes as long when there is none, so that nobody learns which names exist."""
        async with self._turns:
            fits = await asyncio.to_thread(self._verify, normal(password), phc or self._nobody)
        return fits and phc is not None

    def is_weaker(self, phc: str) -> bool:
        """Whether the hash was made with less than is asked now: make it anew when the password is at hand."""
        return self._hasher.check_needs_rehash(phc)

    def _verify(self, password: str, phc: str) -> bool:
        try:
            return self._hasher.verify(phc, password)
        except (Argon2Error, InvalidHashError):
            return False


def normal(password: str) -> str:
    """The same characters whatever keyboard they came from (NIST SP 800-63B §5.1.1.2: NFKC)."""
    return unicodedata.normalize("NFKC", password)


def checked(password: str, *, name: str) -> str:
    """A new password for the account `name`.

    Raises:
        PasswordError: too short, too long, made of one or two characters, or with the account's name in it.
    """
    password = normal(password)
    if not CHARS_LEAST <= len(password) <= CHARS_MOST:
        raise PasswordError(f"a password has {CHARS_LEAST} to {CHARS_MOST} characters")
    if len(set(password)) <= 2:
        raise PasswordError("a password of one or two different characters is soon guessed")
    if name.casefold() in password.casefold():
        raise PasswordError("the account's name must not stand in its password")
    return password
