"""`gatelight-sandbox simulate`: one history to read, or ten thousand to find the one that breaks."""

import argparse
import gc
import json
import multiprocessing
import os
import platform
import sqlite3
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deploy.sandbox.simulator.simulate import STEPS, History, simulate

_SHARE = 25
"""Histories that a worker takes at once."""


@dataclass(slots=True)
class Tally:
    """What many histories had in them."""

    histories: int = 0
    steps: int = 0
    seconds: float = 0.0
    people: int = 0
    greens: int = 0
    greys: int = 0
    committed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)

    def add(self, history: History) -> None:
        """One more."""
        self.histories += 1
        self.steps += history.steps
        self.seconds += history.seconds
        self.people += history.people
        self.greens += history.greens
        self.greys += history.greys
        self.committed += history.committed
        self.faults += history.faults
        if history.broken:
            self.broken[history.seed] = history.broken[0]


def add_command(commands: Any) -> None:
    """The command's options, among those of `gatelight-sandbox`."""
    parser = commands.add_parser("simulate", help="a whole site by simulated time, with faults drawn from a seed")
    parser.add_argument("--seed", type=int, default=1, help="the history, or the first of many (default 1)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"how many events faults go on (default {STEPS})")
    parser.add_argument("--seeds", type=int, default=1, help="so many histories, one after the other, told as a sum")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes for many (default: one a core)"
    )
    parser.add_argument("--out", type=Path, help="keep the sum as JSON here")


def run(arguments: argparse.Namespace) -> int:
    """0 when everything held in every history, else 1."""
    if arguments.seeds == 1:
        history = simulate(arguments.seed, steps=arguments.steps, say=_write)
        _write(
            f"{history.people} people, {history.greens} green, {history.committed} check-ins, {history.arrived} at the "
            f"platform, {history.steps} events in {history.seconds:.0f} s; history {history.digest[:16]}"
        )
        for what in history.broken:
            _write(f"BROKEN: {what}")
        return 1 if history.broken else 0
    started_s = time.monotonic()
    tally = _many(arguments, started_s=started_s)
    took_s = time.monotonic() - started_s
    for kind, times in sorted(tally.faults.items()):
        _write(f"  {kind:26} {times}")
    _write(
        f"{tally.histories} histories of {arguments.steps} events with faults: {tally.seconds / 3600:.0f} simulated "
        f"hours, {tally.people} people, {tally.committed} check-ins, {len(tally.broken)} broken, in {took_s:.0f} s"
    )
    if arguments.out is not None:
        arguments.out.write_text(
            json.dumps(_result(arguments, tally, took_s=took_s), indent=2) + "\n", encoding="utf-8"
        )
    return 1 if tally.broken else 0


def _many(arguments: argparse.Namespace, *, started_s: float) -> Tally:
    tally = Tally()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    # Spawned: each worker has a SQLite of its own, whose file system it replaces.
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, _begin) as pool:
        for history in pool.imap_unordered(partial(simulate, steps=arguments.steps), seeds, chunksize=_SHARE):
            tally.add(history)
            if history.broken:
                _write(f"seed {history.seed} BROKEN: {history.broken[0]}")
                _write(f"  again: gatelight-sandbox simulate --seed {history.seed} --steps {arguments.steps}")
            if tally.histories % 500 == 0:
                _write(f"{tally.histories} histories, {time.monotonic() - started_s:.0f} s, {len(tally.broken)} broken")
    return tally


def _begin() -> None:
    """What a worker has loaded stays; a history leaves little garbage, which need not be looked for all the time."""
    gc.freeze()
    gc.set_threshold(50_000)


def _result(arguments: argparse.Namespace, tally: Tally, *, took_s: float) -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "first_seed": arguments.seed,
        "steps_each": arguments.steps,
        "histories": tally.histories,
        "simulated_h": round(tally.seconds / 3600, 1),
        "events": tally.steps,
        "people": tally.people,
        "greens": tally.greens,
        "greys": tally.greys,
        "checkins": tally.committed,
        "faults": dict(sorted(tally.faults.items())),
        "broken": {str(seed): what for seed, what in tally.broken.items()},
        "took_s": round(took_s),
    }


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
