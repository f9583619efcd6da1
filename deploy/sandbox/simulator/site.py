"""A site of simulated machines, and the people who pass."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from nacl.bindings import crypto_sign_open

from deploy.sandbox.simulator.broker import Broker
from deploy.sandbox.simulator.disk import Disk
from deploy.sandbox.simulator.gate import SimGate
from deploy.sandbox.simulator.hub import SimHub
from deploy.sandbox.simulator.keys import ISSUER_KEY, PLACE, STRANGER_KEY, gate_keys
from deploy.sandbox.simulator.platform import SimPlatform
from deploy.sandbox.simulator.truth import Person, Truth
from deploy.sandbox.simulator.vfs import simulated_files
from deploy.sandbox.simulator.world import WALL_MS, World
from hub.model import AuditEntry, Gate, Place
from hub.store.sqlite import open_store
from protocol.codes import Claims, seal_code, to_text
from protocol.keys import SigningKey
from protocol.terms import Colour

GATES = 2
_COLOURS = (Colour.GREEN,) * 8 + (Colour.RED, Colour.YELLOW)
_OLD_S = 1_200

Rows = Callable[[str], list[tuple[Any, ...]]]
"""SQL -> what it finds."""


class SimSite:
    """Everything of one history. Built within `built`."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.truth = truth = Truth(world)
        self.broker = Broker(world)
        keys = [gate_keys(number) for number in range(1, GATES + 1)]
        self.platform = SimPlatform(world, gates=keys, truth=truth)
        self.gates = [
            SimGate(world, keys=each, folder=folder / each.name, broker=self.broker, truth=truth) for each in keys
        ]
        self.hub = SimHub(
            world, folder=folder / "hub", template=_template(), broker=self.broker, platform=self.platform, truth=truth
        )
        self.people = 0
        self._open = True

    @property
    def disks(self) -> tuple[Disk, ...]:
        """One for each machine."""
        return (*(gate.disk for gate in self.gates), self.hub.disk)

    def disk_of(self, path: Path) -> Disk | None:
        """Where a file lies."""
        return next((disk for disk in self.disks if path.parent == disk.folder), None)

    def start(self) -> None:
        """All machines, and the first person."""
        self.hub.boot()
        for gate in self.gates:
            gate.boot()
        self._expect()

    def close_doors(self) -> None:
        """Nobody comes any more."""
        self._open = False

    def one_more(self, gate: SimGate) -> None:
        """One last person, who is green."""
        self.people += 1
        text = self._code(Colour.GREEN, key=ISSUER_KEY, age_s=0)
        gate.visit(Person(number=self.people, colour=Colour.GREEN), text)

    def settled(self) -> bool:
        """Whether nothing is on its way any more. A gate that the hub stopped keeps what it has."""
        if not self.hub.alive or not all(gate.alive for gate in self.gates):
            return False
        if not all(gate.drained or self.truth.may_be_stopped(gate.keys.device) for gate in self.gates):
            return False
        with self.hub_rows() as rows:
            waiting = rows(
                "SELECT (SELECT coalesce(max(id), 0) FROM checkin) - (SELECT last_id FROM forward_cursor),"
                " (SELECT count(*) FROM pending_batch)"
            )
        return waiting == [(0, 0)]

    def end(self) -> None:
        """All processes at once."""
        for gate in self.gates:
            gate.resting = True
            gate.kill(power=False)
        self.hub.kill(power=False)
        self.platform.close()

    def _expect(self) -> None:
        if not self._open:
            return
        self.world.after(self.world.between(50, 3_000), self._arrive)

    def _arrive(self) -> None:
        """Somebody comes to one of the gates, with a genuine code or with another."""
        if not self._open:
            return
        world = self.world
        gate = world.rng.choice(self.gates)
        self.people += 1
        colour = world.rng.choice(_COLOURS)
        kind = world.rng.choices(("live", "again", "old", "forged"), (85, 6, 4, 5))[0]
        if kind == "again" and gate.admitted:
            text, colour = world.rng.choice(gate.admitted), Colour.GREEN
        else:
            kind = "live" if kind == "again" else kind
            text = self._code(
                colour, key=STRANGER_KEY if kind == "forged" else ISSUER_KEY, age_s=_OLD_S if kind == "old" else 0
            )
        gate.visit(Person(number=self.people, colour=colour, believable=kind == "live"), text)
        self._expect()

    def _code(self, colour: Colour, *, key: SigningKey, age_s: int) -> str:
        issued_s = (WALL_MS + self.world.now_ms) // 1000 - age_s
        subject = self.world.rng.randbytes(16)
        claims = Claims(subject=subject, issued_s=issued_s, expires_s=issued_s + 120, colour=colour)
        return to_text(seal_code(claims, key=key))

    @contextmanager
    def hub_rows(self) -> Iterator[Rows]:
        """Asks what stands in the hub's database, read beside it."""
        with closing(sqlite3.connect(self.hub.path)) as db:
            yield lambda sql: db.execute(sql).fetchall()


@contextmanager
def built(world: World, folder: Path) -> Iterator[SimSite]:
    """A site on simulated disks, in a folder that is empty."""
    _template()
    site = SimSite(world, folder)

    def allocate(descriptor: int, offset: int, size: int) -> None:
        """As `os.posix_fallocate`, on a disk that may be full."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        disk = site.disk_of(path)
        if disk is not None and not disk.room_for(offset + size - path.stat().st_size):
            raise OSError(28, "No space left on device")
        os.ftruncate(descriptor, offset + size)

    with (
        patch("os.posix_fallocate", allocate),
        patch("nacl.bindings.crypto_sign_open", _verified),
        simulated_files(disk_of=site.disk_of, random=world.rng.randbytes),
    ):
        try:
            yield site
        finally:
            site.end()


@lru_cache(maxsize=1024)
def _verified(signed: bytes, key: bytes) -> bytes:
    """As libsodium. Gate, hub, platform and witness each verify the same bytes: two in five need not be done again.

    Only what it takes is remembered: it raises for the rest, each time anew.
    """
    return crypto_sign_open(signed, key)


@cache
def _template() -> bytes:
    """The hub's database with its gates registered, made once by this process."""

    async def make(path: Path) -> None:
        store = await open_store(path, create=True)
        audit = AuditEntry(at_ms=WALL_MS, who="simulator", action="template", detail="")
        await store.add_place(Place(place_id=PLACE, name=PLACE), audit=audit)
        for number in range(1, GATES + 1):
            keys = gate_keys(number)
            await store.add_gate(Gate(place_id=PLACE, gate_id=keys.name, name=keys.name), audit=audit)
            await store.add_device(keys.registered(), audit=audit)
        await store.close()

    with TemporaryDirectory(prefix="gatelight-simulator-") as folder:
        path = Path(folder) / "hub.db"
        asyncio.run(make(path))
        return path.read_bytes()
