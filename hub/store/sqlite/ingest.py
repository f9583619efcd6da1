"""SQLite: one transaction for each micro-batch, and look-ups of old check-ins without an index."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from hub.model import AuditEntry, DeviceChange, DeviceState, EvidenceCount, Gap, Head, MinuteCount, QuarantineEntry
from hub.store.errors import HeadConflictError
from hub.store.ports import QUARANTINE_DATA_BYTES, IngestCommit
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values

WAYPOINT_EVERY: Final = 512
"""One index entry for so many rows costs nothing to keep, and bounds the walk of `find_hash`."""

# The first row of a spool in a commit follows the spool's newest stored row, which its head knows.
_INSERT_ROW: Final = """
INSERT INTO checkin (id, prev_id, device, epoch, seq, hash, at_ms, received_ms, place, gate, direction, colour,
    verdict, reason, clock, code, subject, masked, sealed)
VALUES (?1, coalesce(?2, (SELECT row_id FROM head WHERE device = ?3 AND epoch = ?4)), ?3, ?4, ?5, ?6, ?7, ?8, ?9,
    ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
"""

# Changes no row when the stored head is not at `was_seq` (?7), which the caller then sees in the row count.
_MOVE_HEAD: Final = """
INSERT INTO head (device, epoch, seq, hash, row_id, updated_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE ?7 = 0 OR EXISTS (SELECT 1 FROM head WHERE device = ?1 AND epoch = ?2)
ON CONFLICT (device, epoch) DO UPDATE
SET seq = excluded.seq, hash = excluded.hash, row_id = coalesce(excluded.row_id, row_id),
    updated_ms = excluded.updated_ms
WHERE head.seq = ?7 AND excluded.seq >= head.seq
"""

ADD_COUNT: Final = """
INSERT INTO count_minute (minute, place, gate, colour, verdict, direction, n) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n
"""

_ADD_UNTIMED: Final = """
INSERT INTO count_untimed (hour, place, n) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n
"""

QUARANTINE: Final = """
INSERT INTO quarantine (device, epoch, seq, received_ms, reason, detail, data, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO NOTHING
"""

_NOTE_GAP: Final = """
INSERT INTO gap (device, epoch, from_seq, to_seq, noted_ms, why) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""

_WALK_BACK: Final = """
WITH RECURSIVE back (id, prev_id, seq) AS (
    SELECT id, prev_id, seq FROM checkin WHERE id = coalesce(
        (SELECT row_id FROM waypoint WHERE device = ?1 AND epoch = ?2 AND seq >= ?3 ORDER BY seq LIMIT 1),
        (SELECT row_id FROM head WHERE device = ?1 AND epoch = ?2))
    UNION ALL
    SELECT checkin.id, checkin.prev_id, checkin.seq FROM back JOIN checkin ON checkin.id = back.prev_id
    WHERE back.seq > ?3
)
SELECT hash, sealed FROM checkin WHERE id = (SELECT id FROM back WHERE seq = ?3)
"""

_EVIDENCE: Final = """
SELECT (SELECT count(*) FROM quarantine WHERE device = ?1 AND data IS NOT NULL),
    (SELECT count(*) FROM gap WHERE device = ?1)
"""


class SqliteIngest:
    """`hub.store.ports.IngestStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def heads(self) -> tuple[Head, ...]:
        """Every spool's high-water mark."""
        rows = await self._connections.read("SELECT device, epoch, seq, hash, updated_ms FROM head")
        return tuple(
            Head(device_id=device, epoch=epoch, seq=seq, hash=hash_, updated_ms=updated_ms)
            for device, epoch, seq, hash_, updated_ms in rows
        )

    async def gaps_of_all(self) -> tuple[Gap, ...]:
        """Every gap noted."""
        rows = await self._connections.read("SELECT device, epoch, from_seq, to_seq, why FROM gap")
        return tuple(
            Gap(device_id=device, epoch=epoch, from_seq=from_seq, to_seq=to_seq, why=why)
            for device, epoch, from_seq, to_seq, why in rows
        )

    async def commit(self, commit: IngestCommit) -> None:
        """Store one micro-batch in one transaction; see the port."""
        await self._connections.transact(partial(_store, commit=commit))

    async def find_hash(self, device_id: bytes, epoch: bytes, seq: int) -> bytes | None:
        """The hash of a check-in stored before: back from the next waypoint, row by row."""
        rows = await self._connections.read(_WALK_BACK, (device_id, epoch, seq))
        return rows[0][0] if rows else None

    async def find_sealed(self, device_id: bytes, epoch: bytes, seq: int) -> bytes | None:
        """The sealed bytes of a check-in stored before, found in the same way."""
        rows = await self._connections.read(_WALK_BACK, (device_id, epoch, seq))
        return rows[0][1] if rows else None

    async def evidence(self, device_id: bytes) -> EvidenceCount:
        """How much is kept against a device: two counts within indexes."""
        quarantined, gaps = (await self._connections.read(_EVIDENCE, (device_id,)))[0]
        return EvidenceCount(quarantined=quarantined, gaps=gaps)


def _store(db: sqlite3.Connection, *, commit: IngestCommit) -> None:
    newest: dict[tuple[bytes, bytes], int] = {}
    (newest_id,) = db.execute("SELECT coalesce(max(id), 0) FROM checkin").fetchone()
    rows, waypoints = _row_values(commit, first_id=newest_id + 1, newest=newest)
    db.executemany(_INSERT_ROW, rows)
    db.executemany("INSERT INTO waypoint VALUES (?, ?, ?, ?)", waypoints)
    _move_heads(db, commit, newest=newest)
    db.executemany(ADD_COUNT, count_values(commit.counts))
    untimed = [(count.minute // 60, count.place_id, count.untimed) for count in commit.counts if count.untimed]
    db.executemany(_ADD_UNTIMED, untimed)
    db.executemany(
        QUARANTINE, [quarantine_values(entry, received_ms=commit.received_ms) for entry in commit.quarantine]
    )
    db.executemany(
        _NOTE_GAP,
        [(gap.device_id, gap.epoch, gap.from_seq, gap.to_seq, commit.received_ms, gap.why) for gap in commit.gaps],
    )
    for change in commit.device_changes:
        _change_device(db, change, at_ms=commit.received_ms)


def quarantine_values(entry: QuarantineEntry, *, received_ms: int) -> tuple[Any, ...]:
    """The values of `QUARANTINE`, which keeps an entry as evidence; a resend changes nothing."""
    return (
        entry.device_id,
        entry.epoch,
        entry.seq,
        received_ms,
        entry.reason,
        entry.detail,
        entry.data[:QUARANTINE_DATA_BYTES],
        _digest(entry),
    )


def _digest(entry: QuarantineEntry) -> bytes:
    """What makes an entry the same: whose, where, why, and every byte. Another device's must not hide it."""
    identity = repr((entry.device_id, entry.epoch, entry.seq, entry.reason))
    return hashlib.sha256(hashlib.sha256(entry.data).digest() + identity.encode()).digest()


def _row_values(
    commit: IngestCommit, *, first_id: int, newest: dict[tuple[bytes, bytes], int]
) -> tuple[list[tuple[Any, ...]], list[tuple[bytes, bytes, int, int]]]:
    """The values of `_INSERT_ROW` and of the waypoints; fills `newest` with each spool's newest row id.

    `+` makes a plain integer of an enumeration's member: sqlite3 binds those ten times faster, and `int()` takes
    three times as long.
    """
    rows: list[tuple[Any, ...]] = []
    waypoints: list[tuple[bytes, bytes, int, int]] = []
    for row_id, sealed in enumerate(commit.rows, start=first_id):
        checkin = sealed.checkin
        spool = (checkin.device, checkin.epoch)
        rows.append(
            (
                row_id,
                newest.get(spool),
                checkin.device,
                checkin.epoch,
                checkin.seq,
                sealed.hash,
                checkin.at_ms,
                commit.received_ms,
                checkin.place,
                checkin.gate,
                +checkin.direction,
                +checkin.colour,
                +checkin.verdict,
                +checkin.reason,
                +checkin.clock,
                checkin.code,
                checkin.subject,
                None if checkin.masked is None else json.dumps(checkin.masked, ensure_ascii=False),
                sealed.data,
            )
        )
        newest[spool] = row_id
        if checkin.seq % WAYPOINT_EVERY == 0:
            waypoints.append((*spool, checkin.seq, row_id))
    return rows, waypoints


def _move_heads(db: sqlite3.Connection, commit: IngestCommit, *, newest: dict[tuple[bytes, bytes], int]) -> None:
    moved = {(head.device_id, head.epoch) for head in commit.heads}
    if len(moved) != len(commit.heads) or not newest.keys() <= moved:
        raise ValueError("a commit moves the head of each spool that it has rows of, once")
    if not commit.heads:
        return
    cursor = db.executemany(
        _MOVE_HEAD,
        [
            (
                head.device_id,
                head.epoch,
                head.seq,
                head.hash,
                newest.get((head.device_id, head.epoch)),
                commit.received_ms,
                head.was_seq,
            )
            for head in commit.heads
        ],
    )
    if cursor.rowcount != len(commit.heads):
        raise HeadConflictError("a stored head is not where this hub left it: does a second hub use this database?")


def count_values(counts: Iterable[MinuteCount]) -> Iterator[tuple[int | str, ...]]:
    """The values of `ADD_COUNT`."""
    for count in counts:
        yield (
            count.minute,
            count.place_id,
            count.gate_id,
            int(count.colour),
            int(count.verdict),
            int(count.direction),
            count.n,
        )


def _change_device(db: sqlite3.Connection, change: DeviceChange, *, at_ms: int) -> None:
    cursor = db.execute(
        "UPDATE device SET state = ?, reason = ?, changed_ms = ? WHERE id = ? AND state NOT IN (?, ?)",
        (change.state, change.reason, at_ms, change.device_id, change.state, DeviceState.REVOKED),
    )
    # A state that it has already is not news, and a hostile device must not grow the audit log.
    if cursor.rowcount:
        entry = AuditEntry(
            at_ms=at_ms,
            who="hub",
            action=f"device.{change.state}",
            detail=f"{change.device_id.hex()}: {change.reason}",
        )
        db.execute(INSERT_AUDIT, audit_values(entry))
