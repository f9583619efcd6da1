"""Which commands this device has had, and what it answered: on disk before a command runs, so that none runs twice.

A row stays until a day after its command's life. That it is over is judged by the hub's own word alone, the newest
`issued` of a command it signed (`floor_s`): whatever our clock does, a command whose row is gone is found expired.
"""

import os
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from device.model import Outcome, StorageError
from protocol.command import Command, CommandName

ROWS_MOST = 4096
"""Two days of an attendant who opens the gate by command more than once a minute. Beyond, commands are not taken."""

KEPT_S = 86_400
"""After its life ended, a command is still answered again for a day."""

_LONG_CHARS = 1024
_LONG_MOST = 16
"""Only so many long answers (logs) are kept whole: they would take the disk."""

_SCHEMA = """
CREATE TABLE command (
    id      BLOB PRIMARY KEY,
    name    TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    until_s INTEGER NOT NULL,
    ok      INTEGER,
    detail  TEXT,
    proof   BLOB
);
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), floor_s INTEGER NOT NULL, since_s INTEGER NOT NULL);
INSERT INTO meta VALUES (1, 0, 0);
PRAGMA user_version = 1;
"""

_SHORTEN = """
UPDATE command SET detail = substr(detail, 1, 200) || ' ... (not kept)'
WHERE length(detail) > :long AND rowid NOT IN (
    SELECT rowid FROM command WHERE length(detail) > :long ORDER BY rowid DESC LIMIT :most
)
"""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""The last one is a table that is not there. Any other error may pass, and the file be sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A command that the process before this one did not bring to its end."""

    sealed: bytes
    id: bytes
    name: str
    outcome: Outcome | None


class Ledger:
    """One SQLite file; for two threads.

    Attributes:
        floor_s: it cannot be earlier than this; the hub said so.
        since_s: commands issued before this are not known to be new: their rows may have been lost.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._lock = threading.Lock()
        self._connection = connection
        self.floor_s, self.since_s = connection.execute("SELECT floor_s, since_s FROM meta").fetchone()
        self._ids: set[bytes] = {id_ for (id_,) in connection.execute("SELECT id FROM command")}

    @classmethod
    def open(cls, path: Path, *, now_s: int) -> Self:
        """Opens the ledger, making it where there is none.

        A damaged one is set aside as `<name>.damaged`, and commands issued before `now_s` are taken no more.

        Raises:
            StorageError: the disk does not allow it.
        """
        try:
            try:
                return cls(_connect(path))
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGED:
                    raise
                for suffix in ("-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                path.replace(path.with_name(path.name + ".damaged"))
                connection = _connect(path)
                connection.execute("UPDATE meta SET since_s = ?", (now_s,))
                return cls(connection)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{path}: {error}") from error

    def __contains__(self, id_: bytes) -> bool:
        return id_ in self._ids

    @property
    def full(self) -> bool:
        """Whether no further command can be taken."""
        return len(self._ids) >= ROWS_MOST

    def accept(self, command: Command, sealed: bytes, *, now_s: int) -> None:
        """Writes down that the command came; it is on disk when this returns.

        Raises:
            StorageError: it is not written down, so it must not run.
        """
        # Both clocks must agree before the floor rises: neither can lock the other out.
        floor_s = max(self.floor_s, min(command.issued_s, now_s))
        row = (command.id, str(command.name), sealed, command.expires_s + KEPT_S)
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    self._connection.execute("DELETE FROM command WHERE until_s < ?", (floor_s,))
                    self._connection.execute("INSERT INTO command (id, name, sealed, until_s) VALUES (?, ?, ?, ?)", row)
                    self._connection.execute("UPDATE meta SET floor_s = ?", (floor_s,))
                    self._connection.execute("COMMIT")
                except BaseException:
                    self._roll_back()
                    raise
                ids = {id_ for (id_,) in self._connection.execute("SELECT id FROM command")}
            except sqlite3.Error as error:
                raise StorageError(f"the command was not written down: {error}") from error
        self.floor_s, self._ids = floor_s, ids

    def answer(self, id_: bytes, outcome: Outcome) -> None:
        """Writes down what came of a command.

        Raises:
            StorageError: it is not written down; after a power cut the command would count as interrupted.
        """
        with self._lock:
            try:
                self._connection.execute(
                    "UPDATE command SET ok = ?, detail = ?, proof = ? WHERE id = ?",
                    (outcome.ok, outcome.detail, outcome.proof, id_),
                )
                if len(outcome.detail) > _LONG_CHARS:
                    self._connection.execute(_SHORTEN, {"long": _LONG_CHARS, "most": _LONG_MOST})
            except sqlite3.Error as error:
                raise StorageError(f"the outcome was not written down: {error}") from error

    def outcome_of(self, id_: bytes) -> Outcome | None:
        """What came of a command; None while nothing has.

        Raises:
            StorageError: the disk cannot be read.
        """
        with self._lock:
            try:
                row = self._connection.execute(
                    "SELECT ok, detail, proof FROM command WHERE id = ? AND ok IS NOT NULL", (id_,)
                ).fetchone()
            except sqlite3.Error as error:
                raise StorageError(f"the ledger cannot be read: {error}") from error
        return None if row is None else Outcome(ok=bool(row[0]), detail=row[1], proof=row[2])

    def begun(self) -> list[Begun]:
        """Commands without an outcome, and wipes that were promised: asked once, at the start.

        Raises:
            StorageError: the disk cannot be read.
        """
        with self._lock:
            try:
                rows = self._connection.execute(
                    "SELECT sealed, id, name, ok, detail, proof FROM command"
                    " WHERE ok IS NULL OR (name = ? AND ok = 1) ORDER BY rowid",
                    (str(CommandName.WIPE),),
                ).fetchall()
            except sqlite3.Error as error:
                raise StorageError(f"the ledger cannot be read: {error}") from error
        return [
            Begun(
                sealed=sealed,
                id=id_,
                name=name,
                outcome=None if ok is None else Outcome(ok=bool(ok), detail=detail, proof=proof),
            )
            for sealed, id_, name, ok, detail, proof in rows
        ]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit is on disk when it returns: that is what "once" stands on.
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN EXCLUSIVE;\n{_SCHEMA}\nCOMMIT;")
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok" or connection.execute("SELECT count(*) FROM meta").fetchone() != (1,):
        raise sqlite3.DatabaseError("the ledger does not fit together")
