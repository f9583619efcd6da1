"""What all runs together have executed, kept in totals.json beside this file."""

import json
import platform
import sys
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PATH = Path(__file__).with_name("totals.json")
PAGE = Path(__file__).resolve().parents[2] / "docs/fuzzing.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One run of one target."""

    executions: int
    processor_s: float
    edges: int
    peak_mb: int
    crashed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """All runs of one target. `edges` is the most that one run has reached."""

    executions: int = 0
    parts: int = 0
    processor_s: float = 0.0
    edges: int = 0
    peak_mb: int = 0
    crashes: int = 0


@dataclass(slots=True, kw_only=True)
class Totals:
    """All targets, and on what machine they ran last."""

    machine: dict[str, str] = field(default_factory=dict)
    targets: dict[str, Sum] = field(default_factory=dict)

    def of(self, name: str) -> Sum:
        """One target's sum."""
        return self.targets.get(name, Sum())

    def add(self, name: str, part: Part) -> None:
        """One more run."""
        had = self.of(name)
        self.targets[name] = replace(
            had,
            executions=had.executions + part.executions,
            parts=had.parts + 1,
            processor_s=round(had.processor_s + part.processor_s, 1),
            edges=max(had.edges, part.edges),
            peak_mb=max(had.peak_mb, part.peak_mb),
            crashes=had.crashes + part.crashed,
        )
        self.machine = machine()


def machine() -> dict[str, str]:
    """What a reader needs to know of the numbers."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "processor": model.partition(":")[2].strip() or platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        **{name: version(name) for name in ("atheris", "cbor2", "cryptography", "PyNaCl", "msgspec", "mqtt5")},
        "date": datetime.now(tz=UTC).date().isoformat(),
    }


def load() -> Totals:
    """From the file; nothing where there is none."""
    if not PATH.is_file():
        return Totals()
    value = json.loads(PATH.read_text(encoding="utf-8"))
    return Totals(machine=value["machine"], targets={name: Sum(**kept) for name, kept in value["targets"].items()})


def save(totals: Totals) -> None:
    """Whole or not at all: a campaign may be killed at any time."""
    value = {
        "machine": totals.machine,
        "targets": {name: asdict(kept) for name, kept in sorted(totals.targets.items())},
    }
    new = PATH.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    new.replace(PATH)
