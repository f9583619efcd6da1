"""A figure is a pair of times taken in turns in the same run: ours, and the bare work inside it."""

import statistics
import time
from collections.abc import Callable

from result import Row


def compare(
    what: str,
    ours: Callable[[], object],
    baseline: str,
    bare: Callable[[], object],
    *,
    per: int = 1,
    bare_per: int = 1,
    rounds: int = 40,
    calls: int = 20,
) -> Row:
    """Medians of `rounds` rounds of `calls` calls each, taken in turn. `per`: one call of ours does so many at a time."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, into in ((ours, times[0]), (bare, times[1])):
            began = time.perf_counter()
            for _ in range(calls):
                function()
            into.append((time.perf_counter() - began) / calls * 1e6)
    return Row(
        what=what,
        ours=statistics.median(times[0]) / per,
        unit="µs",
        baseline=baseline,
        baseline_value=statistics.median(times[1]) / bare_per,
    )


def percentile(values: list[float], share: float) -> float:
    """The value below which the share lies; `share` from 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
