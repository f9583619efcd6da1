"""A figure is a pair of times taken in turns in the same run: ours, and the bare work inside it."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

HEAD = ("| what | ours | baseline | baseline | ratio |", "|---|---:|---|---:|---:|")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table; times in µs."""

    what: str
    ours_us: float
    baseline: str
    baseline_us: float
    digits: int = 1

    def row(self) -> str:
        ratio = self.ours_us / self.baseline_us
        ours, bare = f"{self.ours_us:,.{self.digits}f}", f"{self.baseline_us:,.{self.digits}f}"
        return f"| {self.what} | {ours} | {self.baseline} | {bare} | {ratio:.2f} |"


def compare(
    what: str,
    ours: Callable[[], object],
    baseline_name: str,
    baseline: Callable[[], object],
    *,
    per: int = 1,
    rounds: int = 40,
    calls: int = 20,
) -> Figure:
    """Medians of `rounds` rounds of `calls` calls each, taken in turn. `per`: ours does so many at a time."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, into in ((ours, times[0]), (baseline, times[1])):
            began = time.perf_counter()
            for _ in range(calls):
                function()
            into.append((time.perf_counter() - began) / calls * 1e6)
    return Figure(
        what=what,
        ours_us=statistics.median(times[0]) / per,
        baseline=baseline_name,
        baseline_us=statistics.median(times[1]),
    )
