"""Thousands of places and millions of check-ins straight into a hub's database, as quickly as it takes them.

Places, gates, devices and keys are entered in one transaction, with the rows that the registry's own methods leave:
those take a transaction each, and 48,000 of them minutes. Check-ins go through `SqliteIngest.commit` in micro-batches.
Ingest has verified before it commits, so nothing is signed here: each gate seals one check-in, and the others have its
bytes with another code and subject, and fields, hash and time of their own.
"""

import asyncio
import contextlib
import hashlib
import itertools
import random
import sqlite3
from pathlib import Path
from typing import NamedTuple

from chains import Identity

from hub.deliver.aggregate import aggregate
from hub.model import HeadChange
from hub.store import audit_chain
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from protocol.checkin import GENESIS, CheckIn, Evidence, SealedCheckIn, hash_of, parse_checkin, seal_checkin
from protocol.keys import encode_key
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

DAY_MS = 86_400_000
BATCH_ROWS = 1000
_CODE, _SUBJECT = b"\xee" * 16, b"\xdd" * 48
_MASKED = ("欧阳", "110105", "002X")


class _Gate:
    """One gate's spool: its newest seq and hash, and the sealed bytes around code and subject."""

    def __init__(self, number: int, *, place: str, at_ms: int) -> None:
        identity = Identity(number)
        self.device, self.epoch, self.place, self.seq, self.hash = identity.device, bytes(8), place, 0, GENESIS
        draft = CheckIn(
            device=self.device,
            epoch=self.epoch,
            seq=1000,
            prev=identity.seed,
            at_ms=at_ms,
            clock=Clock.TRUSTED,
            place=place,
            gate=identity.gate,
            direction=Direction.IN,
            colour=Colour.GREEN,
            verdict=Verdict.ADMIT,
            reason=Reason.OK,
            code=_CODE,
            scheme=Scheme.GATELIGHT,
            subject=_SUBJECT,
            masked=_MASKED,
            evidence=Evidence(issuer_kid=bytes(8), code_issued_s=at_ms // 1000, policy_version=1),
        )
        self.pattern = parse_checkin(seal_checkin(draft, key=identity.key))
        before, rest = self.pattern.data.split(_CODE)
        self.pieces = (before, *rest.split(_SUBJECT))

    def next(self, *, at_ms: int, code: bytes, subject: bytes) -> SealedCheckIn:
        before, between, after = self.pieces
        data = b"".join((before, code, between, subject, after))
        same = self.pattern.checkin
        self.seq += 1
        checkin = CheckIn(
            device=self.device,
            epoch=self.epoch,
            seq=self.seq,
            prev=self.hash,
            at_ms=at_ms,
            clock=same.clock,
            place=same.place,
            gate=same.gate,
            direction=same.direction,
            colour=same.colour,
            verdict=same.verdict,
            reason=same.reason,
            code=code,
            scheme=same.scheme,
            subject=subject,
            masked=same.masked,
            evidence=same.evidence,
        )
        self.hash = hash_of(data)
        return SealedCheckIn(data=data, envelope=self.pattern.envelope, checkin=checkin, hash=self.hash)


class Old(NamedTuple):
    """A stored check-in."""

    device: bytes
    epoch: bytes
    seq: int
    hash: bytes


class Crowd:
    """Who shows what where: `checkins` evenly over `days` that end at `until_ms`, busy places and quiet ones.

    The place of rank r is as busy as 1 / (r + 10): of 16,000 the busiest has 1.3 % of all, half of them 0.1 % or less
    in a thousand.
    """

    def __init__(self, *, places: int, people: int, checkins: int, days: int, until_ms: int) -> None:
        self.places, self._checkins, self._span_ms = places, checkins, days * DAY_MS
        self.from_ms = until_ms - self._span_ms
        self._rng = random.Random(16)
        self._weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(places)))
        self._people, self._subjects = people, self._rng.randbytes(48 * people)
        self._gates: dict[int, _Gate] = {}
        self._made = self.sealed_bytes = 0

    @staticmethod
    def place(number: int) -> str:
        return f"P{number:05}"

    async def register(self, database: Path) -> None:
        """A new database with every place, each with a gate, its active device and key, and the audit log's entries."""
        await (await open_store(database, create=True)).close()
        await asyncio.to_thread(self._register, database)

    def _register(self, database: Path) -> None:
        who = [(self.place(number), Identity(number)) for number in range(self.places)]
        added = [f"{what}.add" for what in ("place", "gate", "device")] * self.places
        with contextlib.closing(sqlite3.connect(database)) as db, db:
            db.create_function(audit_chain.FUNCTION, audit_chain.ARGUMENTS, audit_chain.link, deterministic=True)
            db.executemany("INSERT INTO place VALUES (?1, ?1, '', '')", ((place,) for place, _ in who))
            db.executemany("INSERT INTO gate VALUES (?, ?, '')", ((place, each.gate) for place, each in who))
            db.executemany(
                "INSERT INTO device VALUES (?, ?, ?, 0, '', 'active', '', 0, 0)",
                ((each.device, place, each.gate) for place, each in who),
            )
            db.executemany(
                "INSERT INTO device_key (kid, device, cose_key, from_ms) VALUES (?, ?, ?, 0)",
                ((each.key.public.kid, each.device, encode_key(each.key.public)) for _, each in who),
            )
            db.executemany(
                "INSERT INTO audit (at_ms, who, action, detail) VALUES (0, 'bench', ?, '')",
                ((action,) for action in added),
            )

    def commit(self, rows: int) -> IngestCommit:
        """The next micro-batch."""
        numbers = self._rng.choices(range(self.places), cum_weights=self._weights, k=rows)
        touched: dict[int, int] = {}
        made = []
        for number in numbers:
            gate = self._gates.get(number)
            if gate is None:
                gate = self._gates[number] = _Gate(number, place=self.place(number), at_ms=self.from_ms)
            touched.setdefault(number, gate.seq)
            person = 48 * int(self._rng.random() * self._people)
            sealed = gate.next(
                at_ms=self.from_ms + self._made * self._span_ms // self._checkins,
                code=self._made.to_bytes(8, "big") + gate.device,
                subject=self._subjects[person : person + 48],
            )
            made.append(sealed)
            self._made += 1
            self.sealed_bytes += len(sealed.data)
        heads = []
        for number, was_seq in touched.items():
            gate = self._gates[number]
            heads.append(
                HeadChange(device_id=gate.device, epoch=gate.epoch, was_seq=was_seq, seq=gate.seq, hash=gate.hash)
            )
        received_ms = made[-1].checkin.at_ms
        counts = aggregate(made, received_ms)
        return IngestCommit(received_ms=received_ms, rows=tuple(made), heads=tuple(heads), counts=counts)


def some_old(database: Path, *, count: int) -> list[Old]:
    """Stored check-ins, any of them."""
    rng = random.Random(5)
    with contextlib.closing(sqlite3.connect(database)) as db:
        (rows,) = db.execute("SELECT max(id) FROM checkin").fetchone()
        sql = "SELECT device, epoch, seq, hash FROM checkin WHERE id = ?"
        return [Old(*db.execute(sql, (rng.randint(1, rows),)).fetchone()) for _ in range(count)]


def receipt_all(database: Path) -> None:
    """Every row that is in no batch yet gets into one that the platform has signed for."""
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        last_id, rows = db.execute("SELECT last_id, (SELECT max(id) FROM checkin) FROM forward_cursor").fetchone()
        for first in range(last_id + 1, rows + 1, BATCH_ROWS):
            last = min(first + BATCH_ROWS - 1, rows)
            db.execute(
                "INSERT INTO batch (id, first_id, last_id, n, state, attempts, next_try_ms, made_ms, closed_ms, newest_ms,"
                " receipt, detail) SELECT ?, ?, id, ?, 'receipted', 0, received_ms, received_ms, received_ms, received_ms,"
                " zeroblob(200), '' FROM checkin WHERE id = ?",
                (hashlib.sha256(str(first).encode()).digest()[:16], first, last - first + 1, last),
            )
        db.execute("UPDATE forward_cursor SET last_id = ?", (rows,))


def forgotten_rows(database: Path) -> int:
    """Rows whose personal fields have been erased."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        return db.execute("SELECT coalesce(sum(n), 0) FROM batch WHERE forgotten").fetchone()[0]
