"""A wall with 200 gates: what its streams cost the console's process, at 2 check-ins a second each and at a tenth of it.

The console serves real sockets in a process of its own; here check-ins are committed to its database as ingest does,
five programs read the stream of the same place, and Chromium shows its page.
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
from playwright.async_api import Page, async_playwright
from result import TARGETS, Result, Row

from hub.config import Console
from hub.console.accounts.door import Caller
from hub.console.app import console_app
from hub.console.serve import site_of
from hub.deliver.aggregate import aggregate
from hub.model import Account, AuditEntry, Gate, HeadChange, Place, Role
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from protocol.checkin import parse_checkin
from protocol.terms import Colour, Verdict
from tests.browser.conftest import CHROMIUM
from tests.hub.conftest import SimulatedGate

GATES = 200
READERS = 5
COMMITS_HZ = 20
CPU = 0.10
STREAM_KB = 40.0
WAIT_S = 1.0
FRAME_MS = 100.0
CALLER = Caller(address="127.0.0.1", agent="bench")
FRAMES = """seconds => new Promise(done => {
  const gaps = [];
  let last = performance.now();
  const end = last + 1000 * seconds;
  const frame = now => {
    gaps.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(frame); else done(gaps.sort((a, b) => a - b));
  };
  requestAnimationFrame(frame);
})"""
"""How long each frame of the page took, in ms."""
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
    found = await store.find_account("bench")
    token = await door.add_token(found, label="bench", days=1, caller=CALLER)
    session = await door.let_in(found, caller=CALLER)
    return store, token.token, session.token


@dataclass(frozen=True, kw_only=True)
class Found:
    """At one pace.

    Attributes:
        cpu: of the console, as a share of a core.
        stream_b: bytes a second of one stream.
        wait_s: longest between two updates.
        hz: check-ins a second that were stored.
        frame_ms: p99 of what a frame of the page took, and the longest.
    """

    cpu: float
    stream_b: float
    wait_s: float
    hz: float
    frame_ms: tuple[float, float]


async def measured(*, seconds: float) -> dict[float, Found]:
    """By check-ins a second."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "hub.sqlite"
        store, token, session = await prepared(database, port)
        gates = [SimulatedGate(f"gate {number}", place="mall", gate=f"G{number}") for number in range(GATES)]
        command = (sys.executable, __file__, "--serve", str(database), str(port))
        server = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        url = f"http://127.0.0.1:{port}"
        try:
            async with (
                httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}) as client,
                async_playwright() as playwright,
            ):
                await answering(client)
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                context = await browser.new_context(viewport={"width": 1280, "height": 800})
                await context.add_cookies([{"name": "gatelight", "value": session, "url": url}])
                page = await context.new_page()
                await page.goto(f"{url}/live/mall")
                for hz in (GATES * 0.2, GATES * 2.0):
                    found[hz] = await at_pace(
                        hz, seconds, store=store, gates=gates, client=client, page=page, pid=server.pid
                    )
                await browser.close()
        finally:
            server.terminate()
            await server.wait()
            await store.close()
    return found


async def answering(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            await client.get("/api/v1/live/mall")
            return
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    raise TimeoutError("the console did not answer within a minute")


async def at_pace(
    hz: float, seconds: float, *, store, gates: list[SimulatedGate], client: httpx.AsyncClient, page: Page, pid: int
) -> Found:
    readers = [Reader() for _ in range(READERS)]
    following = [asyncio.create_task(reader.follow(client)) for reader in readers]
    await check_ins(store, gates, hz=hz, seconds=2)
    before_s, began_s = cpu_s(pid), time.monotonic()
    before_bytes = sum(reader.bytes for reader in readers)
    watching = asyncio.create_task(page.evaluate(FRAMES, seconds))
    did_hz = await check_ins(store, gates, hz=hz, seconds=seconds)
    took_s = time.monotonic() - began_s
    share = (cpu_s(pid) - before_s) / took_s
    each = (sum(reader.bytes for reader in readers) - before_bytes) / took_s / READERS
    longest = max(max(reader.gaps_s[1:]) for reader in readers)
    frames = await watching
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    p99 = frames[int(len(frames) * 0.99)]
    return Found(cpu=share, stream_b=each, wait_s=longest, hz=did_hz, frame_ms=(p99, frames[-1]))


def run(*, quick: bool) -> Result:
    found = asyncio.run(measured(seconds=5 if quick else 30))
    (_, quiet), (_, busy) = sorted(found.items())
    checks = (
        busy.cpu <= CPU,
        busy.stream_b / 1000 <= STREAM_KB,
        busy.wait_s <= WAIT_S,
        busy.frame_ms[0] <= FRAME_MS,
        busy.hz >= 0.95 * GATES * 2.0,
    )
    return Result(
        name="live",
        title="A wall with 200 gates",
        target=TARGETS["live"],
        seen=(
            f"{100 * busy.cpu:.1f} % of a core and {busy.stream_b / 1000:.1f} kB/s a stream, an update each"
            f" {busy.wait_s:.2f} s, frames of the page p99 {busy.frame_ms[0]:.0f} ms"
        ),
        met=all(checks),
        method=(
            f"{GATES} gates of one place at 2 check-ins a second each, committed to the database {COMMITS_HZ} times a"
            f" second; {READERS} readers follow the place's stream over loopback, and Chromium shows the place's page"
            " on the same machine. CPU is that of the console's process alone; the baseline is the same at a tenth of"
            " the check-ins. A frame is the time from one animation frame of the page to the next."
        ),
        table=[
            Row(
                what=f"CPU of the console with {READERS + 1} streams",
                ours=100 * busy.cpu,
                unit="% of a core",
                baseline="a tenth of the check-ins",
                baseline_value=100 * quiet.cpu,
            ),
            Row(
                what="bytes of one stream",
                ours=busy.stream_b / 1000,
                unit="kB/s",
                baseline="a tenth of the check-ins",
                baseline_value=quiet.stream_b / 1000,
            ),
            Row(what="check-ins stored", ours=busy.hz, unit="/s", baseline="asked for", baseline_value=GATES * 2.0),
            Row(what="longest wait between two updates", ours=1000 * busy.wait_s, unit="ms"),
            Row(
                what="a frame of the page, p99",
                ours=busy.frame_ms[0],
                unit="ms",
                baseline="a tenth of the check-ins",
                baseline_value=quiet.frame_ms[0],
            ),
            Row(what="its longest frame", ours=busy.frame_ms[1], unit="ms"),
        ],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=2)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(Path(args.serve[0]), int(args.serve[1])))
