"""The two connections of a SQLite store, and its transactions.

The writer's statements run one transaction at a time; the reader never waits for it (WAL). Each hand-over to
aiosqlite's threads costs tens of microseconds, so a step hands over all its rows in one `executemany`, and what is
done many times a second its whole transaction.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiosqlite

from hub.store import audit_chain
from hub.store.errors import StoreOpenError, StoreWriteError

BUSY_S: Final = 5.0
"""How long a statement waits for another process, such as the command line, to finish its transaction."""

# FULL: in WAL mode, NORMAL may roll back committed rows when power is lost.
# secure_delete: forgotten personal data is overwritten, not only unlinked.
_WRITER_PRAGMAS: Final = ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")
_READER_PRAGMAS: Final = ("query_only = ON",)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreWriteError(f"the database refused {what}: {error}") from error


class Connections:
    """A writer and a reader on one file. Built by `connect`."""

    def __init__(self, *, writer: aiosqlite.Connection, reader: aiosqlite.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._writing = asyncio.Lock()
        self._registry_changes = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """One `BEGIN IMMEDIATE` transaction on the writer; any exception undoes it.

        Raises:
            StoreWriteError: SQLite refused; nothing was written.
        """
        async with self._writing:
            try:
                await self._writer.execute_fetchall("BEGIN IMMEDIATE")
                yield self._writer
                await self._writer.commit()
            except BaseException as error:
                # Statements queue up for the writer's thread, so this runs after whatever was cancelled.
                await self._writer.rollback()
                if isinstance(error, sqlite3.Error | OverflowError):
                    raise StoreWriteError(f"the database refused a transaction: {error}") from error
                raise

    async def transact(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """One `BEGIN IMMEDIATE` transaction, done by `work` in the writer's thread; any exception undoes it.

        Raises:
            StoreWriteError: SQLite refused; nothing was written.
        """
        async with self._writing:
            # aiosqlite has no public way to hand over a function; all its methods go through this one.
            handed = self._writer._execute(_transact, self._writer._conn, work)  # type: ignore[no-untyped-call]  # noqa: SLF001
            done = asyncio.ensure_future(handed)
            try:
                await asyncio.shield(done)
            except asyncio.CancelledError:
                # The thread goes on: whoever reads after us sees all of it or nothing.
                await asyncio.wait({done})
                done.exception()
                raise
            except (sqlite3.Error, OverflowError) as error:
                raise StoreWriteError(f"the database refused a transaction: {error}") from error

    async def read(self, sql: str, parameters: Iterable[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, on the reader.

        Raises:
            StoreWriteError: SQLite refused.
        """
        with _refusals("a query"):
            return [tuple(row) for row in await self._reader.execute_fetchall(sql, parameters)]

    def note_registry_change(self) -> None:
        """This process has committed a change of the registry."""
        self._registry_changes += 1

    async def registry_version(self) -> int:
        """Grows with every commit of other connections, and with every noted change of our own.

        SQLite's `data_version`, seen from the writer, leaves out the writer's own commits: of those only changes of
        the registry count, or each micro-batch of check-ins would make everybody load the devices again.
        """
        async with self._writing:
            with _refusals("a question"):
                rows = await self._writer.execute_fetchall("PRAGMA data_version")
        return int(next(iter(rows))[0]) + self._registry_changes

    async def truncate_wal(self) -> None:
        """Move everything from the WAL into the database and empty it, as far as readers allow."""
        async with self._writing:
            with _refusals("a checkpoint"):
                await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        """Close both connections; the writer last, so that it empties the WAL."""
        try:
            await self._reader.close()
        finally:
            async with self._writing:
                await self._writer.close()


def _transact(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], None]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        work(db)
        db.commit()
    except BaseException:
        db.rollback()
        raise


Opener = Callable[..., Awaitable[aiosqlite.Connection]]
"""Opens one connection; takes what `aiosqlite.connect` takes."""


async def connect(path: Path, *, opener: Opener = aiosqlite.connect) -> Connections:
    """Open a migrated file.

    Args:
        path: the file.
        opener: a simulator's has no thread of its own.

    Raises:
        StoreOpenError: SQLite refused.
    """
    opened: list[aiosqlite.Connection] = []
    try:
        for pragmas in (_WRITER_PRAGMAS, _READER_PRAGMAS):
            # No implicit transactions: `transaction` begins and ends each one itself.
            connection = await opener(path, isolation_level=None, timeout=BUSY_S)
            opened.append(connection)
            # What the trigger of the audit log calls.
            await connection.create_function(
                audit_chain.FUNCTION, audit_chain.ARGUMENTS, audit_chain.link, deterministic=True
            )
            for pragma in pragmas:
                await connection.execute_fetchall(f"PRAGMA {pragma}")
    except BaseException as error:
        # An open aiosqlite connection is a thread that would keep the process alive.
        for connection in opened:
            await connection.close()
        if isinstance(error, sqlite3.Error):
            raise StoreOpenError(f"{path} cannot be opened: {error}") from error
        raise
    writer, reader = opened
    return Connections(writer=writer, reader=reader)
