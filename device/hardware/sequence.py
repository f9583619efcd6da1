"""Steps with times -> switched values. One supervised thread plays them; the next sequence interrupts at once.

The first step is applied by the caller itself, because frame-to-light time counts and a thread switch costs. Later
steps are taken from the elapsed time, not added up: a late thread skips ahead and the rhythm never drifts.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from device.hardware.ports import HardwareError

Value = TypeVar("Value")

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence(Generic[Value]):
    """Values, each with the ms it holds. With `repeat` they start again until `total_ms` is over."""

    steps: tuple[tuple[Value, int], ...]
    repeat: bool
    total_ms: int

    def at(self, elapsed_ns: int) -> tuple[Value, int] | None:
        """The value `elapsed_ns` after the start and the ns at which it ends; None when all is over. Pure."""
        total_ns = self.total_ms * NS_PER_MS
        if elapsed_ns >= total_ns:
            return None
        until_ns = 0
        if self.repeat:
            round_ns = sum(step_ms for _, step_ms in self.steps) * NS_PER_MS
            until_ns = elapsed_ns // round_ns * round_ns
        for value, step_ms in self.steps:
            until_ns += step_ms * NS_PER_MS
            if elapsed_ns < until_ns:
                return value, min(until_ns, total_ns)
        return None


class SequencePlayer(Generic[Value]):
    """Plays one sequence at a time through `apply`; `rest` is the value between sequences.

    `apply` is called under a lock, by the caller of `play` and by the player's thread in turn.
    """

    def __init__(
        self,
        *,
        name: str,
        apply: Callable[[Value], None],
        rest: Value,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._apply = apply
        self._rest = rest
        self._clock_ns = clock_ns
        self._changed = threading.Condition()
        self._sequence: Sequence[Value] | None = None
        self._started_ns = 0
        self._due_ns = 0
        self._ended = False
        self._failed: Exception | None = None
        self._apply(rest)
        self._thread = threading.Thread(target=self._run, name=f"{name}-player", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> Exception | None:
        """What ended the player's thread; None while it is well."""
        return self._failed

    def play(self, sequence: Sequence[Value]) -> None:
        """Start `sequence` now, instead of whatever is playing. Returns with its first step applied.

        Raises:
            HardwareError: the switch failed, now or earlier in the thread, or the player was shut down.
        """
        with self._changed:
            self._check()
            self._sequence = sequence
            self._started_ns = self._clock_ns()
            self._guarded_step()
            self._changed.notify()

    def stop(self) -> None:
        """Go back to rest now.

        Raises:
            HardwareError: as `play`.
        """
        with self._changed:
            self._check()
            self._sequence = None
            self._guarded_step()

    def shutdown(self) -> None:
        """Go to rest and end the thread. May be called twice; tries the switch even after a failure."""
        with self._changed:
            if not self._ended:
                self._ended = True
                self._sequence = None
                self._changed.notify()
                self._guarded_step()
        self._thread.join()

    def _check(self) -> None:
        if self._failed is not None:
            raise HardwareError(f"{self._thread.name} has died") from self._failed
        if self._ended:
            raise HardwareError(f"{self._thread.name} was shut down")

    def _guarded_step(self) -> None:
        try:
            self._step()
        except Exception as error:
            raise HardwareError(f"{self._thread.name} cannot switch its part") from error

    def _step(self) -> None:
        step = self._sequence.at(self._clock_ns() - self._started_ns) if self._sequence else None
        if step is None:
            self._sequence = None
            self._apply(self._rest)
        else:
            value, until_ns = step
            self._due_ns = self._started_ns + until_ns
            self._apply(value)

    def _run(self) -> None:
        try:
            with self._changed:
                while not self._ended:
                    if self._sequence is None:
                        self._changed.wait()
                    elif (left_ns := self._due_ns - self._clock_ns()) > 0:
                        self._changed.wait(left_ns / 1e9)
                    else:
                        self._step()
        except Exception as error:
            # Kept for whoever shows the next signal, and raised for the log.
            self._failed = error
            raise
