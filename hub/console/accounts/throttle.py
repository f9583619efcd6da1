"""Who guesses waits: longer with each wrong guess. In memory, in bounded space."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FREE_ADDRESS: Final = 10
"""Wrong guesses before the first wait: people mistype, and several may share an address."""
FREE_NAME: Final = 20
"""More than from one address: else whoever knows a name keeps its owner out."""
FREE_SLIP: Final = 10
"""Slip numbers that do not exist before the first wait: they are read out, and misheard."""
WAIT_MOST_S: Final = 900.0
FORGET_S: Final = 3600.0
KEYS_MAX: Final = 10_000
"""Of more, the one that guessed longest ago is forgotten: with that many addresses there are still few guesses at one
account."""
_DOUBLINGS: Final = 20


@dataclass(slots=True)
class _Guesser:
    wrong: int
    last_s: float


class Throttle:
    """By a key, such as an account's name or an address: `free` wrong guesses cost nothing, the next 1, 2, 4, ... s."""

    def __init__(self, *, now_s: Callable[[], float], free: int) -> None:
        self._now_s, self._free = now_s, free
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Seconds until the next guess is looked at; 0: now."""
        guesser = self._guessers.get(key)
        if guesser is None or guesser.wrong < self._free:
            return 0.0
        wait_s = min(WAIT_MOST_S, float(2 ** min(guesser.wrong - self._free, _DOUBLINGS)))
        return max(0.0, guesser.last_s + wait_s - self._now_s())

    def wrong(self, key: str) -> None:
        """A wrong guess."""
        now_s = self._now_s()
        guesser = self._guessers.pop(key, None)
        if guesser is None or now_s - guesser.last_s > FORGET_S:
            guesser = _Guesser(wrong=0, last_s=now_s)
        guesser.wrong += 1
        guesser.last_s = now_s
        self._guessers[key] = guesser
        if len(self._guessers) > KEYS_MAX:
            self._guessers.popitem(last=False)

    def right(self, key: str) -> None:
        """The right answer: nothing is held against it any more."""
        self._guessers.pop(key, None)
