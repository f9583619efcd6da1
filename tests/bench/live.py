"""A wall with 200 gates: what its streams cost the console's process, at 2 check-ins a second each and at a tenth of it.

The console serves real sockets in a process of its own; here check-ins are committed to its database as ingest does,
and five browsers read the stream of the same place.
"""

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import httpx
import uvicorn
from result import Result, Row

from hub.config import Console
from hub.console.app import console_app
from hub.console.serve import site_of
from hub.deliver.aggregate import aggregate
from hub.model import Account, AuditEntry, Gate, HeadChange, Place, Role
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from protocol.checkin import parse_checkin
from protocol.terms import Colour, Verdict
from tests.hub.conftest import SimulatedGate

GATES = 200
READERS = 5
COMMITS_HZ = 20
ENTRY = AuditEntry(at_ms=0, who="bench", action="bench", detail="")


async def serve(database: Path, port: int) -> None:
    """The console's process."""
    store = await open_store(database)
    site = site_of(Console(url=f"http://127.0.0.1:{port}", port=port), store=store)
    config = uvicorn.Config(console_app(site), host="127.0.0.1", port=port, lifespan="off", log_config=None)
    await uvicorn.Server(config).serve()


@dataclass
class Reader:
    """One browser."""

    bytes: int = 0
    events: int = 0
    gaps_s: list[float] = field(default_factory=list)

    async def follow(self, client: httpx.AsyncClient) -> None:
        last_s = time.monotonic()
        async with client.stream("GET", "/api/v1/live/mall/stream", timeout=None) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_raw():
                self.bytes += len(part)
                if b"event: wall" in part:
                    self.events += 1
                    self.gaps_s.append(time.monotonic() - last_s)
                    last_s = time.monotonic()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def check_ins(store, gates: list[SimulatedGate], *, hz: float, seconds: float) -> float:
    """`hz` of them a second over all gates, in turn, in commits of a twentieth of a second; returns how many it was."""
    began_s, made = time.monotonic(), 0
    while (past_s := time.monotonic() - began_s) < seconds:
        due = int(past_s * hz) - made
        now_ms = time.time_ns() // 1_000_000
        rows, heads = [], []
        for number in range(made, made + min(due, GATES)):
            gate = gates[number % GATES]
            red = number % 500 == 499
            colour, verdict = (Colour.RED, Verdict.REFUSE) if red else (Colour.GREEN, Verdict.ADMIT)
            row = parse_checkin(gate.make(1, at_ms=now_ms, colour=colour, verdict=verdict)[0])
            seq = row.checkin.seq
            rows.append(row)
            heads.append(HeadChange(device_id=gate.device, epoch=gate.epoch, was_seq=seq - 1, seq=seq, hash=row.hash))
        made += len(rows)
        if rows:
            counts = aggregate(rows, now_ms)
            await store.commit(IngestCommit(received_ms=now_ms, rows=tuple(rows), heads=tuple(heads), counts=counts))
        await asyncio.sleep(1 / COMMITS_HZ)
    return made / past_s


async def prepared(database: Path, port: int):
    """A store with a place of 200 gates, and a token that may see it."""
    store = await open_store(database, create=True)
    await store.add_place(Place(place_id="mall", name="Mall"), audit=ENTRY)
    for number in range(GATES):
        await store.add_gate(Gate(place_id="mall", gate_id=f"G{number}", name=f"Gate {number}"), audit=ENTRY)
    account = Account(
        name="bench",
        display="Bench",
        role=Role.OPERATOR,
        scope=frozenset(),
        enabled=True,
        has_password=False,
        has_totp=False,
        added_ms=0,
        changed_ms=0,
    )
    await store.add_account(account, audit=ENTRY)
    await store.set_password("bench", password="x", keep=None, audit=ENTRY)
    door = site_of(Console(url=f"http://127.0.0.1:{port}", port=port), store=store).door
    from hub.console.accounts.door import Caller

    found = await store.find_account("bench")
    made = await door.add_token(found, label="bench", days=1, caller=Caller(address="", agent=""))
    return store, made.token


async def measured(*, seconds: float) -> dict[float, tuple[float, float, float, float]]:
    """By check-ins a second: CPU share, bytes a second of one reader, longest wait between two events, check-ins a second that were
    stored."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "hub.sqlite"
        store, token = await prepared(database, port)
        gates = [SimulatedGate(f"gate {number}", place="mall", gate=f"G{number}") for number in range(GATES)]
        command = (sys.executable, __file__, "--serve", str(database), str(port))
        server = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            headers = {"authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
                for _ in range(600):
                    try:
                        await client.get("/api/v1/live/mall")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.1)
                for hz in (GATES * 0.2, GATES * 2.0):
                    readers = [Reader() for _ in range(READERS)]
                    following = [asyncio.create_task(reader.follow(client)) for reader in readers]
                    await check_ins(store, gates, hz=hz, seconds=2)
                    before_s, began_s = cpu_s(server.pid), time.monotonic()
                    before_bytes = sum(reader.bytes for reader in readers)
                    did_hz = await check_ins(store, gates, hz=hz, seconds=seconds)
                    took_s = time.monotonic() - began_s
                    share = (cpu_s(server.pid) - before_s) / took_s
                    each = (sum(reader.bytes for reader in readers) - before_bytes) / took_s / READERS
                    longest = max(max(reader.gaps_s[1:]) for reader in readers)
                    found[hz] = (share, each, longest, did_hz)
                    for task in following:
                        task.cancel()
                    await asyncio.gather(*following, return_exceptions=True)
        finally:
            server.terminate()
            await server.wait()
            await store.close()
    return found


def run(*, quick: bool) -> Result:
    found = asyncio.run(measured(seconds=5 if quick else 30))
    (_, quiet), (_, busy) = sorted(found.items())
    return Result(
        name="live",
        title="A wall with 200 gates",
        method=(
            f"{GATES} gates of one place at 2 check-ins a second each, committed to the database {COMMITS_HZ} times a"
            f" second; {READERS} readers follow the place's stream over loopback. CPU is that of the console's process"
            " alone; the baseline is the same at a tenth of the check-ins."
        ),
        table=[
            Row(
                what=f"CPU of the console with {READERS} streams",
                ours=100 * busy[0],
                unit="% of a core",
                baseline="a tenth of the check-ins",
                baseline_value=100 * quiet[0],
            ),
            Row(
                what="bytes of one stream",
                ours=busy[1] / 1000,
                unit="kB/s",
                baseline="a tenth of the check-ins",
                baseline_value=quiet[1] / 1000,
            ),
            Row(what="check-ins stored", ours=busy[3], unit="/s", baseline="asked for", baseline_value=GATES * 2.0),
            Row(what="longest wait between two updates", ours=1000 * busy[2], unit="ms"),
        ],
        seen=f"{100 * busy[0]:.0f} % of a core and {busy[1] / 1000:.1f} kB/s a stream at {GATES * 2} check-ins a second",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=2)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(Path(args.serve[0]), int(args.serve[1])))
