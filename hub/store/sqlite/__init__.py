"""The SQLite store: one file, one writer, WAL, every commit on disk before it returns.

connection.py   opening, the writer's transactions, the reader
ingest.py outbox.py registry.py reports.py   one for each port of `hub.store.ports`
"""

from hub.store.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
