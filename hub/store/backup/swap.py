"""A database in the place of another: after a power cut at any step the old one is there, or the new one.

SQLite's journal belongs to its database by name alone: an old journal beside a new database would be replayed into it.
So the old journal is folded into the old database first, and the new one comes by a single rename. Where the old
one is too damaged for that, it and its journal are moved away first; between the two there is no database, and the hub
does not start until `restore` was run again.

Only plain calls of `os` change anything here, so that a test can end the world before each of them.
"""

# pathlib would hide the calls.
# ruff: noqa: PTH105, PTH108

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from hub.store.backup.manifest import BackupError

# Where SQLite's connections hold their shared locks (os.h: SHARED_FIRST, SHARED_SIZE). In WAL mode each holds one for
# as long as it is open, also in quiet, and also where the file's contents cannot be read any more.
_SHARED_FIRST: Final = 0x40000002
_SHARED_SIZE: Final = 510


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """While this holds, no other process has the database open, and none can open it: it would wait for our lock.

    Within it this process must not open the file either: closing it would let go of the lock (fcntl(2)).

    Raises:
        BackupError: the hub, its console or a command has it open.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except (BlockingIOError, PermissionError) as error:
            raise BackupError(f"{database} is in use: stop the hub, its console and other commands first") from error
        yield
    finally:
        os.close(descriptor)


def fold(database: Path) -> bool:
    """Bring the journal of a database that nobody has open into it; afterwards the file stands alone.

    Returns False where that cannot be done because it is damaged, or because there is none.
    """
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=0)) as connection:
            return bool(connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",))
    except sqlite3.Error:
        return False


def put_in_place(new: Path, database: Path, *, aside: Path, folded: bool) -> None:
    """The file `new`, of the same disk, becomes `database`; what was there is kept as `aside`.

    Args:
        new: whole, on the disk, without a journal.
        database: may be missing.
        aside: a name that is free, in the same folder.
        folded: `fold` has succeeded.

    Raises:
        BackupError: somebody has opened it since; nothing was changed.
        OSError: the disk did not allow it; call again.
    """
    if folded and _journal(database, "-wal").exists():
        raise BackupError(f"{database} is in use: it has a journal again")
    if folded:
        os.link(database, aside)
    else:
        with suppress(FileNotFoundError):
            os.replace(database, aside)
        with suppress(FileNotFoundError):
            os.replace(_journal(database, "-wal"), _journal(aside, "-wal"))
        with suppress(FileNotFoundError):
            os.unlink(_journal(database, "-shm"))
    # Also that no journal is left must be on the disk before the new one comes.
    sync_folder(database.parent)
    os.replace(new, database)
    sync_folder(database.parent)


def write_missing(path: Path, data: bytes, *, mode: int, owner: tuple[int, int] | None) -> None:
    """A file that is not there, whole or not at all; on the disk when this returns.

    Args:
        path: its folder is there.
        data: all of it.
        mode: as of `chmod`.
        owner: user and group, where they shall be other than ours.

    Raises:
        OSError: the disk did not allow it; call again.
    """
    beside = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        os.unlink(beside)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(beside, path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder last.

    Raises:
        OSError: the disk did not allow it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _journal(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)
