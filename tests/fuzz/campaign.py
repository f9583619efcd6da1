"""All targets, each until it has had its executions: `python tests/fuzz/campaign.py --runs N --jobs J`.

Runs are cut into parts, and the target that had the fewest comes next, so that a campaign may be ended at any time
and taken up again. What was executed is added up in `totals.json`; `--keep` reduces what the runs found to the corpus
that is committed, and writes docs/fuzzing.md. A target that crashed is left alone until `--retry`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz import kept, report, totals
from tests.fuzz.targets import TARGETS
from tests.fuzz.totals import Part, Totals

FUZZ = Path(__file__).with_name("fuzz.py")
PART = 500_000
FIRST_PART = 5_000
"""Traced with comparisons, which costs five times as much and finds the words that a decoder compares with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where a campaign works and how long."""

    work: Path
    runs: int
    until_s: float
    part: int


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="some targets only")
    parser.add_argument("--runs", type=int, default=10_000_000, help="of each target, with those it had before")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--part", type=int, default=PART)
    parser.add_argument("--minutes", type=float, default=0, help="begin nothing new after so many; 0 is no end")
    parser.add_argument("--work", type=Path, default=ROOT / ".fuzz")
    parser.add_argument("--keep", action="store_true", help="only reduce and write down what was found")
    parser.add_argument("--retry", action="store_true", help="also targets that crashed before")
    given = parser.parse_args()
    given.work.mkdir(exist_ok=True)
    names = given.names or list(TARGETS)
    until_s = time.monotonic() + given.minutes * 60 if given.minutes else float("inf")
    if not given.keep:
        run = Run(work=given.work, runs=given.runs, until_s=until_s, part=given.part)
        fuzz_all(names, run, jobs=given.jobs, retry=given.retry)
    for name in names:
        reduce(name, given.work)
    report.write(totals.load())


def fuzz_all(names: list[str], run: Run, *, jobs: int, retry: bool) -> None:
    """Parts of runs, `jobs` at a time, until every target has had its executions or the time is over."""
    sums = totals.load()
    crashed = set() if retry else {name for name in names if any(_crashes(name, run.work))}
    under_way: dict[Future[Part], str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            while len(under_way) < jobs and time.monotonic() < run.until_s:
                busy = {*under_way.values(), *crashed}
                due = [name for name in names if name not in busy and sums.of(name).executions < run.runs]
                if not due:
                    break
                name = min(due, key=lambda name: sums.of(name).executions)
                under_way[pool.submit(fuzz_part, name, run, sums)] = name
            if not under_way:
                return
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                name = under_way.pop(done)
                part = done.result()
                sums.add(name, part)
                totals.save(sums)
                if part.crashed or not part.executions:
                    crashed.add(name)
                print(
                    f"{name}: {sums.of(name).executions:,} executions{', CRASHED' if part.crashed else ''}", flush=True
                )


def fuzz_part(name: str, run: Run, sums: Totals) -> Part:
    """One part of one target, in a process of its own."""
    had = sums.of(name)
    first = had.executions == 0
    runs = FIRST_PART if first else min(run.part, run.runs - had.executions)
    corpus = run.work / name
    command = [sys.executable, str(FUZZ), name, f"--runs={runs}", f"--seed={had.parts + 1}", f"--corpus={corpus}"]
    log = run.work / f"{name}.log"
    before = _crashes(name, run.work)
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *(["--compares"] if first else [])], stdout=out, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="replace")
    executed = re.findall(r"^stat::number_of_executed_units:\s+(\d+)", said, re.MULTILINE)
    if not executed:
        print(f"{name} ended with {process.returncode} and no count; see {log}", flush=True)
    edges = re.findall(r"\bcov: (\d+)", said)
    return Part(
        executions=int(executed[-1]) if executed else 0,
        processor_s=used.ru_utime + used.ru_stime,
        edges=int(edges[-1]) if edges and not first else 0,
        peak_mb=used.ru_maxrss // 1024,
        crashed=_crashes(name, run.work) != before,
    )


def reduce(name: str, work: Path) -> None:
    """What the runs found, and what was kept before, reduced into the kept corpus."""
    before = kept.load(name)
    found = sorted((work / name).iterdir()) if (work / name).is_dir() else []
    with tempfile.TemporaryDirectory(dir=work) as folder:
        inputs = (*before.inputs, *(path.read_bytes() for path in found))
        for at, data in enumerate(inputs):
            (Path(folder) / f"{at:06}").write_bytes(data)
        command = [sys.executable, str(FUZZ), name, f"--corpus={folder}", "--reduce"]
        subprocess.run(command, check=True, capture_output=True)
        inputs = tuple(path.read_bytes() for path in Path(folder).iterdir())
    known = set(before.crashes.values())
    new = {path.name: path.read_bytes() for path in _crashes(name, work)}
    crashes = before.crashes | {what: data for what, data in new.items() if data not in known}
    kept.save(name, kept.Kept(inputs=inputs, crashes=crashes))


def _crashes(name: str, work: Path) -> list[Path]:
    folder = work / f"{name}.crashes"
    return sorted(folder.iterdir()) if folder.is_dir() else []


if __name__ == "__main__":
    main()
