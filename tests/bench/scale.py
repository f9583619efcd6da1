"""scale: a hub with 16,000 places and 5 million check-ins beside one that is empty."""

import asyncio
import contextlib
import datetime as dt
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crowd import DAY_MS, Crowd, forgotten_rows, receipt_all, some_old
from load import Child, Identity, percentile, wait_for_port
from result import TARGETS, Plot, Result, Row
from start import Memory, hub_starts

from deploy.sandbox.layout import Size, Surroundings, lay_out
from hub.broker.access import initial_security
from hub.config import load as load_config
from hub.deliver.retention import Retention
from hub.health import Health, Metrics
from hub.store.sqlite import SqliteStore, open_store

ROOT = Path(__file__).resolve().parents[2]
DAYS = 5
COMMIT_ROWS = 512
LOOKUPS = 300
SETTLE_S = 4
PLACE = 100
RATE_RATIO, START_RATIO, WAIT_MS, EXPORT_S, HELD_MS = 0.8, 2.0, 250.0, 30.0, 100.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    places: int
    people: int
    checkins: int
    slice_rows: int
    """So many of them are timed together: the first of these and the last are compared."""
    rounds: int
    rest_s: float


FULL = Scale(places=16_000, people=340_000, checkins=5_000_000, slice_rows=100_000, rounds=3, rest_s=11)
QUICK = Scale(places=500, people=3_400, checkins=50_000, slice_rows=5_000, rounds=1, rest_s=2)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """A row in the commits of one slice."""

    wall_us: float
    cpu_us: float


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a database of one size."""

    walks_ms: list[float]
    export_s: float
    exported: int


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """One pass of retention over a day, while a check-in is committed every 10 ms or so, and such commits before it."""

    rows: int
    took_s: float
    quiet_ms: list[float]
    meanwhile_ms: list[float]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A hub's process. `…_held_ms` is the longest answer of /healthz, which waits for nothing but the hub's loop."""

    issuing_s: float
    start_s: float
    memory: Memory
    status_s: float
    rest_cpu_percent: float
    rest_held_ms: float
    change_held_ms: float


class Hub:
    """Broker and hub of one site, which know of the crowd's devices."""

    def __init__(self, folder: Path, crowd: Crowd) -> None:
        self.layout = lay_out(folder, size=Size(gates=0), now=dt.datetime.now(dt.UTC), around=Surroundings())
        self.places = crowd.places
        self.database = load_config(self.layout.hub_config).database
        devices = {Identity(number).device: crowd.place(number) for number in range(crowd.places)}
        (folder / "broker" / "dynamic-security.json").write_text(json.dumps(initial_security(devices)), "ascii")
        text = self.layout.hub_config.read_text("utf-8")
        # An hour more than the bench's own pass: nothing is left for the hub to forget when it starts.
        kept = text.replace("personal_h = 24", f"personal_h = {24 * (DAYS - 1) + 1}")
        assert kept != text
        self.layout.hub_config.write_text(kept, "utf-8")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "hub.cli", *words, "--config", str(self.layout.hub_config)]

    def timed(self, *words: str) -> float:
        """Seconds of one of the hub's own commands."""
        began_s = time.perf_counter()
        subprocess.run(self.command(*words), cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began_s

    def export(self, place: str, *, from_ms: int, path: Path) -> tuple[float, int]:
        """Seconds, and how many check-ins one day of one place has."""
        day = [dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat() for at_ms in (from_ms, from_ms + DAY_MS)]
        took_s = self.timed("export", "--place", place, "--from", day[0], "--to", day[1], "--output", str(path))
        return took_s, len(path.read_text("utf-8").splitlines()) - 1

    def measure(self, scale: Scale) -> Running:
        """Starts, then a time in which nothing happens, then an operator who changes one device."""
        url, run = f"{self.layout.hub_url}/readyz", self.layout.hub_command
        with self._child("broker", self.layout.broker_command) as broker:
            wait_for_port(self.layout.ports.broker, broker)
            issuing_s = self._first_start(run)
            starts = hub_starts(run, url, scale.rounds)
            with self._child("hub", run) as hub:
                self._until(hub, "/readyz", '"ready": true')
                time.sleep(SETTLE_S)
                before_s = hub.cpu_s
                time.sleep(scale.rest_s)
                busy_s = hub.cpu_s - before_s
                rest_ms = list(self._answers_ms(scale.rest_s))
                change = ("device", "quarantine", "--id", Identity(0).name, "--reason", "bench")
                with subprocess.Popen(self.command(*change), cwd=ROOT, stdout=subprocess.DEVNULL) as changing:
                    change_ms = list(self._answers_ms(SETTLE_S))
                assert changing.returncode == 0
        return Running(
            issuing_s=issuing_s,
            start_s=statistics.median(took_s for took_s, _ in starts),
            memory=starts[-1][1],
            status_s=self.timed("status"),
            rest_cpu_percent=100 * busy_s / scale.rest_s,
            rest_held_ms=max(rest_ms),
            change_held_ms=max(change_ms),
        )

    def _first_start(self, command: list[str]) -> float:
        """Seconds until it has signed every gate's policy, which it then keeps."""
        began_s = time.perf_counter()
        with self._child("first", command) as hub:
            self._until(hub, "/metrics", f"policies_issued_total {float(self.places)}")
            return time.perf_counter() - began_s

    def _until(self, hub: Child, page: str, says: str) -> None:
        found = ""
        while says not in found:
            hub.alive()
            time.sleep(0.02)
            connection = http.client.HTTPConnection("127.0.0.1", self.layout.ports.hub_http, timeout=60)
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.request("GET", page)
                found = connection.getresponse().read().decode()

    @contextlib.contextmanager
    def _child(self, name: str, command: list[str]) -> Iterator[Child]:
        child = Child(name, command, log=self.layout.log(name))
        try:
            yield child
        finally:
            child.stop()

    def _answers_ms(self, seconds: float) -> Iterator[float]:
        until_s = time.monotonic() + seconds
        connection = http.client.HTTPConnection("127.0.0.1", self.layout.ports.hub_http, timeout=60)
        with contextlib.closing(connection):
            while time.monotonic() < until_s:
                began_s = time.perf_counter()
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                yield (time.perf_counter() - began_s) * 1e3
                time.sleep(0.005)


def run(*, quick: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="gl-scale-") as name:
        return asyncio.run(measured(Path(name), QUICK if quick else FULL))


async def measured(folder: Path, scale: Scale) -> Result:
    now_ms = time.time_ns() // 1_000_000
    one = Crowd(places=1, people=1, checkins=1, days=1, until_ms=now_ms)
    crowd = Crowd(places=scale.places, people=scale.people, checkins=scale.checkins, days=DAYS, until_ms=now_ms)
    empty, full = Hub(folder / "empty", one), Hub(folder / "full", crowd)
    await one.register(empty.database)
    await crowd.register(full.database)
    store = await open_store(full.database)
    try:
        paces = [await fill(store, crowd, scale.slice_rows)]
        small = await asked(store, full, crowd, folder / "small.csv")
        paces += [await fill(store, crowd, scale.slice_rows) for _ in range(scale.checkins // scale.slice_rows - 1)]
        large = await asked(store, full, crowd, folder / "large.csv")
        sealed = crowd.sealed_bytes / scale.checkins
        receipt_all(full.database)
        forgetting = await forget(store, crowd, full.database)
        receipt_all(full.database)
    finally:
        await store.close()
    file_bytes = full.database.stat().st_size
    baseline, ours = empty.measure(scale), full.measure(scale)
    return report(
        scale,
        paces=paces,
        small=small,
        large=large,
        stored_bytes=file_bytes / scale.checkins,
        sealed_bytes=sealed,
        forgetting=forgetting,
        baseline=baseline,
        ours=ours,
    )


async def fill(store: SqliteStore, crowd: Crowd, rows: int) -> Pace:
    """Only the commits are timed; a process's CPU time has that of SQLite's thread in it."""
    wall_s = cpu_s = 0.0
    for done in range(0, rows, COMMIT_ROWS):
        commit = crowd.commit(min(COMMIT_ROWS, rows - done))
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        await store.commit(commit)
        wall_s += time.perf_counter() - began_s
        cpu_s += time.process_time() - began_cpu_s
    return Pace(wall_us=1e6 * wall_s / rows, cpu_us=1e6 * cpu_s / rows)


async def asked(store: SqliteStore, hub: Hub, crowd: Crowd, path: Path) -> Asked:
    walks_ms = []
    for old in some_old(hub.database, count=LOOKUPS):
        began_s = time.perf_counter()
        found = await store.find_hash(old.device, old.epoch, old.seq)
        walks_ms.append((time.perf_counter() - began_s) * 1e3)
        assert found == old.hash
    took_s, exported = hub.export(crowd.place(PLACE), from_ms=crowd.from_ms, path=path)
    return Asked(walks_ms=walks_ms, export_s=took_s, exported=exported)


async def forget(store: SqliteStore, crowd: Crowd, database: Path) -> Forgetting:
    retention = Retention(
        store=store,
        personal_h=24 * (DAYS - 1),
        quarantine_h=720,
        health=Health(),
        metrics=Metrics(),
        now_ms=lambda: crowd.from_ms + DAYS * DAY_MS,
    )

    async def commit_ms() -> float:
        commit = crowd.commit(1)
        began_s = time.perf_counter()
        await store.commit(commit)
        return (time.perf_counter() - began_s) * 1e3

    quiet_ms, meanwhile_ms = [], []
    for _ in range(100):
        quiet_ms.append(await commit_ms())
        await asyncio.sleep(0.01)
    began_s = time.perf_counter()
    step = asyncio.create_task(retention.step())
    while not step.done():
        meanwhile_ms.append(await commit_ms())
        await asyncio.sleep(0.01)
    await step
    return Forgetting(
        rows=forgotten_rows(database),
        took_s=time.perf_counter() - began_s,
        quiet_ms=quiet_ms,
        meanwhile_ms=meanwhile_ms,
    )


def report(
    scale: Scale,
    *,
    paces: list[Pace],
    small: Asked,
    large: Asked,
    stored_bytes: float,
    sealed_bytes: float,
    forgetting: Forgetting,
    baseline: Running,
    ours: Running,
) -> Result:
    first, last = paces[0], paces[-1]
    few, many, checkins = f"the first {scale.slice_rows:,}", f"the last {scale.slice_rows:,}", f"{scale.checkins:,}"
    at_first, one_gate = f"the same at {scale.slice_rows:,}", "one gate, empty database"
    waited_ms, rate_ratio = max(forgetting.meanwhile_ms), first.wall_us / last.wall_us
    held_ms = max(ours.rest_held_ms, ours.change_held_ms)
    checks = [
        rate_ratio >= RATE_RATIO,
        ours.start_s <= START_RATIO * baseline.start_s,
        waited_ms <= WAIT_MS,
        large.export_s <= EXPORT_S,
        held_ms <= HELD_MS,
    ]
    return Result(
        name="scale",
        title=f"{scale.places:,} places and {checkins} check-ins",
        target=TARGETS["scale"],
        seen=(
            f"{rate_ratio:.2f} × the rate; to ready {ours.start_s:.1f} s, {ours.start_s / baseline.start_s:.1f} ×; a commit waits "
            f"{waited_ms:.0f} ms; export {large.export_s:.1f} s; loop held {held_ms:.0f} ms"
        ),
        met=all(checks),
        table=[
            row(f"commits, {many}", 1e6 / last.wall_us, "check-ins/s", few, 1e6 / first.wall_us),
            row(f"CPU of a commit, {many}", last.cpu_us, "µs a check-in", few, first.cpu_us),
            row("database", stored_bytes, "B a check-in", "its sealed bytes", sealed_bytes),
            row(
                "an old check-in's hash, found by its number, p99",
                percentile(large.walks_ms, 0.99),
                "ms",
                at_first,
                percentile(small.walks_ms, 0.99),
            ),
            row(f"`export` of a place's day, {large.exported:,} rows", large.export_s, "s", at_first, small.export_s),
            row("`status`", ours.status_s, "s", one_gate, baseline.status_s),
            Row(
                what=f"retention: a day, {forgetting.rows:,} rows",
                ours=forgetting.rows / forgetting.took_s,
                unit="rows/s",
            ),
            row(
                "… longest commit of a check-in meanwhile",
                waited_ms,
                "ms",
                "longest before",
                max(forgetting.quiet_ms),
            ),
            row("hub: start → /readyz says 200", ours.start_s, "s", one_gate, baseline.start_s),
            row("… the first time, → every gate's policy signed", ours.issuing_s, "s", one_gate, baseline.issuing_s),
            row("hub: PSS", ours.memory.pss, "MB", one_gate, baseline.memory.pss),
            row("… RSS", ours.memory.rss, "MB", one_gate, baseline.memory.rss),
            row("hub at rest: CPU", ours.rest_cpu_percent, "% of a core", one_gate, baseline.rest_cpu_percent),
            row("… its loop held at once, longest", ours.rest_held_ms, "ms", one_gate, baseline.rest_held_ms),
            row(
                "… when an operator changes one device",
                ours.change_held_ms,
                "ms",
                one_gate,
                baseline.change_held_ms,
            ),
        ],
        method=(
            f"{scale.places:,} places with a gate each, entered by SQL with the rows that the registry's methods leave; {checkins} "
            f"check-ins of {scale.people:,} subjects over {DAYS} days, busy places and quiet ones (tests/bench/crowd.py), in commits of "
            f"{COMMIT_ROWS}, the most messages that a micro-batch takes. They are not signed one by one, as ingest has verified before it "
            "commits; only the commits are timed, synchronous=FULL. Batches of 1,000 are entered by SQL as receipted; then one pass of "
            "retention forgets the first day, while a check-in is committed every 10 ms. Then the hub with Mosquitto over TLS that knows all "
            f"devices, and no device connected: median of {scale.rounds} starts, memory 2 s after. How long its loop is held is the longest "
            "answer of /healthz, asked every 5 ms. The file is in the page cache. Each command is a process of its own."
        ),
        notes=[
            (
                "An export reads the whole table, a few thousand rows at a time, as the only index is the order of arrival: its time grows "
                "with all that is stored, not with what is asked for."
            ),
            (
                "At its start the hub reads the whole file for damage (`PRAGMA quick_check`), so the time to ready grows with all that is "
                "stored; and it opens the key of every gate, which takes some 0.1 ms each, as a point must be shown to be on its curve."
            ),
            (
                "When anything in the registry changes, the hub reads all devices and keys again, once for ingest and once for what flows to the "
                "gates, and its loop makes the values: that is what holds it."
            ),
            "What the statuses of 29 million people take in a gate: [status_lists](#status_lists-tens-of-millions-of-statuses-in-a-gate).",
        ],
        series={
            "million check-ins stored": [(at + 1) * scale.slice_rows / 1e6 for at in range(len(paces))],
            "check-ins/s": [1e6 / pace.wall_us for pace in paces],
        },
        plot=Plot(
            kind="lines", x="million check-ins stored", x_label="million check-ins stored", y_label="committed a second"
        ),
    )


def row(what: str, ours: float, unit: str, baseline: str, baseline_value: float) -> Row:
    return Row(what=what, ours=ours, unit=unit, baseline=baseline, baseline_value=baseline_value)
