"""The spool's SQLite file: how it is opened, checked and brought to the newest schema."""

import os
import sqlite3
from pathlib import Path

from device.model import StorageError
from protocol.checkin import hash_of

_SCHEMA = Path(__file__).with_name("schema")
_JOURNAL_KEPT_BYTES = 8 * 1024 * 1024
"""The journal file is cut back to this: small enough for any disk, and room that is already ours on a full one."""

_BACKSTOP_PAGES = 4096
"""At 16 MiB of journal the append itself writes it back; normally `Spool.tidy` has done so long before."""

_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DAMAGE_EXTENDED_CODES = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})


class DamagedError(Exception):
    """The file opened, but what is in it cannot be a spool that we wrote."""


def is_damage(error: BaseException) -> bool:
    """Whether an error means that the file is broken, and not that the disk is full or may not be written."""
    if isinstance(error, DamagedError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF in _DAMAGE_CODES or code in _DAMAGE_EXTENDED_CODES)


def connect(path: Path, *, synchronous: str) -> sqlite3.Connection:
    """A connection in WAL mode without implicit transactions.

    Args:
        path: the file, which `prepare` has made. It must not be opened but by SQLite as long as this process has a
            connection to it: closing any other descriptor ends every lock that the process has on the file (fcntl(2)).
            Then the next program that only looks into it takes itself for the last one, and removes the journal.
        synchronous: `FULL` where a commit must survive a power cut. `NORMAL` where losing the last commits only
            means doing them again: it never harms the order of commits nor the file.

    Raises:
        sqlite3.Error: as SQLite says.
        StorageError: the file system cannot keep a journal.
    """
    # Threads share connections only under locks of the spool.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _configure(connection, synchronous=synchronous)
    except (sqlite3.Error, StorageError):
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection, *, synchronous: str) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError("this file system cannot keep a journal of SQLite")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_KEPT_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_BACKSTOP_PAGES}")


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even by writing the journal back.

    Raises:
        sqlite3.Error: as SQLite says.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def check(connection: sqlite3.Connection) -> None:
    """Reads the whole file and compares it with itself (`quick_check`).

    Raises:
        DamagedError: it does not fit together.
        sqlite3.Error: it cannot be read.
    """
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise DamagedError(answer)


def migrate(connection: sqlite3.Connection, *, new_epoch: bytes) -> None:
    """Brings the file to the newest schema in one transaction: all of it happens, or nothing.

    A file that had no schema yet becomes an empty spool with the epoch `new_epoch`.

    Raises:
        StorageError: the file is of a newer firmware than this one.
        sqlite3.Error: as SQLite says; the file is as before.
    """
    scripts = {int(script.name[:4]): script.read_text("utf-8") for script in sorted(_SCHEMA.glob("*.sql"))}
    newest = max(scripts)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > newest:
        raise StorageError(
            f"the spool has schema {version}, this firmware knows {newest}: install the newer firmware again"
        )
    if version == newest:
        return
    body = "\n".join(sql for number, sql in scripts.items() if number > version)
    if version == 0:
        zeros = "zeroblob(32)"
        body += f"\nINSERT INTO meta VALUES (1, x'{new_epoch.hex()}', 0, {zeros}, 0, {zeros});"
    try:
        connection.executescript(f"BEGIN EXCLUSIVE;\n{body}\nPRAGMA user_version = {newest};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def prepare(path: Path, *, new_epoch: bytes) -> None:
    """Leaves a sound file of the newest schema at `path`, made with mode 0600 where there is none. For a process that
    has no connection to it yet; see `connect`.

    Raises:
        OSError: the file cannot be made.
        DamagedError: it is not what we wrote.
        StorageError: it is of a newer firmware, or on a file system that cannot keep it.
        sqlite3.Error: as SQLite says.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = connect(path, synchronous="FULL")
    try:
        check(connection)
        migrate(connection, new_epoch=new_epoch)
        sync_directory(path)
        row = connection.execute("SELECT head_seq, head_hash, receipted_seq FROM meta").fetchone()
        if row is None:
            raise DamagedError("its one row of numbers is missing")
        head_seq, head_hash, receipted_seq = row
        lowest, highest, count = connection.execute("SELECT min(seq), max(seq), count(*) FROM sealed").fetchone()
        if count != head_seq - receipted_seq or (count and (lowest, highest) != (receipted_seq + 1, head_seq)):
            raise DamagedError("its numbers do not fit its rows")
        last = connection.execute("SELECT data FROM sealed WHERE seq = ?", (head_seq,)).fetchone()
        if last is not None and hash_of(last[0]) != head_hash:
            raise DamagedError("its last row has another hash than its head")
    finally:
        connection.close()


def sync_directory(path: Path) -> None:
    """Makes names in the directory of `path` survive a power cut."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
