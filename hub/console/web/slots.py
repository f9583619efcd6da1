"""How many streams may be open at once, of one account and in all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ACCOUNT_MOST: Final = 8
"""The tabs of one person; somebody who forgets them cannot take everybody's place."""
MOST: Final = 500
"""Each looks into the database once a second: half of what one core can do, and half of all connections."""


class Slots:
    """One for a process. Not for several threads."""

    def __init__(self, *, account_most: int = ACCOUNT_MOST, most: int = MOST) -> None:
        self._account_most, self._most = account_most, most
        self._taken: Counter[str] = Counter()

    def full(self, account: str) -> bool:
        """Whether this account can open no more."""
        return self._taken[account] >= self._account_most or self._taken.total() >= self._most

    @contextmanager
    def one(self, account: str) -> Iterator[None]:
        """Hold a slot."""
        self._taken[account] += 1
        try:
            yield
        finally:
            self._taken[account] -= 1
            self._taken = +self._taken
