"""How long to wait before the next attempt. Pure: the randomness is passed in."""

from collections.abc import Callable


class Backoff:
    """Waits that double from `first_ms` to `bound_ms`, each spread over as long again.

    A wait lies between `base` and `2 * base`, where `base` is `first_ms`, then twice that, and so on, but never
    more than half of `bound_ms`. The spread is wide on purpose: when a broker comes back, a thousand gates
    must not knock in the same second (a TLS handshake costs it 0.7 ms).

    Args:
        first_ms: the shortest wait.
        bound_ms: the longest wait; at least twice `first_ms`.
        random: returns a float in [0, 1), e.g. `random.SystemRandom().random`.
    """

    def __init__(self, *, first_ms: int, bound_ms: int, random: Callable[[], float]) -> None:
        if first_ms < 1 or bound_ms < 2 * first_ms:
            raise ValueError("a back-off needs first_ms >= 1 and bound_ms >= 2 * first_ms")
        self._first_ms = first_ms
        self._bound_ms = bound_ms
        self._random = random
        self._base_ms = first_ms

    def next_ms(self) -> int:
        """The wait before the next attempt, in ms; the one after it is about twice as long."""
        base_ms = self._base_ms
        self._base_ms = min(2 * base_ms, self._bound_ms // 2)
        return base_ms + int(self._random() * base_ms)

    def reset(self) -> None:
        """An attempt went well: the next wait is short again."""
        self._base_ms = self._first_ms
