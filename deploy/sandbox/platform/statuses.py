"""Everybody's colour, as the stand-in platform's status lists: one list for each issuer, and what changed in it.

A real platform decides colours by its rules; this one is told. Versions outlive a restart, so that none goes back.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.codes import StatusRef
from protocol.keys import SigningKey
from protocol.statuslist import ListToken, StatusDelta, StatusList, apply_delta, list_id, seal_delta, seal_list
from protocol.terms import Colour

ENTRIES = 1 << 20
_SCHEMA = """
CREATE TABLE IF NOT EXISTS list (uri TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS entry (
    uri TEXT NOT NULL, idx INTEGER NOT NULL, status INTEGER NOT NULL, PRIMARY KEY (uri, idx)
) STRICT;
"""


@dataclass(slots=True, kw_only=True)
class _List:
    uri: str
    key: SigningKey
    version: int
    packed: bytearray


class Statuses:
    """The lists, in memory and in a file. Every change is signed at once.

    Args:
        path: the database file, made if it is not there.
        keys: the issuers' keys, in the order in which people are shared among them.
    """

    def __init__(self, path: Path, *, keys: Sequence[SigningKey]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._lists = [self._load(number, key) for number, key in enumerate(keys)]

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @property
    def uris(self) -> tuple[str, ...]:
        """Every list's address."""
        return tuple(entry.uri for entry in self._lists)

    def use(self, keys: Sequence[SigningKey]) -> None:
        """Sign with these keys from now on."""
        for entry, key in zip(self._lists, keys, strict=True):
            entry.key = key

    def reference(self, person: int) -> StatusRef:
        """Where a person stands."""
        return StatusRef(index=person % ENTRIES, uri=self._of(person).uri)

    def colour(self, person: int) -> Colour:
        """What the list says of a person now."""
        return Colour(StatusList(self._of(person).packed).get(person % ENTRIES))

    def change(self, colours: dict[int, Colour], *, now_s: int) -> list[bytes]:
        """People's new colours -> a signed delta for each list that changed."""
        by_list: dict[str, dict[int, int]] = {}
        for person, colour in colours.items():
            by_list.setdefault(self._of(person).uri, {})[person % ENTRIES] = int(colour)
        return [self._change(entry, by_list[entry.uri], now_s) for entry in self._lists if entry.uri in by_list]

    def heartbeats(self, *, now_s: int) -> list[bytes]:
        """A signed "still current" for each list."""
        return [
            seal_delta(
                StatusDelta(uri=entry.uri, from_version=entry.version, to_version=entry.version, issued_s=now_s),
                key=entry.key,
            )
            for entry in self._lists
        ]

    def snapshot(self, name: str, *, now_s: int) -> tuple[int, bytes] | None:
        """(version, signed list) of the list with this id, or None."""
        for entry in self._lists:
            if list_id(entry.uri) == name:
                token = ListToken(uri=entry.uri, version=entry.version, issued_s=now_s, packed=bytes(entry.packed))
                return entry.version, seal_list(token, key=entry.key)
        return None

    def version(self, name: str) -> int | None:
        """The version of the list with this id, or None."""
        return next((entry.version for entry in self._lists if list_id(entry.uri) == name), None)

    def _of(self, person: int) -> _List:
        return self._lists[person % len(self._lists)]

    def _load(self, number: int, key: SigningKey) -> _List:
        uri = f"https://status.invalid/{number}"
        self._db.execute("INSERT OR IGNORE INTO list VALUES (?, 1)", (uri,))
        version = int(self._db.execute("SELECT version FROM list WHERE uri = ?", (uri,)).fetchone()[0])
        packed = bytearray(ENTRIES // 4)
        changes = tuple(self._db.execute("SELECT idx, status FROM entry WHERE uri = ? ORDER BY idx", (uri,)))
        apply_delta(
            packed, StatusDelta(uri=uri, from_version=version, to_version=version + 1, issued_s=0, changes=changes)
        )
        return _List(uri=uri, key=key, version=version, packed=packed)

    def _change(self, entry: _List, statuses: dict[int, int], now_s: int) -> bytes:
        delta = StatusDelta(
            uri=entry.uri,
            from_version=entry.version,
            to_version=entry.version + 1,
            issued_s=now_s,
            changes=tuple(sorted(statuses.items())),
        )
        data = seal_delta(delta, key=entry.key)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            rows = [(entry.uri, index, status) for index, status in statuses.items()]
            self._db.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", rows)
            self._db.execute("UPDATE list SET version = ? WHERE uri = ?", (delta.to_version, entry.uri))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        apply_delta(entry.packed, delta)
        entry.version = delta.to_version
        return data
