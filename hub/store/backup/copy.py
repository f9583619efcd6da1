"""A running hub's database -> a copy of one moment. Ingest goes on meanwhile: in WAL mode a reader stops no writer.

What the platform has signed for is with the platform: of such rows the copy keeps the facts and not subject, masked
name and sealed bytes, which the hub itself erases a little later. So a copy holds as little of people as a hub that
was told to forget everything it may.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hub.store.backup.manifest import BackupError, Contents
from hub.store.migrate import APPLICATION_ID
from hub.store.sqlite import open_store
from protocol.limits import INT64_MAX

_BATCHES: Final = 1000
_BUSY_S: Final = 30.0
_CONTENTS: Final = """
SELECT
    (SELECT count(*) FROM checkin),
    (SELECT count(*) FROM checkin WHERE id > (SELECT last_id FROM forward_cursor))
        + (SELECT coalesce(sum(n), 0) FROM batch WHERE state IN ('open', 'refused')),
    (SELECT count(*) FROM checkin WHERE coalesce(subject, masked, sealed) IS NOT NULL)
        + (SELECT count(*) FROM quarantine WHERE data IS NOT NULL)
        + (SELECT count(*) FROM desk_visit WHERE sealed IS NOT NULL),
    (SELECT received_ms FROM checkin ORDER BY id DESC LIMIT 1)
"""


def copy_database(source: Path, target: Path) -> None:
    """The database as it is now -> the new file `target`, for its owner only and in one piece.

    Raises:
        BackupError: there is none, or SQLite refused.
    """
    if not source.is_file():
        raise BackupError(f"there is no database at {source}")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(source, timeout=_BUSY_S)) as database:
            # All of it in one read transaction; into an empty file it writes, over another it does not.
            database.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}") from error


async def erase_receipted(path: Path) -> None:
    """Erase in a copy what people have at the platform: it overwrites, as it does in the hub.

    Raises:
        StoreError: the copy cannot be used; what it was copied from may be damaged.
    """
    store = await open_store(path, check=False)
    try:
        while await store.forget_personal(received_before_ms=INT64_MAX, limit_batches=_BATCHES):
            pass
    finally:
        await store.close()


def check(path: Path) -> int:
    """Read the whole file for damage; returns the version of its schema, which may be an older one.

    Raises:
        BackupError: it is damaged, or no hub's database.
    """
    try:
        with _reading(path) as database:
            owner = database.execute("PRAGMA application_id").fetchone()[0]
            schema = int(database.execute("PRAGMA user_version").fetchone()[0])
            if owner != APPLICATION_ID or schema < 1:
                raise BackupError(f"{path.name} is no hub's database")
            problems = database.execute("PRAGMA integrity_check(3)").fetchall()
            problems += database.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        raise BackupError(f"{path.name} is damaged or no database: {error}") from error
    if problems != [("ok",)]:
        raise BackupError(f"{path.name} is damaged: {'; '.join(str(row[0]) for row in problems)}")
    return schema


def look(path: Path, *, schema: int) -> Contents:
    """What a copy of this Gatelight's schema holds.

    Raises:
        BackupError: SQLite refused.
    """
    try:
        with _reading(path) as database:
            checkins, waiting, personal, newest_ms = database.execute(_CONTENTS).fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{path.name} cannot be read: {error}") from error
    return Contents(schema=schema, checkins=checkins, waiting=waiting, personal=personal, newest_ms=newest_ms)


def _reading(path: Path) -> closing[sqlite3.Connection]:
    """A file that nobody else has: without a lock, and without files of SQLite's beside it."""
    return closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True))
