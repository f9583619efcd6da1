"""What SQLite refuses is a StoreWriteError, whatever was asked: ingest repeats that, and anything else ends the hub."""

import sqlite3

import pytest

from hub.store.errors import StoreWriteError
from hub.store.sqlite.connection import Connections


class Failing:
    """A connection on a disk that fails."""

    async def execute_fetchall(self, _sql, _parameters=()):
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("ask", ["registry_version", "truncate_wal", "read"])
async def test_a_failing_disk_is_a_refusal(ask):
    connections = Connections(writer=Failing(), reader=Failing())
    arguments = ("SELECT 1",) if ask == "read" else ()
    with pytest.raises(StoreWriteError, match="disk I/O error"):
        await getattr(connections, ask)(*arguments)
