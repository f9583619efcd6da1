"""The disk of one machine: what survives a power cut is what was synced, and of the rest whatever chance leaves.

A machine dies in two ways. Killed, everything that was written stays, synced or not. With the power, each write since
the last sync of its file stays or not, and the last that stays may be torn at any byte. A sync that fails keeps its
promise to nobody: what it was for stays unsynced.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deploy.sandbox.simulator.vfs import (
    SQLITE_FULL,
    SQLITE_IOERR_DELETE,
    SQLITE_IOERR_FSYNC,
    SQLITE_IOERR_TRUNCATE,
    SQLITE_IOERR_WRITE,
    SQLITE_OK,
)
from deploy.sandbox.simulator.world import World


class _Change(NamedTuple):
    """One write or cut since the last sync: what was there, and what came. `data` None: cut to `offset`."""

    offset: int
    was: bytes
    was_size: int
    data: bytes | None


@dataclass(slots=True, kw_only=True)
class Mood:
    """How a disk behaves at the moment. `room_bytes` None: there is room enough."""

    room_bytes: int | None = None
    failing: float = 0.0
    sync_ms: float = 0.0


@dataclass(slots=True, kw_only=True)
class Doom:
    """The process dies when so many more changes have been asked for."""

    changes: int
    power: bool


@dataclass(slots=True)
class Disk:
    """One folder. `die` is told when a doom comes true; `alive` is False from then on until `power_up`."""

    world: World
    folder: Path
    die: Callable[[], None]
    alive: bool = True
    mood: Mood = field(default_factory=Mood)
    doom: Doom | None = None
    _unsynced: dict[str, list[_Change]] = field(default_factory=dict)
    """By path. As text: a `Path` takes longer to look up than all the rest of a write."""
    _never_synced: set[str] = field(default_factory=set)

    def open(self, path: Path) -> "_OpenFile":
        """As `DiskPort`."""
        return _OpenFile(self, path)

    def delete(self, path: Path) -> int:
        """As `DiskPort`. What is deleted stays deleted: SQLite deletes journals that it no longer needs."""
        if not self.goes_on():
            return SQLITE_IOERR_DELETE
        self.synced(str(path))
        return SQLITE_OK

    def room_for(self, size: int) -> bool:
        """Whether so many bytes more fit on it."""
        if self.mood.room_bytes is None:
            return True
        return sum(_size(path) for path in self.folder.iterdir()) + size <= self.mood.room_bytes

    def fill(self, *, left_bytes: int) -> None:
        """Somebody else's files take all but so many bytes."""
        self.mood.room_bytes = sum(_size(path) for path in self.folder.iterdir()) + left_bytes

    def stop(self, *, power: bool) -> str:
        """The machine is dead. Call it when its files are closed. Returns what became of what was not synced."""
        lost = kept = torn = 0
        if power:
            for name, changes in sorted(self._unsynced.items()):
                path = Path(name)
                if not path.exists():
                    continue
                if name in self._never_synced and self.world.likely(0.5):
                    path.unlink()
                    lost += len(changes)
                    continue
                stay = self.world.between(0, 1)
                chosen = [change for change in changes if self.world.likely(stay)]
                torn += self._rewrite(path, changes, chosen)
                kept, lost = kept + len(chosen), lost + len(changes) - len(chosen)
            for path in self.folder.glob("*-shm"):
                path.unlink()
        self._unsynced.clear()
        self._never_synced.clear()
        return f"{kept} unsynced writes kept, {lost} lost, {torn} torn" if power else "files as they were"

    def power_up(self) -> None:
        """The machine starts again; how its disk behaves stays."""
        self.alive, self.doom = True, None

    def copy_to(self, folder: Path) -> None:
        """All files as they are now, of a machine that is dead."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)

    def _rewrite(self, path: Path, changes: list[_Change], chosen: list[_Change]) -> int:
        """Take everything back that was not synced, then do again what stays. Returns how much was torn."""
        torn = 0
        with path.open("r+b", buffering=0) as file:
            for change in reversed(changes):
                os.pwrite(file.fileno(), change.was, change.offset)
                file.truncate(change.was_size)
            for change in chosen:
                if change.data is None:
                    file.truncate(change.offset)
                    continue
                data = change.data
                if change is chosen[-1] and self.world.likely(0.5):
                    data = data[: self.world.rng.randrange(len(data))]
                    torn = 1
                os.pwrite(file.fileno(), data, change.offset)
        return torn

    def note(self, name: str, change: _Change) -> None:
        """Something is about to be changed that no sync has made certain."""
        changes = self._unsynced.get(name)
        if changes is None:
            changes = self._unsynced[name] = []
            if change.was_size == 0:
                self._never_synced.add(name)
        changes.append(change)

    def synced(self, name: str) -> None:
        """All that was noted of a file is certain, or gone with it."""
        self._unsynced.pop(name, None)
        self._never_synced.discard(name)

    def goes_on(self) -> bool:
        """Whether the machine lives, at a change of its disk. This may be the one at which it dies."""
        if self.alive and self.doom is not None:
            self.doom.changes -= 1
            if self.doom.changes < 0:
                self.alive = False
                self.die()
        return self.alive

    def fails(self) -> bool:
        """Whether the disk fails this time."""
        return self.world.likely(self.mood.failing) if self.mood.failing else False


class _OpenFile:
    """`FilePort`. It has a descriptor of its own, which reads what is about to be overwritten."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._name = str(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def write(self, offset: int, data: bytes) -> int:
        """As `FilePort`."""
        disk = self._disk
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        if not disk.goes_on() or disk.fails():
            return SQLITE_IOERR_WRITE
        if offset + len(data) > size and not disk.room_for(offset + len(data) - size):
            return SQLITE_FULL
        was = os.pread(self._descriptor, len(data), offset) if offset < size else b""
        disk.note(self._name, _Change(offset=offset, was=was, was_size=size, data=data))
        return SQLITE_OK

    def truncate(self, size: int) -> int:
        """As `FilePort`."""
        disk = self._disk
        if not disk.goes_on() or disk.fails():
            return SQLITE_IOERR_TRUNCATE
        was_size = os.lseek(self._descriptor, 0, os.SEEK_END)
        was = os.pread(self._descriptor, was_size - size, size) if size < was_size else b""
        disk.note(self._name, _Change(offset=size, was=was, was_size=was_size, data=None))
        return SQLITE_OK

    def sync(self) -> int:
        """As `FilePort`."""
        disk = self._disk
        if not disk.goes_on():
            return SQLITE_IOERR_FSYNC
        if disk.mood.sync_ms:
            disk.world.pass_time(disk.world.between(0, disk.mood.sync_ms))
        if disk.fails():
            return SQLITE_IOERR_FSYNC
        disk.synced(self._name)
        return SQLITE_OK

    def close(self) -> None:
        """As `FilePort`."""
        os.close(self._descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
