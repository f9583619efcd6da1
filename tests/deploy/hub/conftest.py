"""A hub's files with rows in its database, without a hub."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub.cli import main
from hub.config import load
from hub.model import HeadChange
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from protocol.checkin import GENESIS, CheckIn, parse_checkin, seal_checkin
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

NOW_MS = 1_790_000_000_000
DEVICE = bytes.fromhex("00112233445566ff")
EPOCH = b"epoch--1"
KEY = Ed25519SigningKey(bytes(32))
CONFIG = """
hub_id = "00112233445566ff"
database = "state/hub.sqlite"
keys = { signing = "keys/hub.key", root = "keys/root.pub" }
trust = { bundle = "trust.bundle" }
broker = { host = "broker.local", ca = "tls/ca.pem", cert = "tls/hub.pem", key = "tls/hub.key" }
platform = { url = "https://platform.example", ca = "tls/pca.pem", cert = "tls/p.pem", key = "tls/p.key" }
ca = { cert = "ca/ca.pem", key = "ca/ca.key" }
"""


@dataclass
class Home:
    """One hub's folder; `rows` were committed so far."""

    folder: Path
    rows: list

    @property
    def config(self) -> Path:
        return self.folder / "hub.toml"

    @property
    def database(self) -> Path:
        return self.folder / "state" / "hub.sqlite"

    def grow(self, n, **commit):
        """Rows as ingest stores them."""
        asyncio.run(self.grown(n, **commit))

    async def grown(self, n, **commit):
        store = await open_store(self.database, check=False)
        try:
            await self.commit(store, n, **commit)
        finally:
            await store.close()

    async def commit(self, store, n, **commit):
        was = len(self.rows)
        for seq in range(was + 1, was + n + 1):
            draft = CheckIn(
                device=DEVICE,
                epoch=EPOCH,
                seq=seq,
                prev=self.rows[-1].hash if self.rows else GENESIS,
                at_ms=NOW_MS + seq,
                clock=Clock.TRUSTED,
                place="mall",
                gate="north",
                direction=Direction.IN,
                colour=Colour.GREEN,
                verdict=Verdict.ADMIT,
                reason=Reason.OK,
                code=bytes(16),
                scheme=Scheme.GATELIGHT,
                subject=b"sealed-subject-%05d--" % seq,
                masked=("=张", "11", "23"),
            )
            self.rows.append(parse_checkin(seal_checkin(draft, key=KEY)))
        head = HeadChange(device_id=DEVICE, epoch=EPOCH, was_seq=was, seq=was + n, hash=self.rows[-1].hash)
        await store.commit(IngestCommit(received_ms=NOW_MS, rows=tuple(self.rows[was:]), heads=(head,), **commit))

    def forward(self, n):
        """The platform signs for the next n rows."""

        async def batch():
            store = await open_store(self.database)
            rows = await store.unbatched(limit_rows=n, limit_bytes=1 << 20)
            name = bytes(8) + rows[0].row_id.to_bytes(8, "big")
            await store.fix_batch(
                batch_id=name, first_id=rows[0].row_id, last_id=rows[-1].row_id, skipped=(), made_ms=NOW_MS
            )
            await store.mark_receipted(name, receipt=b"r", rejected=(), now_ms=NOW_MS)
            await store.close()

        asyncio.run(batch())

    def ask(self, sql):
        return ask(self.database, sql)


def ask(path, sql):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "wang")
    folder = tmp_path / "hub"
    for inside in ("state", "keys", "tls", "ca"):
        (folder / inside).mkdir(parents=True)
    (folder / "hub.toml").write_text(CONFIG)
    made = Home(folder, [])
    assert main(["init", "--config", str(made.config)]) == 0
    for path in load(made.config).files:
        if not path.exists():
            path.write_bytes(b"file " + path.name.encode())
            path.chmod(0o600 if path.suffix == ".key" else 0o644)
    (tmp_path / "backups").mkdir(mode=0o700)
    return made


@pytest.fixture
def backups(tmp_path):
    return tmp_path / "backups"


@pytest.fixture
def run(home, capsys):
    """One command of this hub's: (exit code, stdout, stderr)."""
    capsys.readouterr()

    def command(*words, config=None):
        code = main([*map(str, words), "--config", str(config or home.config)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def archive(run, backups):
    """Makes a backup; returns its path."""

    def make(*options):
        before = set(backups.iterdir())
        code, _, err = run("backup", "--to", backups, *options)
        assert (code, err) == (0, "")
        (new,) = set(backups.iterdir()) - before
        return new

    return make


@pytest.fixture(scope="session")
def shipped():
    """The folder that goes onto a server."""
    return Path(__file__).parents[3] / "deploy" / "hub"
