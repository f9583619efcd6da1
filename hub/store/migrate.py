"""Bring a SQLite file to this Gatelight's schema: all steps succeed or the file is untouched.

The steps are plain SQL, `schema/sqlite/NNNN_name.sql`, numbered from 1 without holes. `PRAGMA user_version` says how
many a file has had.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from hub.store import audit_chain
from hub.store.errors import SchemaTooNewError, StoreCorruptError, StoreOpenError

APPLICATION_ID: Final = 0x474C4842
"""`GLHB` in the file's header: a database of another program is never written to."""


def migrations() -> tuple[str, ...]:
    """The SQL of every step this Gatelight knows, in order; step n stands at index n - 1.

    Raises:
        StoreOpenError: the installation is broken: the numbers have a hole.
    """
    found = sorted((files("hub.store") / "schema" / "sqlite").iterdir(), key=lambda entry: entry.name)
    steps = [entry for entry in found if entry.name.endswith(".sql")]
    for number, entry in enumerate(steps, start=1):
        if not entry.name.startswith(f"{number:04d}_"):
            raise StoreOpenError(f"schema step {number} is missing: found {entry.name} in its place")
    return tuple(entry.read_text(encoding="utf-8") for entry in steps)


def migrate(path: Path, *, steps: Sequence[str], check: bool) -> None:
    """Check the file at `path` and bring it to the schema after the last of `steps`.

    Args:
        path: the database; an empty file becomes a new one.
        steps: as `migrations` gives them.
        check: read the whole file with `PRAGMA quick_check` first; takes about a second for each gigabyte.

    Raises:
        SchemaTooNewError: a newer Gatelight wrote it.
        StoreCorruptError: it is damaged, or no database, or another program's.
        StoreOpenError: it cannot be opened, or a step failed; the file is as it was.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    connection.create_function(audit_chain.FUNCTION, audit_chain.ARGUMENTS, audit_chain.link, deterministic=True)
    try:
        _check(connection, path=path, check=check)
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(steps):
            raise SchemaTooNewError(
                f"{path} has schema version {version}, but this Gatelight knows only up to version {len(steps)}: "
                "start the Gatelight that wrote it, or a newer one"
            )
        if version < len(steps):
            _apply(connection, path=path, steps=steps, version=version)
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        raise StoreOpenError(f"{path} cannot be used: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreCorruptError(f"{path} is damaged or no database: {error}") from error
    finally:
        connection.close()


def _check(connection: sqlite3.Connection, *, path: Path, check: bool) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if not tables and path.stat().st_size:
        # SQLite takes the stump of a truncated file for an empty one, and would begin anew over it.
        raise StoreCorruptError(f"{path} is damaged: it has bytes but no tables. Put a backup in its place")
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and owner != APPLICATION_ID:
        raise StoreCorruptError(f"{path} is a database of another program")
    if check:
        problems = connection.execute("PRAGMA quick_check(3)").fetchall()
        if problems != [("ok",)]:
            found = "; ".join(str(problem[0]) for problem in problems)
            raise StoreCorruptError(f"{path} is damaged: {found}. Put a backup in its place")


def _apply(connection: sqlite3.Connection, *, path: Path, steps: Sequence[str], version: int) -> None:
    """Run the steps after `version` in one transaction."""
    connection.execute("BEGIN EXCLUSIVE")
    try:
        # Another process may have migrated while this one waited for the lock.
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for number, step in enumerate(steps[version:], start=version + 1):
            for statement in _statements(step):
                try:
                    connection.execute(statement)
                except sqlite3.Error as error:
                    raise StoreOpenError(f"{path} is as it was: schema step {number} failed: {error}") from error
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script. `executescript` would commit before it runs, so it cannot be used."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
