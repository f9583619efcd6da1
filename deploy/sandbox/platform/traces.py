"""The stand-in platform's traces: from a case's own check-ins to everybody who was there at the same time.

1. Each visit of the case that the platform knows of becomes a signed query to the hub whose place it was.
2. The hub answers page by page; a page counts when it is the next one, or once more the last.
3. Each check-in of an answer is verified by its device's key, as one of a batch is; one whose signed bytes the hub has
   forgotten counts if the platform has it itself. Whatever else stands there is counted, and believed nowhere.

Every query and every page stays here, as they were signed.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.platform.contacts import Sight, Visit, contacts, visits
from deploy.sandbox.platform.store import PlatformStore
from protocol.checkin import GENESIS, parse_checkin, verify_checkin
from protocol.errors import ProtocolError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import TRACE_WINDOW_MS, TRACES_WAITING
from protocol.terms import Direction, Verdict
from protocol.trace import TRACE_ID_BYTES, TraceAnswer, TraceQuery, TraceRow, open_trace_answer, seal_trace_query

LIFE_S = 86_400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS trace (
    id BLOB PRIMARY KEY, hub BLOB NOT NULL, query BLOB NOT NULL, asked_ms INTEGER NOT NULL,
    person INTEGER NOT NULL, why TEXT NOT NULL, place TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
    came_ms INTEGER NOT NULL, left_ms INTEGER NOT NULL, around_ms INTEGER NOT NULL, stay_ms INTEGER NOT NULL,
    expires_s INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS page (
    trace BLOB NOT NULL, page INTEGER NOT NULL, hash BLOB NOT NULL, data BLOB NOT NULL, received_ms INTEGER NOT NULL,
    PRIMARY KEY (trace, page)
) STRICT;
"""
_COLUMNS = (
    "id, hub, query, asked_ms, person, why, place, from_ms, to_ms, came_ms, left_ms, around_ms, stay_ms, expires_s,"
    " state, reason"
)


class NotWaitedForError(Exception):
    """Nobody asked this hub for such an answer."""


class NotNextError(Exception):
    """A page that is neither the next one nor once more the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an investigator wants: who met this person, `around_ms` before and after each visit included?"""

    person: int
    why: str
    since_ms: int
    around_ms: int
    stay_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One query. `state` is waiting, answered or refused."""

    id: bytes
    hub: bytes
    query: bytes
    asked_ms: int
    person: int
    why: str
    place: str
    from_ms: int
    to_ms: int
    came_ms: int
    left_ms: int
    around_ms: int
    stay_ms: int
    expires_s: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of a query.

    Attributes:
        rows: check-ins that were told.
        bare: of them, without their signed bytes.
        unproven: of them, believed nowhere.
        missing: check-ins of the place's devices that the hub never had.
        pages: how many.
    """

    asked: Asked
    contacts: tuple[Visit, ...]
    rows: int
    bare: int
    unproven: int
    missing: int
    pages: int


class Traces:
    """Asks, takes answers, and says who was there.

    Args:
        path: the database file, made if it is not there.
        store: what hubs have forwarded.
        hubs: their keys by id.
        key: signs queries.
        open_subject: subject -> person number, or None.
    """

    def __init__(
        self,
        path: Path,
        *,
        store: PlatformStore,
        hubs: Mapping[bytes, VerifyKey],
        key: SigningKey,
        open_subject: Callable[[bytes], int | None],
    ) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._store, self._hubs, self._key, self._open_subject = store, hubs, key, open_subject

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def ask(self, wish: Wish, *, now_ms: int) -> list[bytes]:
        """A query for each visit of the case since then; their ids. One that passes a bound of the wire is cut to it.

        Raises:
            ProtocolError: a case number that no query may have.
        """
        asked = []
        for (hub, place), sights in self._store.sights_of(wish.person, since_ms=wish.since_ms).items():
            for visit in visits(sights, stay_ms=wish.stay_ms):
                asked.append(self._ask(wish, visit, hub=hub, place=place, now_ms=now_ms))
                if len(asked) == TRACES_WAITING:
                    return asked
        return asked

    def waiting(self, key: VerifyKey, *, now_s: int) -> tuple[bytes, ...]:
        """Signed queries to the hub with this key, oldest first."""
        hub = self._hub_of(key)
        rows = self._db.execute(
            "SELECT query FROM trace WHERE hub = ? AND state = 'waiting' AND expires_s >= ? ORDER BY rowid LIMIT ?",
            (hub, now_s, TRACES_WAITING),
        )
        return tuple(bytes(query) for (query,) in rows)

    def take(self, trace_id: bytes, data: bytes, *, key: VerifyKey, now_ms: int) -> None:
        """One page of an answer.

        1. Signed by the hub's key.
        2. To a query of ours to this hub, and to these very bytes of it.
        3. The next page, or once more the last one, after the one before it, with the right count.

        Raises:
            ProtocolError: no page of this hub.
            NotWaitedForError: nobody asked it.
            NotNextError: another page is due.
        """
        # 1.
        page = open_trace_answer(data, key=key)
        # 2.
        asked = self.find(trace_id)
        if asked is None or page.id != trace_id or not page.hub == asked.hub == self._hub_of(key):
            raise NotWaitedForError
        if page.query_hash != hashlib.sha256(asked.query).digest():
            raise NotWaitedForError
        # 3.
        before = self._pages(trace_id)
        if page.page not in {len(before), len(before) - 1} or (asked.state != "waiting" and page.page == len(before)):
            raise NotNextError
        earlier = before[: page.page]
        told = sum(len(one.whole) + len(one.bare) for one, _ in earlier) + len(page.whole) + len(page.bare)
        if page.prev != (earlier[-1][1] if earlier else GENESIS) or page.told != told:
            raise NotNextError
        state = "waiting" if not page.last else "answered" if page.refused is None else "refused"
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?)",
                (trace_id, page.page, hashlib.sha256(data).digest(), data, now_ms),
            )
            self._db.execute(
                "UPDATE trace SET state = ?, reason = ? WHERE id = ?", (state, page.refused or "", trace_id)
            )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def find(self, trace_id: bytes) -> Asked | None:
        """The query with this id."""
        found = self._db.execute(f"SELECT {_COLUMNS} FROM trace WHERE id = ?", (trace_id,)).fetchone()  # noqa: S608
        return None if found is None else _asked(found)

    def newest(self, *, limit: int) -> list[Found]:
        """What came of the queries asked last."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM trace ORDER BY rowid DESC LIMIT ?", (limit,))  # noqa: S608
        return [self.found(_asked(row)) for row in rows.fetchall()]

    def found(self, asked: Asked) -> Found:
        """What came of a query so far."""
        pages = [page for page, _ in self._pages(asked.id)]
        proven = [self._whole(asked, data) for page in pages for data in page.whole]
        proven += [self._bare(asked, row) for page in pages for row in page.bare]
        sights = [sight for sights in proven if sights is not None for sight in sights]
        case = Visit(person=asked.person, from_ms=asked.came_ms, to_ms=asked.left_ms)
        met = contacts(visits(sights, stay_ms=asked.stay_ms), case, around_ms=asked.around_ms)
        return Found(
            asked=asked,
            contacts=tuple(met),
            rows=sum(len(page.whole) + len(page.bare) for page in pages),
            bare=sum(len(page.bare) for page in pages),
            unproven=proven.count(None),
            missing=sum(gap.to_seq - gap.from_seq + 1 for page in pages for gap in page.gaps),
            pages=len(pages),
        )

    def _whole(self, asked: Asked, data: bytes) -> tuple[Sight, ...] | None:
        """Whom a sealed check-in let through, if anybody whom we know; None: it is not believed."""
        try:
            sealed = parse_checkin(data)
            checkin = sealed.checkin
            key = self._store.key_of(checkin.device, sealed.kid)
            if key is None or checkin.place != asked.place or not asked.from_ms <= checkin.at_ms < asked.to_ms:
                return None
            verify_checkin(sealed, key=key)
        except ProtocolError:
            return None
        person = self._open_subject(checkin.subject)
        return _sights(person, checkin.at_ms, checkin.direction, checkin.verdict)

    def _bare(self, asked: Asked, row: TraceRow) -> tuple[Sight, ...] | None:
        """The same of one whose bytes the hub has forgotten: from what it forwarded before."""
        known = self._store.row_at(row.device, row.epoch, row.seq)
        if known is None or known.hash != row.hash or known.place != asked.place:
            return None
        return _sights(known.person, known.at_ms, known.direction, known.verdict)

    def _ask(self, wish: Wish, visit: Visit, *, hub: bytes, place: str, now_ms: int) -> bytes:
        now_s = now_ms // 1000
        to_ms = min(visit.to_ms + wish.around_ms, now_s * 1000 + 1000)
        # Whoever was there may have come long before.
        from_ms = max(visit.from_ms - wish.around_ms - wish.stay_ms, to_ms - TRACE_WINDOW_MS, 0)
        query = TraceQuery(
            hub=hub,
            id=os.urandom(TRACE_ID_BYTES),
            place=place,
            from_ms=from_ms,
            to_ms=to_ms,
            why=wish.why,
            issued_s=now_s,
            expires_s=now_s + LIFE_S,
        )
        asked = Asked(
            id=query.id,
            hub=hub,
            query=seal_trace_query(query, key=self._key),
            asked_ms=now_ms,
            person=wish.person,
            why=wish.why,
            place=place,
            from_ms=from_ms,
            to_ms=to_ms,
            came_ms=visit.from_ms,
            left_ms=visit.to_ms,
            around_ms=wish.around_ms,
            stay_ms=wish.stay_ms,
            expires_s=query.expires_s,
            state="waiting",
            reason="",
        )
        values = [getattr(asked, name.strip()) for name in _COLUMNS.split(",")]
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO trace ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608 - our own names
        return query.id

    def _hub_of(self, key: VerifyKey) -> bytes:
        return next(hub for hub, known in self._hubs.items() if known.kid == key.kid)

    def _pages(self, trace_id: bytes) -> list[tuple[TraceAnswer, bytes]]:
        """(page, its hash), in order. What was taken was verified."""
        asked = self.find(trace_id)
        if asked is None:
            return []
        key = self._hubs[asked.hub]
        rows = self._db.execute("SELECT data, hash FROM page WHERE trace = ? ORDER BY page", (trace_id,))
        return [(open_trace_answer(bytes(data), key=key), bytes(hash_)) for data, hash_ in rows]


def _sights(person: int | None, at_ms: int, direction: int, verdict: int) -> tuple[Sight, ...]:
    if person is None or verdict != Verdict.ADMIT:
        return ()
    return (Sight(person=person, at_ms=at_ms, inward=direction == Direction.IN),)


def _asked(row: tuple[object, ...]) -> Asked:
    names = [name.strip() for name in _COLUMNS.split(",")]
    return Asked(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]
