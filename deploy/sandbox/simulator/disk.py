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

from deploy.sandbox.simulator.vfs import (
    SQLITE_FULL,
    SQLITE_IOERR_DELETE,
    SQLITE_IOERR_FSYNC,
    SQLITE_IOERR_TRUNCATE,
    SQLITE_IOERR_WRITE,
    SQLITE_OK,
)
from deploy.sandbox.simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
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
    _unsynced: dict[Path, list[_Change]] = field(default_factory=dict)
    _never_synced: set[Path] = field(default_factory=set)

    def write(self, path: Path, offset: int, data: bytes) -> int:
        """As `DiskPort`."""
        size = _size(path)
        if not self._goes_on() or self._fails():
            return SQLITE_IOERR_WRITE
        if offset + len(data) > size and not self.room_for(offset + len(data) - size):
            return SQLITE_FULL
        self._note(path, offset, len(data), size, data)
        return SQLITE_OK

    def truncate(self, path: Path, size: int) -> int:
        """As `DiskPort`."""
        if not self._goes_on() or self._fails():
            return SQLITE_IOERR_TRUNCATE
        was_size = _size(path)
        self._note(path, size, was_size - size, was_size, None)
        return SQLITE_OK

    def sync(self, path: Path) -> int:
        """As `DiskPort`."""
        if not self._goes_on():
            return SQLITE_IOERR_FSYNC
        if self.mood.sync_ms:
            self.world.pass_time(self.world.between(0, self.mood.sync_ms))
        if self._fails():
            return SQLITE_IOERR_FSYNC
        self._unsynced.pop(path, None)
        self._never_synced.discard(path)
        return SQLITE_OK

    def delete(self, path: Path) -> int:
        """As `DiskPort`. What is deleted stays deleted: SQLite deletes journals that it no longer needs."""
        if not self._goes_on():
            return SQLITE_IOERR_DELETE
        self._unsynced.pop(path, None)
        self._never_synced.discard(path)
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
            for path, changes in sorted(self._unsynced.items()):
                if not path.exists():
                    continue
                if path in self._never_synced and self.world.likely(0.5):
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

    def _note(self, path: Path, offset: int, length: int, size: int, data: bytes | None) -> None:
        if size == 0 and path not in self._unsynced:
            self._never_synced.add(path)
        was = b""
        if offset < size and length > 0:
            with path.open("rb", buffering=0) as file:
                was = os.pread(file.fileno(), length, offset)
        self._unsynced.setdefault(path, []).append(_Change(offset=offset, was=was, was_size=size, data=data))

    def _goes_on(self) -> bool:
        if self.alive and self.doom is not None:
            self.doom.changes -= 1
            if self.doom.changes < 0:
                self.alive = False
                self.die()
        return self.alive

    def _fails(self) -> bool:
        return self.world.likely(self.mood.failing) if self.mood.failing else False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
