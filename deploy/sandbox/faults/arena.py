"""One site on its ground, and what everybody there holds at a moment, read straight from their files."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.sandbox.faults.ground import Ground
from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.process import Process
from deploy.sandbox.readings import ReadingError, get_json, read_metrics
from deploy.sandbox.site import Site

POLL_S = 0.1


class NotEffectiveError(Exception):
    """A fault did not take: the round proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """A gate's spool. `epoch` and `hash` are hex."""

    epoch: str
    seq: int
    hash: str
    depth: int


@dataclass(slots=True, kw_only=True)
class Arena:
    """Where rounds take place, one after the other.

    Attributes:
        forgotten: (device, seq) of all that a restored hub no longer had, wherever else it is.
        written_off: device (hex) -> numbers that restored hubs have lost by design, as far as they say so.
        sent_again: how many check-ins restored hubs may have sent that the platform had already.
        backup: a copy of the hub's database, of some rounds ago.
        rounds: how many took place.
    """

    site: Site
    ground: Ground
    forgotten: frozenset[tuple[str, int]] = frozenset()
    written_off: dict[str, frozenset[int]] = field(default_factory=dict)
    sent_again: int = 0
    backup: Path | None = None
    rounds: int = 0

    def part(self, name: str) -> Process:
        """The process of a part."""
        return next(process for process in self.site.processes if process.name == name)

    def gate(self, name: str) -> SandboxGate:
        """A gate."""
        return next(gate for gate in self.site.gates if gate.plan.gate == name)

    def is_gate(self, name: str) -> bool:
        """Whether the part is one."""
        return any(gate.plan.gate == name for gate in self.site.gates)

    @property
    def homes(self) -> dict[str, Path]:
        """Each part's folder."""
        layout = self.site.layout
        servers = {"broker": layout.folder / "broker", "platform": layout.folder / "platform"}
        gates = {gate.plan.gate: gate.plan.config.parent for gate in self.site.gates}
        return {**servers, "hub": layout.hub_config.parent, **gates}

    @property
    def hub_database(self) -> Path:
        """The hub's own file."""
        return self.homes["hub"] / "hub.sqlite"

    async def alive(self, name: str) -> int:
        """The id of a part's running process; waits for it between two lives."""
        part = self.part(name)
        await until(lambda: part.pid is not None, every_s=0.02)
        return part.pid or 0

    def spool(self, gate: SandboxGate) -> SpoolState:
        """A gate's spool as it is on disk now.

        Raises:
            sqlite3.Error: not at this moment.
        """
        with reading(gate.plan.config.parent / "state" / "spool.db") as db:
            epoch, seq, head, receipted = db.execute(
                "SELECT epoch, head_seq, head_hash, receipted_seq FROM meta"
            ).fetchone()
        return SpoolState(epoch=epoch.hex(), seq=seq, hash=head.hex(), depth=seq - receipted)

    async def summary(self) -> dict[str, Any]:
        """The platform's.

        Raises:
            ReadingError: it does not answer.
        """
        return await get_json(self.site.session, f"{self.site.layout.pages_url}/v1/summary")

    async def hub_metric(self, name: str) -> float:
        """One of the hub's, 0 while it does not answer."""
        try:
            metrics = await read_metrics(self.site.session, self.site.layout.hub_url)
        except ReadingError:
            return 0.0
        return metrics.get(name, 0.0)

    async def settled(self) -> bool:
        """Whether nobody has anything left to send: spools empty, heads equal, outbox empty."""
        try:
            spools = {gate.plan.device_id.hex(): self.spool(gate) for gate in self.site.gates}
            if any(spool.depth for spool in spools.values()):
                return False
            with reading(self.hub_database) as db:
                heads = {(device.hex(), epoch.hex()): seq for device, epoch, seq in db.execute(HEADS)}
            metrics = await read_metrics(self.site.session, self.site.layout.hub_url)
        except (sqlite3.Error, ReadingError, OSError):
            # A part is on its way back.
            return False
        equal = all(heads.get((device, spool.epoch)) == spool.seq for device, spool in spools.items() if spool.seq)
        return equal and metrics.get("outbox_rows") == 0 and metrics.get("broker_ready") == 1

    async def wait_settled(self, *, timeout_s: float) -> bool:
        """Waits for it; False when time ran out."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    if await self.settled():
                        return True
                    await asyncio.sleep(POLL_S)
        return False


HEADS = "SELECT device, epoch, seq FROM head"


async def until(holds: Callable[[], bool], *, every_s: float = POLL_S) -> None:
    """Waits until this holds."""
    while True:
        if holds():
            return
        await asyncio.sleep(every_s)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that is only looked at: nothing is replayed, written back or removed by us."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()
