"""A whole SQLite store: open it, use its four ports, close it."""

import asyncio
import os
from pathlib import Path

import aiosqlite

from hub.store.errors import StoreOpenError
from hub.store.migrate import migrate, migrations
from hub.store.sqlite.alerts import SqliteAlerts
from hub.store.sqlite.commands import SqliteCommands
from hub.store.sqlite.connection import Opener, connect
from hub.store.sqlite.console import SqliteConsole
from hub.store.sqlite.desk import SqliteDesk
from hub.store.sqlite.enrolment import SqliteEnrolment
from hub.store.sqlite.errands import SqliteErrands
from hub.store.sqlite.firmware import SqliteFirmware
from hub.store.sqlite.fleet import SqliteFleet
from hub.store.sqlite.ingest import SqliteIngest
from hub.store.sqlite.live import SqliteLive
from hub.store.sqlite.outbox import SqliteOutbox
from hub.store.sqlite.places import SqlitePlaces
from hub.store.sqlite.register import SqliteRegister
from hub.store.sqlite.registry import SqliteRegistry
from hub.store.sqlite.reports import SqliteReports
from hub.store.sqlite.traces import SqliteTraces
from hub.store.sqlite.trust import SqliteTrust


class SqliteStore(
    SqliteIngest,
    SqliteOutbox,
    SqliteRegistry,
    SqliteReports,
    SqliteEnrolment,
    SqliteTrust,
    SqliteCommands,
    SqliteConsole,
    SqliteErrands,
    SqlitePlaces,
    SqliteRegister,
    SqliteTraces,
    SqliteLive,
    SqliteAlerts,
    SqliteFleet,
    SqliteDesk,
    SqliteFirmware,
):
    """`hub.store.ports.Store` on one SQLite file. Built by `open_store`."""

    async def close(self) -> None:
        """Let go of the database; everything committed stays."""
        await self._connections.close()


async def open_store(
    path: Path, *, create: bool = False, check: bool = True, opener: Opener = aiosqlite.connect
) -> SqliteStore:
    """Open the database at `path`, after checking and migrating it. The caller closes it.

    Args:
        path: the file. Its directory also gets SQLite's `-wal` and `-shm` files.
        create: make the file when it is missing, readable by its owner only.
        check: read the whole file for damage first; the hub does, a single command need not.
        opener: see `connect`.

    Raises:
        SchemaTooNewError: a newer Gatelight wrote it.
        StoreCorruptError: it is damaged, or no database, or another program's.
        StoreOpenError: it is missing or cannot be used.
    """
    await asyncio.to_thread(_prepare, path, create=create, check=check)
    return SqliteStore(await connect(path, opener=opener))


def _prepare(path: Path, *, create: bool, check: bool) -> None:
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    try:
        os.close(os.open(path, flags, 0o600))
    except FileNotFoundError as error:
        what = "its directory does not exist" if create else "create it with `gatelight-hub init`"
        raise StoreOpenError(f"there is no database at {path}: {what}") from error
    except OSError as error:
        raise StoreOpenError(f"{path} cannot be opened: {error.strerror}") from error
    migrate(path, steps=migrations(), check=check)
