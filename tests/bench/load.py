"""A site under load: real Mosquitto over TLS 1.3, a real hub with a real database, and the gates of generator.py.

The site is laid out as the sandbox does; its gates are entered straight into the hub's store, and their certificates
come from the hub's authority. What a process costs is read from /proc.
"""

import asyncio
import contextlib
import datetime as dt
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import nacl.bindings
from chains import PLACE, Chain, Identity
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.sandbox.layout import Size, Surroundings, lay_out
from hub.broker.access import initial_security
from hub.config import HubConfig
from hub.config import load as load_config
from hub.model import AuditEntry, Device, DeviceState, Gate, Place
from hub.registry.authority import load_authority, private_pem
from hub.startup import read_signing_key
from hub.store.sqlite import open_store
from protocol import cbor
from protocol.checkin import parse_checkin
from protocol.envelope import AAD_CHECKIN
from protocol.keys import encode_key
from protocol.terms import Direction

START_S = 60.0
BEFORE_S = 6.0
TICKS_A_S = os.sysconf("SC_CLK_TCK")
RECEIPTS = ("own/receipts",)
"""What a gate of the generator subscribes to at least; `own/` is its own branch."""
EVERYTHING = (
    "gatelight/1/hub/presence",
    "gatelight/1/trust",
    "gatelight/1/status/+/version",
    "gatelight/1/status/+/delta",
    *(f"own/{leaf}" for leaf in ("receipts", "time", "policy", "commands", "resolved")),
    f"gatelight/1/p/{PLACE}/used",
)
"""What a real gate subscribes to."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Gates that behave alike: `rate` messages of `each` check-ins a second; 0: as fast as the window lets them."""

    gates: int
    checkins: int
    each: int = 1
    rate: float = 0.0
    before: int = 0
    """Of the check-ins, how many each sends at once, `BEFORE_S` before the pace begins; with a rate only."""
    live: bool = False
    """Sealed when they are sent, at the time of that moment; with a rate only, and one a message."""


class Child:
    """A process of the bench: ended with it, however that ends."""

    def __init__(self, name: str, command: list[str], *, log: Path, **options: Any) -> None:
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        self.name, self.log = name, log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*guard, *command],
                stderr=file,
                **{"stdin": subprocess.DEVNULL, "stdout": file, "start_new_session": True} | options,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def cpu_s(self) -> float:
        """User and system time of the process, its threads and whatever it started."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text("ascii").rpartition(")")[2].split()
                # Each child of the bench leads a session of its own.
                if int(fields[3]) == self.pid:
                    ticks += sum(map(int, fields[11:15]))
        return ticks / TICKS_A_S

    @property
    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        # Whatever it started leads no session of its own, and would go on without it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def alive(self) -> None:
        """Raises RuntimeError with the log's end when it has died."""
        if self.process.poll() is not None:
            tail = self.log.read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{self.name} died with {self.process.returncode}:\n{tail}")


class Site:
    """Broker and hub, and the platform if it is asked for, with `gates` registered gates. A context manager."""

    def __init__(self, folder: Path, *, gates: int, platform: bool = False) -> None:
        self.folder, self.gates = folder, gates
        self._at_end = ExitStack()
        self.layout = lay_out(folder / "site", size=Size(gates=0), now=dt.datetime.now(dt.UTC), around=Surroundings())
        self.config = load_config(self.layout.hub_config)
        self.certificates = folder / "certificates"
        self._with_platform = platform
        self.broker: Child
        self.platform: Child
        self.hub: Child

    def __enter__(self) -> Self:
        issue(self.config, [Identity(number).name for number in range(self.gates)], self.certificates)
        asyncio.run(register(self.config.database, range(self.gates)))
        devices = {Identity(number).device: PLACE for number in range(self.gates)}
        security = self.folder / "site" / "broker" / "dynamic-security.json"
        security.write_text(json.dumps(initial_security(devices)), "ascii")
        self.broker = self.child("broker", self.layout.broker_command)
        wait_for_port(self.config.broker.port, self.broker)
        if self._with_platform:
            self.start_platform()
        self.hub = self.child("hub", self.layout.hub_command)
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._at_end.close()

    def start_platform(self) -> None:
        self.platform = self.child("platform", self.layout.platform_command)
        wait_for_port(self.layout.ports.platform_api, self.platform)

    def child(self, name: str, command: list[str], **options: Any) -> Child:
        """A further process of the site, ended with it."""
        child = Child(name, command, log=self.layout.log(name), **options)
        self._at_end.callback(child.stop)
        return child

    def metrics(self) -> dict[str, float]:
        """The hub's own figures, without their labels' lines."""
        lines = self._get("/metrics")[1].splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and line[0] != "#" and "{" not in line)
        return {name.removeprefix("gatelight_hub_"): float(value) for name, value in pairs}

    def wait_ready(self) -> None:
        until_s = time.monotonic() + START_S
        while True:
            self.hub.alive()
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._get("/readyz")[0] == 200:
                    return
            if time.monotonic() > until_s:
                raise TimeoutError(f"the hub is not ready: {self._get('/readyz')}")
            time.sleep(0.05)

    def stored(self, epoch: bytes) -> tuple[int, dict[str, tuple[int, str]]]:
        """(rows, device -> (seq, hash) of its head) of one epoch, read from the file itself."""
        with contextlib.closing(sqlite3.connect(self.config.database)) as db:
            rows = db.execute("SELECT count(*) FROM checkin WHERE epoch = ?", (epoch,)).fetchone()[0]
            heads = db.execute("SELECT device, seq, hash FROM head WHERE epoch = ?", (epoch,))
            return rows, {device.hex(): (seq, hash_.hex()) for device, seq, hash_ in heads}

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.layout.ports.hub_http, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


class Load:
    """The generator's process, told step by step."""

    def __init__(
        self,
        folder: Path,
        groups: dict[str, Group],
        *,
        port: int,
        ca: Path,
        certificates: Path,
        hub_key: bytes = b"",
        filters: tuple[str, ...] = RECEIPTS,
        patience_s: float = START_S,
    ) -> None:
        firsts = [sum(group.gates for group in list(groups.values())[:index]) for index in range(len(groups))]
        plan = {
            "port": port,
            "ca": str(ca),
            "certificates": str(certificates),
            "hub_key": hub_key.hex(),
            "receipts": bool(hub_key),
            "filters": filters,
            "patience_s": patience_s,
            "epoch": os.urandom(8).hex(),
            "at_ms": time.time_ns() // 1_000_000,
            "groups": {
                name: {"first": first, "before_s": BEFORE_S, **group.__dict__}
                for first, (name, group) in zip(firsts, groups.items(), strict=True)
            },
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"plan-{plan['epoch']}.json"
        path.write_text(json.dumps(plan), "utf-8")
        self.groups, self.epoch = groups, bytes.fromhex(plan["epoch"])
        self.child = Child(
            "generator",
            [sys.executable, str(Path(__file__).with_name("generator.py")), str(path)],
            log=folder / "generator.log",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    def connect(self) -> dict[str, float]:
        return self._ask(step="connect")

    def run(self, *, start: list[str], until: Sequence[str] = (), seconds: float = 0.0) -> dict[str, Any]:
        """Start groups; until those in `until` are done and `seconds` are over."""
        return self._ask(step="run", start=start, until=list(until), seconds=seconds)

    @property
    def sent(self) -> int:
        """How many check-ins all groups publish when they run to their end."""
        return sum(group.gates * group.checkins for group in self.groups.values())

    def heads(self) -> dict[str, list[Any]]:
        """Gate -> how far it is receipted, and its head's hash when that is all; signatures are checked first."""
        return self._ask(step="heads")

    def _ask(self, **asked: Any) -> Any:
        self.child.process.stdin.write(json.dumps(asked).encode() + b"\n")
        self.child.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self.child.process.stdout.readline()
        if not line:
            self.child.process.wait(10)
            self.child.alive()
        return json.loads(line)


def load_on(
    site: Site, groups: dict[str, Group], *, filters: tuple[str, ...] = RECEIPTS, patience_s: float = START_S
) -> Load:
    """Gates of this site."""
    public = load_public(site.config.keys.signing)
    return Load(
        site.folder,
        groups,
        port=site.config.broker.port,
        ca=site.config.broker.ca,
        certificates=site.certificates,
        hub_key=public,
        filters=filters,
        patience_s=patience_s,
    )


def lost(site: Site, load: Load) -> int:
    """Check-ins that are not both receipted to their gate and in the hub's database; 0 is what has to be."""
    rows, stored = site.stored(load.epoch)
    missing = 0
    for name, (receipted, head) in load.heads().items():
        seq, hash_ = stored.get(name, (0, ""))
        if head and (seq, hash_) != (receipted, head):
            raise AssertionError(f"the hub's head of {name} is {seq} {hash_}, the gate's {receipted} {head}")
        missing += max(0, receipted - seq)
    return max(missing, load.sent - rows)


def load_public(signing: Path) -> bytes:
    return encode_key(read_signing_key(signing).public)


def issue(config: HubConfig, names: Iterable[str], folder: Path) -> None:
    """A certificate for each name, with its key in the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    now_ms = time.time_ns() // 1_000_000
    authority = load_authority(cert=config.ca.cert, key=config.ca.key, days=30, now_ms=now_ms)
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        made = authority.issue_client(key.public_key(), name=name, now_ms=now_ms)
        certificate = x509.load_der_x509_certificate(made.der).public_bytes(Encoding.PEM)
        path = folder / f"{name}.pem"
        path.touch(0o600)
        path.write_bytes(certificate + private_pem(key))


async def register(database: Path, numbers: range) -> None:
    """All gates of the load at one place, each with its device and key."""
    audit = AuditEntry(at_ms=0, who="bench", action="bench", detail="")
    store = await open_store(database, create=True)
    try:
        await store.add_place(Place(place_id=PLACE, name=PLACE, region="", responsible=""), audit=audit)
        for number in numbers:
            who = Identity(number)
            await store.add_gate(Gate(place_id=PLACE, gate_id=who.gate, name=""), audit=audit)
            device = Device(
                device_id=who.device,
                place_id=PLACE,
                gate_id=who.gate,
                direction=Direction.IN,
                name="",
                cose_key=encode_key(who.key.public),
                kid=who.key.public.kid,
                state=DeviceState.ACTIVE,
                reason="",
                added_ms=0,
                changed_ms=0,
            )
            await store.add_device(device, audit=audit)
    finally:
        await store.close()


def wait_for_port(port: int, child: Child) -> None:
    until_s = time.monotonic() + START_S
    while True:
        child.alive()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > until_s:
            raise TimeoutError(f"{child.name} does not listen")
        time.sleep(0.05)


class Spent:
    """CPU seconds of some processes between two moments."""

    def __init__(self, *children: Child) -> None:
        self._children = children
        self._before = {child.name: child.cpu_s for child in children}
        self._began_s = time.monotonic()

    def done(self) -> tuple[float, dict[str, float]]:
        """(seconds passed, process -> CPU seconds)."""
        return time.monotonic() - self._began_s, {
            child.name: child.cpu_s - self._before[child.name] for child in self._children
        }


def bare_check_us(*, seconds: float = 1.5) -> float:
    """CPU µs of the bare signature check of one check-in: `crypto_sign_open` of what its gate signed."""
    chain = Chain(Identity(0), epoch=bytes(8))
    sealed = parse_checkin(chain.seal(time.time_ns() // 1_000_000)).envelope
    signed = sealed.signature + cbor.encode(["Signature1", sealed.protected, AAD_CHECKIN, sealed.payload])
    public, check = chain.identity.key.public.x, nacl.bindings.crypto_sign_open
    until_s, calls, began_s = time.monotonic() + seconds, 0, time.process_time()
    while time.monotonic() < until_s:
        for _ in range(200):
            check(signed, public)
        calls += 200
    return (time.process_time() - began_s) / calls * 1e6


@contextmanager
def busy_core() -> Iterator[None]:
    """Another process that keeps the other core as busy as broker and generator do: two virtual cores share a real one."""
    child = subprocess.Popen(
        [sys.executable, __file__, "spin"],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def spin() -> None:
    """Work of the generator's kind, until killed."""
    chain = Chain(Identity(1), epoch=bytes(8))
    while True:
        chain.seal(1 << 40)


if __name__ == "__main__":
    spin()
