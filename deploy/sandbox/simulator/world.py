"""The clock and the order of events: whoever wants something later asks the world, and nothing happens but by it."""

import hashlib
import heapq
import random
from collections.abc import Callable
from itertools import count

WALL_MS = 1_790_000_000_000
"""When every history begins: a day in September 2026."""


class World:
    """Simulated time, one source of chance, and the log that makes a history readable.

    Attributes:
        rng: every chance in a history is drawn from here, in the order of events.
        steps: how many events have happened.
        now_us: microseconds since the beginning.
    """

    def __init__(self, *, seed: int, say: Callable[[str], None] | None = None) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - it must be repeatable.
        self.steps = 0
        self._say = say
        self.now_us = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()
        self._digest = hashlib.sha256()

    @property
    def now_ms(self) -> int:
        """Milliseconds since the beginning."""
        return self.now_us // 1000

    @property
    def digest(self) -> str:
        """What tells one history from another: the hash of everything that was said."""
        return self._digest.hexdigest()

    def after(self, ms: float, act: Callable[[], None]) -> int:
        """Let something happen in `ms` from now, after everything that was asked for that moment before.

        Returns the moment, in microseconds.
        """
        at_us = self.now_us + max(0, round(ms * 1000))
        heapq.heappush(self._events, (at_us, next(self._number), act))
        return at_us

    def step(self) -> None:
        """Let the next event happen."""
        at_us, _, act = heapq.heappop(self._events)
        self.now_us = max(self.now_us, at_us)
        self.steps += 1
        act()

    def pass_time(self, ms: float) -> None:
        """Time that goes by while somebody waits for a disk: what was due meanwhile happens late."""
        self.now_us += round(ms * 1000)

    def say(self, who: str, what: str) -> None:
        """One line of the history."""
        line = f"{self.now_us / 1_000_000:10.3f}  {who:<9} {what}"
        self._digest.update(line.encode())
        if self._say is not None:
            self._say(line)

    def likely(self, probability: float) -> bool:
        """Whether it happens this time."""
        return self.rng.random() < probability

    def between(self, low: float, high: float) -> float:
        """A number, every one of them as likely."""
        return low + (high - low) * self.rng.random()


class WallClock:
    """What one machine takes for the time of day."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ahead_ms = 0
        self.most_ahead_ms = 0
        self.trusted = True

    def now_ms(self) -> int:
        """Milliseconds since 1970, as this machine believes."""
        return WALL_MS + self._world.now_ms + self.ahead_ms

    def jump(self, ms: int, *, noticed: bool) -> None:
        """The clock is set wrong; `noticed`: and the machine knows that it cannot tell the time."""
        self.ahead_ms += ms
        self.most_ahead_ms = max(self.most_ahead_ms, self.ahead_ms)
        self.trusted = not noticed

    def set_right(self) -> None:
        """The time service is back."""
        self.ahead_ms, self.trusted = 0, True
