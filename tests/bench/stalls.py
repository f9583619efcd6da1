"""When the machine itself stood still: a virtual one is now and then not run by its host, whatever runs in it.

On each processor a process of the highest priority sleeps for a millisecond again and again. Nothing in this machine
may keep it from waking (as root; otherwise what else runs may), so where it wakes late the processor was away.
"""

import json
import os
import select
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

LEAST_MS = 4.0
"""What is shorter is the sleep itself."""
PAUSE_S = 0.001


class Stalls:
    """From `with` to its end. Afterwards it knows each time at which a processor was away."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []
        self.by_privilege = True
        self._probes: list[subprocess.Popen[str]] = []
        self._began_s = self._ended_s = 0.0

    def __enter__(self) -> Self:
        self._began_s = time.monotonic()
        self._probes = [
            subprocess.Popen(
                [sys.executable, __file__, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for number in sorted(os.sched_getaffinity(0))
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for probe in self._probes:
            found = json.loads(probe.communicate("")[0])
            self.by_privilege &= found["privileged"]
            self.spans += [tuple(span) for span in found["spans"]]
        self.spans.sort()
        self._ended_s = time.monotonic()

    @property
    def longest_ms(self) -> float:
        return max((1000 * (ended - began) for began, ended in self.spans), default=0.0)

    @property
    def share(self) -> float:
        """Of the processors' time, how much they were away in pieces of `LEAST_MS` and more."""
        whole_s = (self._ended_s - self._began_s) * max(1, len(self._probes))
        return sum(ended - began for began, ended in self.spans) / whole_s

    def overlap(self, began_s: float, ended_s: float) -> bool:
        """Whether a processor was away in this time, by the monotonic clock."""
        # No stall of more than two seconds was seen; what began before cannot reach this far.
        at = bisect_left(self.spans, (began_s - 2.0,))
        while at < len(self.spans) and self.spans[at][0] < ended_s:
            if self.spans[at][1] > began_s:
                return True
            at += 1
        return False

    def undisturbed_ms(self, waits: Iterable[Iterable[float]]) -> list[float]:
        """How long each of these waits took, from and to a time, in ms; without those that a stall falls into."""
        return [1000 * (ended - began) for began, ended in waits if not self.overlap(began, ended)]

    def note(self) -> str:
        """What to say of a run."""
        return (
            f"The machine itself stood still meanwhile, for up to {self.longest_ms:.0f} ms: a processor was away for "
            f"{LEAST_MS:g} ms or more {len(self.spans)} times, {100 * self.share:.1f} % of the time, as a process of the highest "
            f"priority saw that only sleeps{'' if self.by_privilege else ' (not as root: what else ran is in it)'}."
        )


def probe(number: int) -> None:
    """Until stdin ends."""
    os.sched_setaffinity(0, {number})
    privileged = False
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        privileged = True
    spans = []
    last_s = time.monotonic()
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        now_s = time.monotonic()
        if 1000 * (now_s - last_s) >= LEAST_MS:
            spans.append((last_s, now_s))
        last_s = now_s
    print(json.dumps({"privileged": privileged, "spans": spans}))


if __name__ == "__main__":
    probe(int(sys.argv[1]))
