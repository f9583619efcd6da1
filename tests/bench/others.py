"""The same load into what others would use: the messages are stored, and nothing else.

None of them verifies a signature, looks at the chain, gives a receipt or tells a duplicate from a new one, and what
arrives while they are down is lost. Broker, TLS, certificates and gates are as for the hub; the broker has no access
rules here, and a queue that holds everything.
"""

import contextlib
import datetime as dt
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from load import Child, Group, Identity, Load, Spent, issue, wait_for_port

from deploy.sandbox.configs import HOST
from deploy.sandbox.layout import Layout, Size, Surroundings, lay_out
from hub.config import load as load_config

HERE = Path(__file__).with_name("peers")
QUEUE = 1_000_000
TOPIC = "gatelight/1/d/+/+/checkins"
SILENT_S = 15.0
INSTALL_S = 900


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What one of them reached."""

    a_s: float
    cpu_us: float
    lost: int


class Ground:
    """A broker for one of them, and its certificate."""

    def __init__(self, folder: Path, *, gates: int) -> None:
        self.folder, self.gates = folder, gates
        self.layout: Layout = lay_out(
            folder / "site", size=Size(gates=0), now=dt.datetime.now(dt.UTC), around=Surroundings()
        )
        config = load_config(self.layout.hub_config)
        self.port, self.ca, self.certificates = config.broker.port, config.broker.ca, folder / "certificates"
        issue(config, ["peer", *(Identity(number).name for number in range(gates))], self.certificates)
        path = Path(self.layout.broker_command[-1])
        lines = path.read_text("utf-8").splitlines()
        kept = [line for line in lines if not line.startswith(("plugin", "max_queued"))]
        path.write_text("\n".join([*kept, f"max_queued_messages {QUEUE}", ""]), "utf-8")
        self.certificate = self.certificates / "peer.pem"
        self.database = folder / "peer.sqlite"

    def measure(self, command: list[str], *, checkins: int, wal: bool, **options: object) -> Stored:
        """Start it, publish, and wait until the last row is stored or nothing more comes."""
        with ExitStack() as at_end:
            name_broker, log = "broker", self.layout.log("broker")
            child = Child(name_broker, self.layout.broker_command, log=log)
            at_end.callback(child.stop)
            wait_for_port(self.port, child)
            peer = Child("peer", command, log=self.folder / "peer.log", **options)
            at_end.callback(peer.stop)
            until_s = time.monotonic() + 60
            while " as peer " not in log.read_text("utf-8", "replace"):
                peer.alive()
                if time.monotonic() > until_s:
                    raise TimeoutError(f"it does not connect: {peer.log.read_text('utf-8')[-1000:]}")
                time.sleep(0.1)
            time.sleep(1)
            group = {"all": Group(gates=self.gates, checkins=checkins)}
            with Load(
                self.folder, group, port=self.port, ca=self.ca, certificates=self.certificates, filters=()
            ) as load:
                load.connect()
                spent = Spent(peer)
                began_s = time.monotonic()
                load.run(start=["all"], until=["all"])
                rows, last_s = self._until_stored(load.sent, wal=wal)
                return Stored(
                    a_s=rows / (last_s - began_s), cpu_us=spent.done()[1]["peer"] / rows * 1e6, lost=load.sent - rows
                )

    def _until_stored(self, wanted: int, *, wal: bool) -> tuple[int, float]:
        rows, last_s = 0, time.monotonic()
        while rows < wanted and time.monotonic() - last_s < SILENT_S:
            time.sleep(0.02)
            found = rows_in(self.database, wal=wal)
            if found > rows:
                rows, last_s = found, time.monotonic()
        return rows, last_s


def rows_in(database: Path, *, wal: bool) -> int:
    """The newest row's number. Without WAL no lock is taken, which a writer would stumble over."""
    mode = "mode=ro" if wal else "mode=ro&immutable=1"
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{database}?{mode}", uri=True, timeout=1)) as db,
    ):
        return db.execute("SELECT coalesce(max(rowid), 0) FROM message").fetchone()[0]
    return 0


def make_table(database: Path, *, wal: bool) -> None:
    with contextlib.closing(sqlite3.connect(database)) as db:
        if wal:
            db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, topic TEXT, at REAL, payload BLOB)")
        db.commit()


def afternoon(folder: Path, *, gates: int, checkins: int) -> Stored:
    """paho and aiosqlite, one commit a row, WAL, synchronous FULL, which is SQLite's default."""
    ground = Ground(folder, gates=gates)
    make_table(ground.database, wal=True)
    command = [sys.executable, str(HERE / "afternoon.py")]
    arguments = [HOST, str(ground.port), str(ground.ca), str(ground.certificate), str(ground.database), TOPIC]
    return ground.measure([*command, *arguments], checkins=checkins, wal=True)


def pipe(folder: Path, *, gates: int, checkins: int) -> Stored:
    """`mosquitto_sub | sqlite3`, an INSERT for each message."""
    ground = Ground(folder, gates=gates)
    make_table(ground.database, wal=False)
    tls = f"--cafile {ground.ca} --cert {ground.certificate} --key {ground.certificate}"
    form = "INSERT INTO message (topic, at, payload) VALUES ('%t', %U, x'%x');"
    shell = f"mosquitto_sub -V mqttv5 -h {HOST} -p {ground.port} {tls} -q 1 -i peer -t '{TOPIC}' -F \"{form}\" | sqlite3 {ground.database}"
    return ground.measure(["sh", "-c", shell], checkins=checkins, wal=False)


def install_node_red() -> Path | None:
    """Node-RED and its SQLite node, as the lock file beside the flow says, kept for the next run; None where npm fails."""
    npm = shutil.which("npm")
    lock = (HERE / "node_red" / "package-lock.json").read_bytes()
    folder = Path(tempfile.gettempdir()) / f"gatelight-bench-node-red-{hashlib.sha256(lock).hexdigest()[:12]}"
    done, modules = folder / "installed", folder / "node_modules"
    if done.exists():
        return modules
    if npm is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "node_red" / name, folder / name)
    # The native module is built here where none is to be had.
    for command in (["ci", "--no-audit", "--no-fund", "--omit=dev"], ["rebuild", "sqlite3"]):
        ended = subprocess.run(
            [npm, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_S
        )
        if ended.returncode:
            print(f"Node-RED could not be installed: {ended.stderr[-500:]}", file=sys.stderr)
            return None
    done.touch()
    return modules


def node_red(folder: Path, modules: Path, *, gates: int, checkins: int, wal: bool) -> Stored:
    """MQTT in → function → SQLite, a prepared INSERT for each message."""
    ground = Ground(folder, gates=gates)
    make_table(ground.database, wal=wal)
    home = folder / "node-red"
    home.mkdir()
    flow = (HERE / "node_red" / "flow.json").read_text("utf-8")
    for name, value in {
        "PORT": str(ground.port),
        "CA": str(ground.ca),
        "CERTIFICATE": str(ground.certificate),
        "DATABASE": str(ground.database),
        "TOPIC": TOPIC,
    }.items():
        flow = flow.replace(f"@{name}@", value)
    (home / "flows.json").write_text(json.dumps(json.loads(flow)), "utf-8")
    (home / "settings.js").write_text(
        f'module.exports = {{ flowFile: "flows.json", uiHost: "127.0.0.1", disableEditor: true, httpAdminRoot: false,'
        f' httpNodeRoot: false, nodesDir: "{modules / "node-red-node-sqlite"}", logging: {{ console: {{ level: "info" }} }} }};\n',
        "utf-8",
    )
    (home / "node_modules").symlink_to(modules)
    command = [
        "node",
        str(modules / "node-red" / "red.js"),
        "--userDir",
        str(home),
        "--settings",
        str(home / "settings.js"),
    ]
    return ground.measure(command, checkins=checkins, wal=wal)
