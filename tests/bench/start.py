"""From the start of the process to ready, and what memory it takes: device and hub, in a site of their own."""

import asyncio
import compileall
import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from presentations import still_hall
from result import TARGETS, Plot, Result, Row

from deploy.sandbox.layout import device_command
from deploy.sandbox.site import Site

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 7
DEAREST = 9
DEVICE_S, DEVICE_MB, HUB_S, HUB_MB = 1.0, 90, 1.5, 120
# The libraries that each of them stands on, imported and nothing more.
DEVICE_BARE = (
    "import cbor2, cryptography.hazmat.primitives.asymmetric.ec, cryptography.x509, msgspec, nacl.bindings, numpy, "
    "paho.mqtt.client, sqlite3, ssl"
)
CHILD_BARE = "import numpy, zxingcpp"
HUB_BARE = (
    "import aiohttp.web, aiosqlite, asyncio, cbor2, cryptography.hazmat.primitives.asymmetric.ec, cryptography.x509, "
    "msgspec, mqtt5, nacl.bindings, prometheus_client, sqlite3, ssl"
)
SAY_READY = "; import os, socket, time; print('ready', flush=True); time.sleep(60)"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """In MB, of a process and its children: RSS counts a shared page in each of them, PSS once."""

    rss: float
    pss: float
    children: int


def run(*, quick: bool) -> Result:
    rounds = 3 if quick else ROUNDS
    # As deploy/setup leaves them.
    for package in ("device", "hub", "protocol"):
        compileall.compile_dir(str(ROOT / package), quiet=1)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="gl-start-") as folder:
        return asyncio.run(measured(Path(folder), rounds=rounds))


async def measured(folder: Path, *, rounds: int) -> Result:
    async with Site(folder / "site", gates=1) as site:
        await site.gates[0].close()
        await site.gates[0].process.stop()
        device_toml(site.layout.gates[0].plan.config, folder)
        command = device_command(site.layout.gates[0].plan, "run")
        device = await asyncio.to_thread(device_starts, command, folder / "notify", rounds)
        await site.hub.stop()
        hub = await asyncio.to_thread(hub_starts, site.layout.hub_command, f"{site.layout.hub_url}/readyz", rounds)
    bare = {
        name: bare_starts(code, rounds)
        for name, code in (("device", DEVICE_BARE), ("child", CHILD_BARE), ("hub", HUB_BARE))
    }
    imports = {module: imports_of(module, rounds) for module in ("device.commands", "hub.cli.service")}
    return result_of(device, hub, bare, imports, rounds=rounds)


def result_of(
    device: list[tuple[float, Memory]],
    hub: list[tuple[float, Memory]],
    bare: dict[str, tuple[float, float]],
    took_ms: dict[str, str],
    *,
    rounds: int,
) -> Result:
    device_s, hub_s = (statistics.median(took for took, _ in starts) for starts in (device, hub))
    device_mb, hub_mb = (statistics.median(memory.pss for _, memory in starts) for starts in (device, hub))
    device_rss, hub_rss = (statistics.median(memory.rss for _, memory in starts) for starts in (device, hub))
    children = device[0][1].children
    both_mb = bare["device"][1] + bare["child"][1]
    imports = "bare Python that imports the same libraries"
    return Result(
        name="start",
        title="from the start to ready, and resident memory",
        target=TARGETS["start"],
        seen=f"device {device_s:.2f} s, {device_mb:.0f} MB; hub {hub_s:.2f} s, {hub_mb:.0f} MB",
        met=device_s <= DEVICE_S and device_mb <= DEVICE_MB and hub_s <= HUB_S and hub_mb <= HUB_MB,
        table=[
            Row(
                what="device: start → READY=1",
                ours=device_s,
                unit="s",
                baseline=imports,
                baseline_value=bare["device"][0],
            ),
            Row(what="device: longest start", ours=max(took for took, _ in device), unit="s"),
            Row(
                what=f"device with {children} decoder process{'es' if children != 1 else ''}: PSS",
                ours=device_mb,
                unit="MB",
                baseline=f"{imports}, and a bare decoder (RSS)",
                baseline_value=both_mb,
            ),
            Row(what="… RSS, shared pages counted in each", ours=device_rss, unit="MB"),
            Row(
                what="hub: start → /readyz says 200",
                ours=hub_s,
                unit="s",
                baseline=imports,
                baseline_value=bare["hub"][0],
            ),
            Row(what="hub: longest start", ours=max(took for took, _ in hub), unit="s"),
            Row(what="hub: PSS", ours=hub_mb, unit="MB", baseline=f"{imports} (RSS)", baseline_value=bare["hub"][1]),
            Row(what="… RSS", ours=hub_rss, unit="MB"),
        ],
        method=(
            f"{rounds} starts each; medians. Real processes in a site of one gate with Mosquitto over TLS: the device with its spool, "
            "status lists and decoder children, looking at a still picture of an empty hall; the hub with its database and enrolment. "
            "The device is ready when it says READY=1 to systemd's socket, which it does after its first decoded frame. Memory is read 2 s "
            "later from `smaps_rollup`. Files are in the page cache and modules compiled: a first start after boot reads them from the card."
        ),
        notes=[
            f"Imports are most of it. `-X importtime` of {module}, which makes them some longer, in ms by package: {took}."
            for module, took in took_ms.items()
        ],
        series={"device": [took for took, _ in device], "hub": [took for took, _ in hub]},
        plot=Plot(x_label="s to ready", y_label="share of starts"),
    )


def device_toml(path: Path, folder: Path) -> None:
    """Before the camera of this gate stands a still picture, instead of rendered people."""
    pictures = folder / "pictures"
    pictures.mkdir()
    Image.fromarray(still_hall(1, sigma=3)[0]).save(pictures / "hall.png")
    head, _, rest = path.read_text("utf-8").partition("[camera]\n")
    _, _, tail = rest.partition("\n[")
    camera = f'kind = "pictures"\npath = "{pictures}"\nloop = true\n'
    path.write_text(f"{head}[camera]\n{camera}\n[{tail}", "utf-8")


def device_starts(command: list[str], notify: Path, rounds: int) -> list[tuple[float, Memory]]:
    return [device_start(command, notify) for _ in range(rounds)]


def device_start(command: list[str], notify: Path) -> tuple[float, Memory]:
    notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(notify))
        heard.settimeout(30)
        began_s = time.perf_counter()
        with started(command, NOTIFY_SOCKET=str(notify)) as process:
            while b"READY=1" not in heard.recv(4096):
                pass
            took_s = time.perf_counter() - began_s
            time.sleep(2)
            return took_s, memory_of(process.pid)


def hub_starts(command: list[str], url: str, rounds: int) -> list[tuple[float, Memory]]:
    return [hub_start(command, url) for _ in range(rounds)]


def hub_start(command: list[str], url: str) -> tuple[float, Memory]:
    began_s = time.perf_counter()
    with started(command) as process:
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url) as answer:  # noqa: S310 -- the hub on loopback.
                if answer.status == 200:
                    break
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            time.sleep(0.005)
        took_s = time.perf_counter() - began_s
        time.sleep(2)
        return took_s, memory_of(process.pid)


def bare_starts(code: str, rounds: int) -> tuple[float, float]:
    """Median s until it has imported, and MB."""
    took, sizes = [], []
    for _ in range(rounds):
        began_s = time.perf_counter()
        with started([sys.executable, "-c", code + SAY_READY], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            took.append(time.perf_counter() - began_s)
            sizes.append(memory_of(process.pid).rss)
    return statistics.median(took), statistics.median(sizes)


def imports_of(module: str, rounds: int) -> str:
    """What importing it takes, by package, as `-X importtime` has it: medians in ms, the dearest first."""
    seen: dict[str, list[float]] = {}
    for _ in range(rounds):
        process = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", f"import {module}"],
            stderr=subprocess.PIPE,
            text=True,
            check=True,
            cwd=ROOT,
        )
        a_round: Counter[str] = Counter()
        for own_us, name in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", process.stderr, re.MULTILINE):
            a_round[name.partition(".")[0]] += int(own_us)
        for name, own_us in [("all", a_round.total()), *a_round.items()]:
            seen.setdefault(name, []).append(own_us / 1000)
    medians = {name: statistics.median(each) for name, each in seen.items()}
    dearest = sorted(medians, key=medians.__getitem__, reverse=True)[:DEAREST]
    return ", ".join(f"{name} {medians[name]:.0f}" for name in dearest)


@contextlib.contextmanager
def started(command: list[str], *, stdout: int = subprocess.DEVNULL, **environment: str):
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM if stdout == subprocess.DEVNULL else signal.SIGKILL)
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


def memory_of(pid: int) -> Memory:
    family = [pid, *descendants(pid)]
    sizes = [rollup(each) for each in family]
    return Memory(
        rss=sum(size["Rss"] for size in sizes), pss=sum(size["Pss"] for size in sizes), children=len(family) - 1
    )


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            found += [int(child), *descendants(int(child))]
    return found


def rollup(pid: int) -> dict[str, float]:
    """MB by name, of /proc/PID/smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
