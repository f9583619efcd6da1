"""SQLite's own file system layer with three of its methods replaced: what is written, cut and synced goes by a `Disk`.

SQLite's `sqlite3_vfs` and `sqlite3_io_methods` are tables of functions (https://www.sqlite.org/c3ref/vfs.html). The
default VFS opens the file as ever; then its table is replaced by a copy in which `xWrite`, `xTruncate` and `xSync` are
ours. Reads, locks and shared memory stay native, so a simulated disk costs microseconds.
"""

import ctypes
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

SQLITE_OK = 0
SQLITE_IOERR = 10
SQLITE_FULL = 13
SQLITE_IOERR_WRITE = SQLITE_IOERR | (3 << 8)
SQLITE_IOERR_FSYNC = SQLITE_IOERR | (4 << 8)
SQLITE_IOERR_TRUNCATE = SQLITE_IOERR | (6 << 8)
SQLITE_IOERR_DELETE = SQLITE_IOERR | (10 << 8)
_NAME = b"gatelight-simulator"

_Pointer = ctypes.c_void_p
_Int = ctypes.c_int
# Names are pointers: SQLite keeps the one that it gives, and a copy of Python's would be gone by then.
_Open = ctypes.CFUNCTYPE(_Int, _Pointer, _Pointer, _Pointer, _Int, _Pointer)
_Delete = ctypes.CFUNCTYPE(_Int, _Pointer, _Pointer, _Int)
_Randomness = ctypes.CFUNCTYPE(_Int, _Pointer, _Int, _Pointer)
_Close = ctypes.CFUNCTYPE(_Int, _Pointer)
_Write = ctypes.CFUNCTYPE(_Int, _Pointer, _Pointer, _Int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(_Int, _Pointer, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(_Int, _Pointer, _Int)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", _Int),
        ("file_bytes", _Int),
        ("path_bytes", _Int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("data", _Pointer),
        ("open", _Open),
        ("delete", _Delete),
        ("between", _Pointer * 6),
        ("randomness", _Randomness),
        ("rest", _Pointer * 7),
    )


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", _Int),
        ("close", _Close),
        ("read", _Pointer),
        ("write", _Write),
        ("truncate", _Truncate),
        ("sync", _Sync),
        ("rest", _Pointer * 13),
    )


class FilePort(Protocol):
    """One open file. Each method gives SQLITE_OK to let SQLite go on, or an error to tell it."""

    def write(self, offset: int, data: bytes) -> int:
        """Before bytes are written."""

    def truncate(self, size: int) -> int:
        """Before it is cut."""

    def sync(self) -> int:
        """Before it is synced."""

    def close(self) -> None:
        """After SQLite has closed it."""


class DiskPort(Protocol):
    """What the files of one machine lie on."""

    def open(self, path: Path) -> FilePort:
        """After SQLite has opened it."""

    def delete(self, path: Path) -> int:
        """Before a file is deleted; SQLITE_OK or an error, as `FilePort`."""


class _Native(NamedTuple):
    """SQLite's own methods of one sort of file. Taken out once: each look into a `_Methods` makes a new object."""

    close: Callable[[int], int]
    write: Callable[[int, int, int, int], int]
    truncate: Callable[[int, int], int]


class _Replaced:
    """The replaced functions. SQLite may call them as long as a file is open: there is one of this, for ever."""

    def __init__(self, original: _Vfs) -> None:
        self._original = original
        self.disk_of: Callable[[Path], DiskPort | None] = lambda _: None
        self.random: Callable[[int], bytes] = bytes
        self._files: dict[int, tuple[FilePort, _Native]] = {}
        self._tables: dict[int, tuple[_Methods, _Native]] = {}
        self.failure: BaseException | None = None
        self.vfs = _Vfs.from_buffer_copy(original)
        self.vfs.name = _NAME
        self.vfs.next = None
        self.vfs.open = _Open(self._open)
        self.vfs.delete = _Delete(self._delete)
        self.vfs.randomness = _Randomness(self._randomness)

    def _open(self, _vfs: int, name: int | None, file: int, flags: int, out_flags: int) -> int:
        result: int = self._original.open(ctypes.addressof(self._original), name, file, flags, out_flags)
        if result != SQLITE_OK or name is None:
            return result
        path = _path(name)
        disk = self.disk_of(path)
        if disk is None:
            return result
        table = ctypes.c_void_p.from_address(file)
        if table.value is None:
            raise AssertionError("SQLite opened a file without methods")
        known = self._tables.get(table.value)
        if known is None:
            known = self._tables[table.value] = self._replace(table.value)
        ours, native = known
        self._files[file] = disk.open(path), native
        table.value = ctypes.addressof(ours)
        return result

    def _replace(self, table: int) -> tuple[_Methods, _Native]:
        original = _Methods.from_address(table)
        ours = _Methods.from_buffer_copy(original)
        ours.close = _Close(self._close)
        ours.write = _Write(self._write)
        ours.truncate = _Truncate(self._truncate)
        ours.sync = _Sync(self._sync)
        return ours, _Native(close=original.close, write=original.write, truncate=original.truncate)

    def _close(self, file: int) -> int:
        opened, native = self._files.pop(file)
        result = native.close(file)
        opened.close()
        return result

    def _write(self, file: int, data: int, size: int, offset: int) -> int:
        opened, native = self._files[file]
        refused = self._ask(opened.write, offset, ctypes.string_at(data, size))
        return refused or native.write(file, data, size, offset)

    def _truncate(self, file: int, size: int) -> int:
        opened, native = self._files[file]
        return self._ask(opened.truncate, size) or native.truncate(file, size)

    def _sync(self, file: int, _flags: int) -> int:
        # Nothing is synced for real: what counts as synced is the disk's to know.
        return self._ask(self._files[file][0].sync)

    def _delete(self, _vfs: int, name: int, sync_directory: int) -> int:
        path = _path(name)
        disk = self.disk_of(path)
        refused = self._ask(disk.delete, path) if disk is not None else SQLITE_OK
        return refused or int(self._original.delete(ctypes.addressof(self._original), name, sync_directory))

    def _randomness(self, _vfs: int, size: int, out: int) -> int:
        ctypes.memmove(out, self.random(size), size)
        return size

    def _ask(self, method: Callable[..., int], *arguments: Any) -> int:
        try:
            return method(*arguments)
        except BaseException as error:  # noqa: BLE001 - C code lies in between; `simulated_files` raises it.
            self.failure = error
            return SQLITE_IOERR


def _path(name: int) -> Path:
    return _as_path(ctypes.string_at(name))


@lru_cache(maxsize=64)
def _as_path(name: bytes) -> Path:
    return Path(os.fsdecode(name))


@contextmanager
def simulated_files(*, disk_of: Callable[[Path], DiskPort | None], random: Callable[[int], bytes]) -> Iterator[None]:
    """Until the end, every file that SQLite opens in this process, and that `disk_of` knows, goes by its disk.

    Args:
        disk_of: the disk on which a file lies; None for files that are left alone.
        random: so many bytes for SQLite, which salts its journals.

    Raises:
        OSError: the SQLite that Python uses is not a shared library, so its tables are out of reach.
    """
    library = _library()
    replaced = _replaced(library)
    replaced.disk_of, replaced.random, replaced.failure = disk_of, random, None
    library.sqlite3_vfs_register(ctypes.byref(replaced.vfs), 1)
    # Its generator of random bytes is seeded anew, from ours.
    library.sqlite3_randomness(0, None)
    try:
        yield
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(replaced.vfs))
        library.sqlite3_randomness(0, None)
        replaced.disk_of, replaced.random = lambda _: None, bytes
    if replaced.failure is not None:
        raise replaced.failure


@cache
def _replaced(library: ctypes.CDLL) -> _Replaced:
    return _Replaced(_Vfs.from_address(library.sqlite3_vfs_find(None)))


@cache
def _library() -> ctypes.CDLL:
    """The very library that the module `sqlite3` is linked to: another copy would have tables of its own."""
    with Path("/proc/self/maps").open(encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if "/libsqlite3" in line}
    if len(paths) != 1:
        raise OSError(f"SQLite {sqlite3.sqlite_version} is no shared library of this process: {sorted(paths)}")
    library = ctypes.CDLL(paths.pop())
    library.sqlite3_vfs_find.restype = ctypes.c_void_p
    return library
