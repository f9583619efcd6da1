"""Which codes were admitted a moment ago: one code, one person. Pure: both clocks are arguments.

A card counts as used for a while, and that while runs by the monotonic clock: a wall clock that jumps ahead does not
make the gate forget it early, and one that jumps back does not make it remember it for ever. A live code counts as
used until it could no longer be shown. How long that is depends on what the wall clock will say, so it is over only
when *both* clocks say so: after a jump back the code is valid again, and must still be found here.
"""

from collections.abc import Iterable
from typing import Self

MEMORY_CODES = 16_384
"""More than four hours of a gate that passes 60 people a minute, in about 4 MB. What was admitted first goes first."""


class Memory:
    """The codes that this gate admitted, by their hash."""

    def __init__(self) -> None:
        # Hash -> the ends on the monotonic and on the wall clock; in the order of admission.
        self._ends: dict[bytes, tuple[int, int]] = {}

    @classmethod
    def loaded(cls, used: Iterable[tuple[bytes, int]], *, now_ms: int, mono_ms: int, longest_ms: int) -> Self:
        """What the spool remembers, after a restart. The monotonic clock began anew, so the wall clock is asked once.

        Args:
            used: code hashes, each with the ms since 1970 until which it counts as used.
            now_ms: wall clock.
            mono_ms: monotonic clock.
            longest_ms: no code counts as used for longer than this (`decide.longest_use_ms`): what the wall clock
                says beyond it is a jump.
        """
        memory = cls()
        for code_hash, until_ms in sorted(used, key=lambda row: row[1])[-MEMORY_CODES:]:
            left_ms = min(until_ms - now_ms, longest_ms)
            memory._ends[code_hash] = mono_ms + left_ms, until_ms
        return memory

    def was_used(self, code_hash: bytes, *, now_ms: int, mono_ms: int, live: bool) -> bool:
        """Whether the code was admitted and its time is not over; for a `live` code, by either clock."""
        end_mono_ms, end_ms = self._ends.get(code_hash, (0, 0))
        return mono_ms < end_mono_ms or (live and now_ms < end_ms)

    def admitted(self, code_hash: bytes, *, until_ms: int, now_ms: int, mono_ms: int) -> None:
        """Remember an admitted code until the wall clock, as it goes now, says `until_ms`."""
        if len(self._ends) >= MEMORY_CODES:
            self._make_room(now_ms=now_ms, mono_ms=mono_ms)
        # Taken out first, so that it stands last: the newest is the last to go.
        self._ends.pop(code_hash, None)
        self._ends[code_hash] = mono_ms + until_ms - now_ms, until_ms

    def _make_room(self, *, now_ms: int, mono_ms: int) -> None:
        """Forget what is over by both clocks; if hardly anything is, what was admitted first. Rare, about 2 ms."""
        lasting = [(code, ends) for code, ends in self._ends.items() if mono_ms < ends[0] or now_ms < ends[1]]
        self._ends = dict(lasting[-MEMORY_CODES * 3 // 4 :])
