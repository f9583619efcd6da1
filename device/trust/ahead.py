"""Deltas that came before the list they continue: kept until the whole list is there, since nobody sends them again."""

from collections import deque
from dataclasses import dataclass

AHEAD_DELTAS = 256
AHEAD_BYTES = 512 * 1024
"""For all lists together. The oldest goes first: a list that comes later may begin behind it."""

Key = tuple[str, str]
"""(issuer name, uri)."""


@dataclass(frozen=True, slots=True)
class _Kept:
    key: Key
    from_version: int
    data: bytes


class Ahead:
    """Verified deltas, as signed."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._bytes = 0

    def put(self, key: Key, *, from_version: int, data: bytes) -> None:
        """Keeps one, at the cost of the oldest."""
        if any(kept.key == key and kept.data == data for kept in self._kept):
            return
        self._kept.append(_Kept(key, from_version, data))
        self._bytes += len(data)
        while len(self._kept) > AHEAD_DELTAS or self._bytes > AHEAD_BYTES:
            self._bytes -= len(self._kept.popleft().data)

    def take(self, key: Key, *, version: int) -> bytes | None:
        """The delta that continues this version, if it is here. Those before it are dropped."""
        found = None
        remaining: deque[_Kept] = deque()
        for kept in self._kept:
            if kept.key == key and kept.from_version == version and found is None:
                found = kept.data
            elif kept.key != key or kept.from_version > version:
                remaining.append(kept)
        self._kept = remaining
        self._bytes = sum(len(kept.data) for kept in remaining)
        return found
