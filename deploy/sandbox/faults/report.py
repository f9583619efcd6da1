"""Rounds -> figures -> the part of docs/reliability.md that is about real processes.

python -m deploy.sandbox.faults.report docs/reliability/rounds.jsonl docs/reliability.md
"""

import datetime as dt
import json
import os
import platform
import sqlite3
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.sandbox.broker import BrokerMissingError, find_mosquitto
from deploy.sandbox.rendered import put

SECTION = "real processes"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Seconds from healing until the platform had signed for what waited at that moment; over `n` rounds."""

    n: int
    p50_s: float
    p95_s: float
    longest_s: float

    @classmethod
    def of(cls, rounds: Iterable[Row]) -> "Recovery":
        """Nearest-rank percentiles over the rounds in which something waited."""
        times = sorted(row["recovery_s"] for row in rounds if row["recovery_s"] is not None)

        def rank(share: float) -> float:
            return float(times[min(len(times) - 1, int(share * len(times)))]) if times else 0.0

        return cls(n=len(times), p50_s=rank(0.5), p95_s=rank(0.95), longest_s=rank(1))

    def __str__(self) -> str:
        return f"{self.p50_s:.1f} / {self.p95_s:.1f} / {self.longest_s:.1f}" if self.n else "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What many rounds came to."""

    rounds: Sequence[Row]

    def total(self, name: str) -> int:
        """A column's sum."""
        return sum(row[name] for row in self.rounds)

    @property
    def failed(self) -> list[Row]:
        """Rounds that did not hold."""
        return [row for row in self.rounds if row["failures"]]

    def kinds(self) -> dict[str, list[Row]]:
        """Rounds by kind of fault, in the order of the kinds' first appearance."""
        by_kind: dict[str, list[Row]] = {}
        for row in sorted(self.rounds, key=lambda row: int(row["seed"])):
            by_kind.setdefault(row["kind"], []).append(row)
        return by_kind

    def summary(self) -> list[str]:
        """For the end of a run."""
        return [
            (
                f"{len(self.rounds)} rounds, {len(self.failed)} failed: {self.total('people')} people,"
                f" {self.total('checkins')} check-ins; lost {self.total('lost')}, doubled {self.total('doubled')},"
                f" wrongly red {self.total('wrongly_red')}, lost by design {self.total('written_off')}"
            ),
            f"recovery p50 / p95 / longest: {Recovery.of(self.rounds)} s",
        ]


def figures(rounds: Sequence[Row]) -> Figures:
    """Rounds, as `Round.as_json` gave them."""
    return Figures(rounds=rounds)


def machine() -> dict[str, str]:
    """What the rounds ran on."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release().split("-")[0],
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "sqlite": sqlite3.sqlite_version,
        "mosquitto": _mosquitto(),
    }


def read(path: Path) -> tuple[list[dict[str, str]], list[Row]]:
    """A results file -> (machines, rounds). Of a seed that was played twice, the later counts."""
    machines: list[dict[str, str]] = []
    rounds: dict[int, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "machine" in entry:
            if entry["machine"] not in machines:
                machines.append(entry["machine"])
        else:
            rounds[entry["seed"]] = entry
    return machines, list(rounds.values())


def table(found: Figures) -> str:
    """By kind of fault."""
    head = (
        "| fault | rounds | people | check-ins | shown grey | waiting at healing | recovery s, p50 / p95 / longest"
        " | lost | doubled | wrongly red | failed |"
    )
    lines = [head, "|---" * 11 + "|"]
    groups = [*found.kinds().items(), ("**all**", list(found.rounds))]
    for name, rows in groups:
        of_kind = Figures(rounds=rows)
        numbers = [len(rows), *(of_kind.total(column) for column in ("people", "checkins", "greys", "waiting"))]
        ends = [*(of_kind.total(column) for column in ("lost", "doubled", "wrongly_red")), len(of_kind.failed)]
        cells = [name, *map(str, numbers), str(Recovery.of(rows)), *map(str, ends)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def render(machines: Sequence[dict[str, str]], found: Figures) -> str:
    """The rendered part."""
    where = "; ".join(", ".join(f"{name} {value}" for name, value in one.items()) for one in machines)
    died = Counter[str]()
    for row in found.rounds:
        died.update(row["died"])
    ended = ", ".join(f"{name} {n}" for name, n in sorted(died.items())) or "nobody"
    seeds = sorted(row["seed"] for row in found.rounds)
    took_s = found.total("took_s")
    bad = [f"- seed {row['seed']}, {row['blow']}: {'; '.join(row['failures'])}" for row in found.failed]
    parts = [
        f"Measured on: {where}.",
        f"Seeds {seeds[0]} to {seeds[-1]}, {took_s / len(seeds):.1f} s a round on average.",
        table(found),
        (
            f"Lost by design, each in a gap that the hub noted: {found.total('written_off')} check-ins."
            f" Parts that ended by themselves and were started again, as systemd does: {ended}."
        ),
        "Rounds that failed:\n\n" + "\n".join(bad) if bad else "No round failed.",
    ]
    return "\n\n".join(parts)


def main(results: Path, document: Path) -> None:
    """Puts the figures of `results` into its place in `document`."""
    machines, rounds = read(results)
    put(document, name=SECTION, text=render(machines, figures(rounds)))


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _mosquitto() -> str:
    try:
        said = subprocess.run([find_mosquitto(), "-h"], capture_output=True, check=False).stdout
    except (BrokerMissingError, OSError):
        return "none"
    return said.decode("utf-8", "replace").split("\n", 1)[0].rpartition(" ")[2]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
