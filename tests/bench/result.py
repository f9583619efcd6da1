"""What a bench gives: figures, each beside a baseline of the same run, and whether the target was met.

A bench is a module here with `def run(*, quick: bool) -> Result`. bench.py runs it and keeps the Result as JSON;
report.py makes docs/performance.md from all the JSON files there are, so that one bench can be measured again alone.
"""

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

# In the order of the report. A bench that is not named here has no target: it is reported after these.
TARGETS = {
    "scan_work": "CPU per frame with a code ≤ 1.6 × the decoder call alone, the commit's fsync left out",
    "scan_empty": "CPU per empty frame ≤ 1.15 × the decoder call alone",
    "scan_light": "first readable frame → light: p50 / p95 / p99 ≤ 1 / 2 / 3 frames of 33 ms",
    "scan_rate": "presentations read within 1.6 s: more than plain pyzbar and plain zxing-cpp on every set",
    "ingest": (
        "one per message: hub CPU per check-in ≤ 1.8 × the bare signature check, ≥ 2 × the afternoon stack; "
        "16 per message: ≥ 6 × one per message, ≥ 10 × Node-RED with WAL"
    ),
    "ingest_latency": "publish → receipt at half the ceiling: p50 ≤ 4 ms, p99 ≤ 25 ms at 5,000/s, none lost",
    "drain": "live p99 while 100 gates drain 10,000 check-ins each ≤ 2 × of quiet",
    "fleet": "5,000 gates, one check-in in 2 s each, 10 minutes: ≤ 40 kB a gate in the hub, none lost",
    "forward": "scan → platform's receipt at 500/s: p99 < 1 s",
    "status": "10,000 changes from the platform's signature to all of 200 gates: p99 < 1 s",
    "scale": (
        "16,000 gates, 5 million check-ins: commits ≥ 0.8 × the rate on an empty database, to ready ≤ 2 × one gate's hub; "
        "a commit waits for retention ≤ 250 ms, a place's day exported ≤ 30 s, the hub's loop held ≤ 100 ms"
    ),
    "live": (
        "a wall of 200 gates at 2 check-ins a second each: ≤ 10 % of a core for the console, ≤ 40 kB/s a stream, an "
        "update each second, frames of the page p99 ≤ 100 ms"
    ),
    "start": "to ready: device ≤ 1.0 s and ≤ 90 MB with the decoder's child, hub ≤ 1.5 s and ≤ 120 MB",
}
PACKAGES = ("zxing-cpp", "pyzbar", "numpy", "cryptography", "PyNaCl", "cbor2", "paho-mqtt", "aiosqlite", "mqtt5")
DIGITS = 5


def this_machine() -> dict[str, str]:
    """Where and when; nothing that names the machine itself."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text("utf-8").splitlines() if "=" in line
    )
    memory_kb = int(Path("/proc/meminfo").read_text("ascii").split()[1])
    return {
        "processor": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory_kb / 2**20:.0f} GB",
        "system": f"{release.get('PRETTY_NAME', '').strip(chr(34))}, Linux {platform.release().partition('-')[0]}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]
        ),
        "date": time.strftime("%Y-%m-%d"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. Without a baseline it stands alone, as a size does."""

    what: str
    ours: float
    unit: str
    baseline: str = ""
    baseline_value: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline_value if self.baseline_value else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """How the series are drawn.

    distribution: share of values up to x. lines: each series over `x` (a series of that name) or its index.
    bars: one group of bars a series, a bar for each of `labels`.
    """

    kind: Literal["distribution", "lines", "bars"] = "distribution"
    x_label: str = ""
    y_label: str = ""
    x: str = ""
    labels: tuple[str, ...] = ()
    # Values up to here are drawn; none: all of them.
    x_max: float | None = None
    log_x: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one bench found. `seen` says in a phrase what stands against the target; `met` is none without a target."""

    name: str
    title: str
    target: str = ""
    seen: str = ""
    met: bool | None = None
    table: list[Row]
    # How it was measured, in one paragraph.
    method: str = ""
    # What a reader must know; for a miss the reason, as the profile shows it.
    notes: list[str] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    plot: Plot = field(default_factory=Plot)
    machine: dict[str, str] = field(default_factory=this_machine)

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(rounded(asdict(self)), indent=1, ensure_ascii=False) + "\n", "utf-8")
        return path


def read(path: Path) -> Result:
    """What `write` wrote."""
    raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
    raw["table"] = [Row(**row) for row in raw["table"]]
    raw["plot"] = Plot(**{**raw["plot"], "labels": tuple(raw["plot"]["labels"])})
    return Result(**raw)


def rounded(value: Any) -> Any:
    """Floats to what can be meant."""
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case dict():
            return {key: rounded(each) for key, each in value.items()}
        case list() | tuple():
            return [rounded(each) for each in value]
        case _:
            return value
