"""The stand-in platform's database: a batch is stored whole, with its answer, or not at all.

SQLite, WAL, synchronous FULL: the answer promises that the rows survive a power cut. One thread owns it.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.platform.contacts import Sight
from deploy.sandbox.platform.judge import REJECTIONS, Arrival, Fault, Link, judge
from protocol.batch import Batch, BatchReceipt
from protocol.devicekey import DeviceKey
from protocol.keys import VerifyKey, decode_key, encode_key
from protocol.reasons import Reason
from protocol.terms import Direction, Verdict

SEQ_MAX = 2**63 - 1
SCHEMA = Path(__file__).with_name("schema.sql")


class OtherContentError(Exception):
    """This batch id was used before, for other check-ins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A check-in as the platform holds it, without subject and masked name."""

    device: bytes
    epoch: bytes
    seq: int
    prev: bytes
    hash: bytes
    at_ms: int
    place: str
    gate: str
    direction: int
    colour: int
    verdict: int
    reason: int
    issuer_kid: bytes | None
    person: int | None
    received_ms: int


_ROW_COLUMNS = ", ".join(Row.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """How far one device's epoch has come."""

    device: bytes
    epoch: bytes
    count: int
    max_seq: int
    head_hash: bytes
    gate: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRow:
    """A question of a desk, as its table has it."""

    id: bytes
    ask: int
    hub: bytes
    place: str
    gate: str
    direction: int | None
    scheme: int
    phone: str
    at_ms: int
    received_ms: int
    answer: bytes


class PlatformStore:
    """Everything that arrived.

    Args:
        path: the database file, made if it is not there.
        open_subject: subject -> person number, or None when it is not one of the wallet's.
    """

    def __init__(self, path: Path, *, open_subject: Callable[[bytes], int | None]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA.read_text(encoding="utf-8"))
        self._open_subject = open_subject
        self._devices: dict[bytes, dict[bytes, VerifyKey]] = {}
        for device, cose_key in self._db.execute("SELECT device, cose_key FROM device_keys"):
            self._know(bytes(device), decode_key(bytes(cose_key)))

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def take(
        self,
        batch: Batch,
        *,
        seal: Callable[[BatchReceipt], bytes],
        now_ms: int,
    ) -> bytes:
        """Judges and stores a batch whose signature was verified; returns the signed batch receipt.

        The same batch again gets the same bytes again.

        Raises:
            OtherContentError: the batch id is known with other check-ins.
        """
        content = hashlib.sha256(batch.hub)
        for data in batch.checkins:
            content.update(hashlib.sha256(data).digest())
        known = self._db.execute(
            "SELECT content_hash, answer FROM batches WHERE batch_id = ?", (batch.batch_id,)
        ).fetchone()
        if known is not None:
            if known[0] != content.digest():
                raise OtherContentError(batch.batch_id.hex())
            return bytes(known[1])
        self._db.execute("BEGIN IMMEDIATE")
        try:
            rejected: list[tuple[int, Reason]] = []
            for position, data in enumerate(batch.checkins):
                arrival = judge(data, devices=self._devices, ledger=self)
                self._keep(arrival, batch_id=batch.batch_id, position=position, now_ms=now_ms)
                if arrival.fault in REJECTIONS:
                    rejected.append((position, REJECTIONS[arrival.fault]))
            answer = seal(
                BatchReceipt(
                    batch_id=batch.batch_id,
                    stored=len(batch.checkins) - len(rejected),
                    rejected=tuple(rejected),
                    at_ms=now_ms,
                )
            )
            self._db.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?)",
                (batch.batch_id, batch.hub, content.digest(), now_ms, answer),
            )
            self._db.execute("COMMIT")
        except BaseException:
            # A failed commit may have ended the transaction already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return answer

    def link_at(self, device: bytes, epoch: bytes, seq: int) -> Link | None:
        """The check-in under this number, if it is here."""
        # Beyond SQLite's integers nothing is stored; the question itself would overflow.
        if not 0 < seq <= SEQ_MAX:
            return None
        found = self._db.execute(
            "SELECT prev, hash FROM checkins WHERE device = ? AND epoch = ? AND seq = ?", (device, epoch, seq)
        ).fetchone()
        return None if found is None else Link(prev=bytes(found[0]), hash=bytes(found[1]))

    def know_device(self, told: DeviceKey) -> None:
        """Believes a device's key from now on. A key that is known stays whose it was."""
        if any(told.key.kid in keys for keys in self._devices.values()):
            return
        self._db.execute(
            "INSERT INTO device_keys VALUES (?, ?, ?, ?, ?, ?)",
            (told.key.kid, told.device, encode_key(told.key), told.place, told.gate, told.from_ms),
        )
        self._know(told.device, told.key)

    def close_place(self, place: str, *, closed: bool, why: str) -> None:
        """Closes a place, or opens it again."""
        if closed:
            self._db.execute("INSERT OR REPLACE INTO closed_places VALUES (?, ?)", (place, why))
        else:
            self._db.execute("DELETE FROM closed_places WHERE place = ?", (place,))

    def closed_places(self) -> list[tuple[str, str]]:
        """(place, why) of every place that is closed."""
        return list(self._db.execute("SELECT place, why FROM closed_places ORDER BY place"))

    def is_known(self, number: int) -> bool:
        """Whether there is such a person."""
        return self._db.execute("SELECT 1 FROM people WHERE number = ?", (number,)).fetchone() is not None

    def key_of(self, device: bytes, kid: bytes) -> VerifyKey | None:
        """A device's key, if it has this one."""
        return self._devices.get(device, {}).get(kid)

    def row_at(self, device: bytes, epoch: bytes, seq: int) -> Row | None:
        """The check-in under this number, if it is here."""
        query = f"SELECT {_ROW_COLUMNS} FROM checkins WHERE device = ? AND epoch = ? AND seq = ?"  # noqa: S608 - as above
        return next(iter(_rows(self._db.execute(query, (device, epoch, seq)))), None)

    def sights_of(self, person: int, *, since_ms: int) -> dict[tuple[bytes, str], list[Sight]]:
        """Where somebody was let through since then, by hub and place."""
        query = (
            "SELECT hub, place, at_ms, direction FROM checkins JOIN batches USING (batch_id)"
            " WHERE person = ? AND at_ms >= ? AND verdict = ? ORDER BY at_ms"
        )
        found: dict[tuple[bytes, str], list[Sight]] = {}
        for hub, place, at_ms, direction in self._db.execute(query, (person, since_ms, int(Verdict.ADMIT))):
            sight = Sight(person=person, at_ms=at_ms, inward=direction == Direction.IN)
            found.setdefault((bytes(hub), place), []).append(sight)
        return found

    def desk_answer(self, question_id: bytes) -> bytes | None:
        """What this question of a desk was answered before."""
        found = self._db.execute("SELECT answer FROM desk_questions WHERE id = ?", (question_id,)).fetchone()
        return None if found is None else bytes(found[0])

    def keep_desk(self, row: DeskRow, people: Sequence[tuple[str, str, int]]) -> None:
        """Keeps a question with its answer, and (name, number, colour) of everybody in it, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            values = [getattr(row, name) for name in DeskRow.__dataclass_fields__]
            self._db.execute("INSERT INTO desk_questions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            self._db.executemany(
                "INSERT INTO desk_people VALUES (?, ?, ?, ?, ?)",
                [(row.id, position, *person) for position, person in enumerate(people)],
            )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def desk_visits(self, *, limit: int) -> list[tuple[int, str, str, int, str, int]]:
        """(at ms, place, gate, direction, name, colour) of the people who were registered last, newest first."""
        query = (
            "SELECT q.at_ms, q.place, q.gate, q.direction, p.name, p.colour FROM desk_questions q"
            " JOIN desk_people p ON p.question = q.id WHERE q.ask = 0 ORDER BY q.received_ms DESC, p.position LIMIT ?"
        )
        return list(self._db.execute(query, (limit,)))

    def _know(self, device: bytes, key: VerifyKey) -> None:
        self._devices.setdefault(device, {})[key.kid] = key

    def remember(self, number: int, name: str) -> None:
        """Keeps a person's name, for the pages."""
        self._db.execute("INSERT OR IGNORE INTO people VALUES (?, ?)", (number, name))

    def names(self) -> dict[int, str]:
        """Person number -> name."""
        return dict(self._db.execute("SELECT number, name FROM people"))

    def totals(self) -> dict[str, int]:
        """The counters of the summary."""
        faults = dict(self._db.execute("SELECT kind, count(*) FROM faults GROUP BY kind"))
        distinct = self._count("checkins")
        again = self._count("again")
        # What is missing below the newest of each chain; it may still come.
        gaps = sum(chain.max_seq - chain.count for chain in self.chains())
        return {
            "rows": distinct + again,
            "distinct": distinct,
            "again": again,
            "batches": self._count("batches"),
            "gaps": gaps,
            "chain_breaks": faults.get(Fault.CHAIN_BREAK, 0),
            "bad_signatures": faults.get(Fault.BAD_SIGNATURE, 0),
            "forks": faults.get(Fault.FORK, 0),
            "malformed": faults.get(Fault.MALFORMED, 0),
            "unknown_devices": faults.get(Fault.UNKNOWN_DEVICE, 0),
        }

    def chains(self) -> list[ChainState]:
        """One entry per device and epoch."""
        # SQLite takes the bare columns from the row that holds the maximum (its documented rule).
        query = (
            "SELECT device, epoch, count(*), max(seq), hash, gate, place FROM checkins"
            " GROUP BY device, epoch ORDER BY place, gate, epoch"
        )
        fields = ChainState.__dataclass_fields__
        return [ChainState(**dict(zip(fields, found, strict=True))) for found in self._db.execute(query)]

    def tally(self) -> list[tuple[str, str, int, int, int]]:
        """(place, gate, colour, verdict, count) of everything stored."""
        query = (
            "SELECT place, gate, colour, verdict, count(*) FROM checkins"
            " GROUP BY place, gate, colour, verdict ORDER BY place, gate, colour, verdict"
        )
        return list(self._db.execute(query))

    def newest(self, *, limit: int) -> list[Row]:
        """The check-ins that arrived last, newest first."""
        query = f"SELECT {_ROW_COLUMNS} FROM checkins ORDER BY id DESC LIMIT ?"  # noqa: S608 - our own column names
        return _rows(self._db.execute(query, (limit,)))

    def of_device(self, device: bytes, epoch: bytes, *, after_seq: int, limit: int) -> list[Row]:
        """A device's check-ins in order of seq, from `after_seq` + 1 on."""
        query = (
            f"SELECT {_ROW_COLUMNS} FROM checkins"  # noqa: S608 - our own column names
            " WHERE device = ? AND epoch = ? AND seq > ? ORDER BY seq LIMIT ?"
        )
        return _rows(self._db.execute(query, (device, epoch, after_seq, limit)))

    def _keep(self, arrival: Arrival, *, batch_id: bytes, position: int, now_ms: int) -> None:
        if arrival.fault is not None:
            self._db.execute(
                "INSERT INTO faults (batch_id, position, kind, detail, sealed, received_ms) VALUES (?, ?, ?, ?, ?, ?)",
                (batch_id, position, arrival.fault, arrival.detail, arrival.data, now_ms),
            )
            if arrival.fault is not Fault.CHAIN_BREAK:
                return
        if arrival.sealed is None:
            raise AssertionError("a check-in that did not parse is always a fault")
        checkin = arrival.sealed.checkin
        if arrival.again:
            self._db.execute(
                "INSERT INTO again (batch_id, device, epoch, seq, received_ms) VALUES (?, ?, ?, ?, ?)",
                (batch_id, checkin.device, checkin.epoch, checkin.seq, now_ms),
            )
            return
        row = Row(
            device=checkin.device,
            epoch=checkin.epoch,
            seq=checkin.seq,
            prev=checkin.prev,
            hash=arrival.sealed.hash,
            at_ms=checkin.at_ms,
            place=checkin.place,
            gate=checkin.gate,
            direction=checkin.direction,
            colour=checkin.colour,
            verdict=checkin.verdict,
            reason=checkin.reason,
            issuer_kid=checkin.evidence.issuer_kid,
            person=self._open_subject(checkin.subject),
            received_ms=now_ms,
        )
        values = [getattr(row, name) for name in Row.__dataclass_fields__]
        marks = ", ".join("?" * (len(values) + 2))
        self._db.execute(
            f"INSERT INTO checkins (batch_id, sealed, {_ROW_COLUMNS}) VALUES ({marks})",  # noqa: S608 - as above
            [batch_id, arrival.data, *values],
        )

    def _count(self, table: str) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own name


def _rows(cursor: sqlite3.Cursor) -> list[Row]:
    return [Row(**dict(zip(Row.__dataclass_fields__, found, strict=True))) for found in cursor]
