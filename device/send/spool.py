"""The spool: sealed check-ins on disk, in a chain, until a receipt lets them go.

`append` stands before the green light, so everything here serves its latency: it alone waits for the disk
(`synchronous=FULL`); forgetting commits without waiting (a cut may bring back rows, which are then sent once
more) and in small pieces; the journal is written back by `tidy`, on the slow thread.

One process has a spool (see `Reserve`). Its two threads each have a connection; writers take turns under one lock.
This file is longer than most, for both sides of that lock must be read together.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import Self

from device.model import SpoolHead, StorageError
from device.send.damage import Damage, set_aside
from device.send.database import DamagedError, connect, is_damage, prepare
from device.send.reserve import Reserve
from protocol.checkin import hash_of

RESERVE_BYTES = 4 * 1024 * 1024
"""Room for some hundred records of "storage failed" on a disk that is otherwise full."""

_FORGET_ROWS = 64
"""One message's worth: an append never waits longer than for this many rows to go."""

_TIDY_COMMITS = 256
"""About 1,000 pages (4 MiB) of journal: rare enough for flash, small enough for the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """A check-in is on disk: its number and its hash."""

    seq: int
    hash: bytes


class ReceiptFit(Enum):
    """What a receipt is to this spool. Only `OURS` may delete."""

    OURS = "ours"
    """Its hash is that of our check-in; everything up to it is deleted now."""
    OLDER = "older"
    """Before what was deleted already, so it cannot be compared: the hub lost rows. Nothing is deleted."""
    NOT_OURS = "not_ours"
    """Another hash, or a number never given. Nothing is deleted."""


class SpoolGoneError(Exception):
    """The file was removed or replaced under the process, which must end: what it commits is nowhere."""


class Spool:
    """Sealed check-ins in one SQLite file. Built by `open`.

    Attributes:
        epoch: 8 bytes, random when the spool was made.
        damage: what was found and set aside at open; None when all was well.
    """

    def __init__(self, *, path: Path, reserve: Reserve, damage: Damage | None) -> None:
        """Opens the connections; `open` has made sure that the file is sound."""
        self._path = path
        self._reserve = reserve
        self.damage = damage
        self._writing = Lock()
        self._slow_busy = Lock()
        self._untidy_commits = 0
        self._frozen = False
        self._writer = connect(path, synchronous="FULL")
        try:
            self._slow = connect(path, synchronous="NORMAL")
        except sqlite3.Error:
            self._writer.close()
            raise
        row = self._writer.execute("SELECT epoch, head_seq, receipted_seq FROM meta").fetchone()
        self.epoch: bytes = row[0]
        self._newest: int = row[1]
        self._receipted: int = row[2]
        self._files = self._file_ids()

    @classmethod
    def open(cls, path: Path, *, new_epoch: bytes, now_ms: int, reserve_bytes: int = RESERVE_BYTES) -> Self:
        """Opens the spool at `path`, making it where there is none.

        A damaged file is set aside with every row that can still be read (see `Damage`), and a fresh spool takes
        its place. On a full disk the reserve is used.

        Args:
            path: the SQLite file; `<name>.reserve` lies beside it.
            new_epoch: 8 random bytes, used only if a fresh spool is made.
            now_ms: part of the name of a damaged file.
            reserve_bytes: space to keep back.

        Raises:
            StorageError: no room, no right, another process has it, or it is of a newer firmware.
        """
        reserve = Reserve.open(path.with_name(path.name + ".reserve"), size_bytes=reserve_bytes)
        damage = None
        try:
            try:
                prepare(path, new_epoch=new_epoch)
            except (sqlite3.Error, DamagedError) as error:
                if is_damage(error):
                    damage = set_aside(path, reason=str(error), now_ms=now_ms)
                elif not reserve.give_up():
                    raise
                prepare(path, new_epoch=new_epoch)
            return cls(path=path, reserve=reserve, damage=damage)
        except (sqlite3.Error, DamagedError, OSError) as error:
            reserve.close()
            raise StorageError(f"{path}: {error}") from error
        except StorageError:
            reserve.close()
            raise

    @property
    def newest(self) -> int:
        """The number of the last check-in; 0 when there never was one."""
        return self._newest

    @property
    def oldest(self) -> int:
        """The lowest number still held; `newest + 1` when nothing is."""
        return self._receipted + 1

    @property
    def depth(self) -> int:
        """How many check-ins wait for a receipt."""
        return self._newest - self._receipted

    def append(
        self,
        build: Callable[[bytes, int, bytes], bytes],
        *,
        used: tuple[bytes, int] | None = None,
        from_reserve: bool = False,
    ) -> Appended:
        """Seals and stores one check-in; it is on disk, and survives a power cut, when this returns.

        While the reserve is given up, only records of that very state are taken, until the disk has room again.

        Args:
            build: (epoch, seq, prev hash) -> sealed bytes; may be called again with the same values.
            used: a code (at most 32 bytes) and the time (ms) until which it counts as used; stored with the check-in
                or not at all.
            from_reserve: give up the reserve if there is no room otherwise: only for `storage_failed`.

        Raises:
            StorageError: nothing was stored. The spool is as before, and works again once there is room.
            SpoolGoneError: the file is not there any more.
        """
        with self._writing:
            if self._frozen:
                raise StorageError("no more check-ins are taken: this device is being wiped")
            try:
                if not from_reserve and not self._reserve.take():
                    raise StorageError("no room on the disk: its reserve is in use")
                try:
                    return self._append(build, used)
                except sqlite3.Error:
                    if not (from_reserve and self._reserve.give_up()):
                        raise
                return self._append(build, used)
            except (sqlite3.Error, OSError) as error:
                # A journal that is written back can be used anew: the next `tidy` may help.
                self._untidy_commits = _TIDY_COMMITS
                raise StorageError(f"the check-in was not stored: {error}") from error

    def _append(self, build: Callable[[bytes, int, bytes], bytes], used: tuple[bytes, int] | None) -> Appended:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            head_seq, prev = self._writer.execute("SELECT head_seq, head_hash FROM meta").fetchone()
            seq = head_seq + 1
            data = build(self.epoch, seq, prev)
            digest = hash_of(data)
            self._writer.execute("INSERT INTO sealed VALUES (?, ?)", (seq, data))
            self._writer.execute("UPDATE meta SET head_seq = ?, head_hash = ?", (seq, digest))
            if used is not None:
                self._writer.execute(
                    "INSERT INTO used VALUES (?, ?)"
                    " ON CONFLICT (code) DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)",
                    used,
                )
            self._writer.execute("COMMIT")
        except BaseException:
            _roll_back(self._writer)
            raise
        self._newest = seq
        self._untidy_commits += 1
        # SQLite goes on writing into a file that was unlinked; green would then mean nothing.
        if self._file_ids() != self._files:
            raise SpoolGoneError(f"{self._path} is not the file that was opened")
        return Appended(seq=seq, hash=digest)

    def _file_ids(self) -> tuple[tuple[int, int] | None, ...]:
        """Which files the spool is: a commit lies in the journal until it is written back."""
        return _file_id(self._path), _file_id(self._path.with_name(self._path.name + "-wal"))

    def read(self, from_seq: int, limit: int) -> list[bytes]:
        """The sealed check-ins `from_seq`, `from_seq + 1`, ...: at most `limit`, fewer at the end.

        Raises:
            StorageError: the disk cannot be read.
        """
        with self._slow_busy:
            try:
                rows = self._slow.execute(
                    "SELECT data FROM sealed WHERE seq >= ? ORDER BY seq LIMIT ?", (from_seq, limit)
                ).fetchall()
            except sqlite3.Error as error:
                raise StorageError(f"the spool cannot be read: {error}") from error
        return [data for (data,) in rows]

    def forget(self, seq: int, digest: bytes) -> ReceiptFit:
        """Deletes everything up to `seq` if `digest` is our hash of it. Only a verified receipt may call this.

        Args:
            seq: as in the receipt; 0 means that the hub has nothing.
            digest: as in the receipt, 32 bytes.

        Raises:
            StorageError: the disk did not allow it; the same receipt may be given again.
        """
        with self._slow_busy:
            try:
                fit = self._compare(seq, digest)
                while fit is ReceiptFit.OURS and self._receipted < seq:
                    with self._writing:
                        self._forget_some(seq)
            except sqlite3.Error as error:
                self._make_room()
                raise StorageError(f"nothing more could be forgotten: {error}") from error
        return fit

    def _compare(self, seq: int, digest: bytes) -> ReceiptFit:
        if seq > self._newest:
            return ReceiptFit.NOT_OURS
        if seq < self._receipted:
            return ReceiptFit.OLDER
        if seq == self._receipted:
            (ours,) = self._slow.execute("SELECT receipted_hash FROM meta").fetchone()
        else:
            (data,) = self._slow.execute("SELECT data FROM sealed WHERE seq = ?", (seq,)).fetchone()
            ours = hash_of(data)
        return ReceiptFit.OURS if ours == digest else ReceiptFit.NOT_OURS

    def _forget_some(self, seq: int) -> None:
        """Moves the receipted head by at most `_FORGET_ROWS`, so that it and the oldest row always fit together."""
        upto = min(seq, self._receipted + _FORGET_ROWS)
        self._slow.execute("BEGIN IMMEDIATE")
        try:
            (data,) = self._slow.execute("SELECT data FROM sealed WHERE seq = ?", (upto,)).fetchone()
            self._slow.execute("DELETE FROM sealed WHERE seq <= ?", (upto,))
            self._slow.execute("UPDATE meta SET receipted_seq = ?, receipted_hash = ?", (upto, hash_of(data)))
            self._slow.execute("COMMIT")
        except BaseException:
            _roll_back(self._slow)
            raise
        self._receipted = upto
        self._untidy_commits += 1

    def _make_room(self) -> None:
        """Deleting needs room as well, and in the end it makes more than it needs."""
        with suppress(sqlite3.Error):
            busy, pages, written_back = self._slow.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if not busy and pages == written_back:
                return  # The journal begins anew, in room that is ours already.
        with self._writing:
            self._reserve.give_up()

    def freeze(self) -> SpoolHead:
        """Takes no more check-ins from now on, and says where the chain ends: nothing can follow a wipe's proof.

        Raises:
            StorageError: the disk cannot be read; the spool goes on.
        """
        with self._slow_busy, self._writing:
            try:
                newest_seq, head_hash = self._writer.execute("SELECT head_seq, head_hash FROM meta").fetchone()
            except sqlite3.Error as error:
                raise StorageError(f"the spool cannot be read: {error}") from error
            self._frozen = True
            return SpoolHead(
                epoch=self.epoch, newest_seq=newest_seq, head_hash=head_hash, unsent=newest_seq - self._receipted
            )

    def thaw(self) -> None:
        """Takes check-ins again."""
        self._frozen = False

    def used_since(self, now_ms: int) -> list[tuple[bytes, int]]:
        """The codes that still count as used at `now_ms`, with their ends: the gate's memory after a restart.

        Raises:
            StorageError: the disk cannot be read.
        """
        with self._slow_busy:
            try:
                return self._slow.execute("SELECT code, until_ms FROM used WHERE until_ms > ?", (now_ms,)).fetchall()
            except sqlite3.Error as error:
                raise StorageError(f"the spool cannot be read: {error}") from error

    def tidy(self, now_ms: int) -> None:
        """Housekeeping for the slow thread, every few seconds: used codes that ended, the journal, the reserve.

        A disk that does not allow it now is asked again the next time: nothing is lost meanwhile.
        """
        with self._slow_busy, suppress(sqlite3.Error, OSError):
            with self._writing:
                self._reserve.take()
                self._slow.execute("DELETE FROM used WHERE until_ms <= ?", (now_ms,))
            if self._untidy_commits >= _TIDY_COMMITS:
                # Passive: an append may go on beside it.
                self._slow.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._untidy_commits = 0

    @property
    def reserve_held(self) -> bool:
        """False while the disk is so full that only `storage_failed` can be recorded."""
        return self._reserve.held

    def close(self) -> None:
        """Closes the file, which also writes the journal back."""
        with self._slow_busy, self._writing:
            self._slow.close()
            self._writer.close()
            self._reserve.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _file_id(path: Path) -> tuple[int, int] | None:
    """Device and inode; None where there is no file."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
