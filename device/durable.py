"""Files that are whole after a power cut at any step: the old one or the new one, never a mixture.

Every function may be called again after a cut and then completes what was begun. Each path has one writer: what a
cut left behind lies under a fixed name beside it and is replaced by the next call. Only plain calls of `os` change
anything here, so that a test can end the world before each of them.
"""

# pathlib would hide the calls.
# ruff: noqa: PTH102, PTH105, PTH106, PTH108, PTH211

import os
import stat
from contextlib import suppress
from pathlib import Path

_BLOCK_BYTES = 64 * 1024
"""What is overwritten at a time: few calls, and no file of any size is held in memory."""


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Puts `data` in the place of the file `path`; it is on disk when this returns.

    Raises:
        OSError: the disk did not allow it; the file is the old one (or the new one, which then may not last).
    """
    beside = _beside(path)
    _unlink(beside)
    # O_EXCL: neither an older mode nor a link that somebody left there is written through.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except OSError:
        # On a full disk half a file would only take room.
        with suppress(OSError):
            _unlink(beside)
        raise
    sync_folder(path.parent)


def switch(link: Path, target: str | Path) -> None:
    """Points the symbolic link `link` at `target`, which may be relative to its folder.

    Raises:
        OSError: the disk did not allow it; the link is the old one (or the new one, which then may not last).
    """
    beside = _beside(link)
    _unlink(beside)
    os.symlink(target, beside)
    os.replace(beside, link)
    sync_folder(link.parent)


def append_synced(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Adds `data` at the end of the file, made where it is absent; it is on disk when this returns.

    A cut may leave a part of `data` at the end: the reader must be able to tell.

    Raises:
        OSError: the disk did not allow it; the file is as long as before, where the disk allows that.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        length = os.fstat(descriptor).st_size
        if length == 0:
            # Perhaps made just now; its name must be there before anything in it counts.
            sync_folder(path.parent)
        try:
            _write_all(descriptor, data)
            os.fdatasync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, length)
            raise
    finally:
        os.close(descriptor)


def cut_off(path: Path, length: int) -> None:
    """Shortens the file to `length` bytes, on disk when this returns.

    Raises:
        OSError: there is none, or the disk did not allow it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, length)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> None:
    """Renames a damaged file to `<name>.bad`, in the place of an older one; nothing happens where there is none.

    Raises:
        OSError: the disk did not allow it.
    """
    with suppress(FileNotFoundError):
        os.replace(path, path.with_name(path.name + ".bad"))
        sync_folder(path.parent)


def make_folder(path: Path, *, mode: int = 0o700) -> None:
    """The folder and what is missing above it, on disk when this returns. One that is there keeps its mode.

    Raises:
        OSError: the disk did not allow it, or a file has that name.
    """
    if path.is_dir():
        return
    make_folder(path.parent, mode=mode)
    with suppress(FileExistsError):
        os.mkdir(path, mode)
    sync_folder(path.parent)


def erase(path: Path) -> None:
    """Overwrites the file with zeros and removes it; nothing happens where there is none.

    Flash may keep old blocks under its wear levelling: this makes a file unreadable to whoever reads the disk, not to
    whoever takes its chips off. A symbolic link is removed and not followed.

    Raises:
        OSError: the disk did not allow it; call again.
    """
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISREG(state.st_mode):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            for offset in range(0, state.st_size, _BLOCK_BYTES):
                _write_all(descriptor, bytes(min(_BLOCK_BYTES, state.st_size - offset)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _unlink(path)
    sync_folder(path.parent)


def remove_tree(path: Path, *, overwrite: bool = False) -> None:
    """Removes a folder with everything in it, or a file; nothing happens where there is none.

    Args:
        path: symbolic links in it are removed and not followed.
        overwrite: `erase` each file.

    Raises:
        OSError: the disk did not allow it; call again.
    """
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(state.st_mode):
        if overwrite:
            erase(path)
            return
        _unlink(path)
    else:
        for inside in sorted(path.iterdir()):
            remove_tree(inside, overwrite=overwrite)
        with suppress(FileNotFoundError):
            os.rmdir(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder last.

    Raises:
        OSError: the disk did not allow it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    """Where the new one is prepared."""
    return path.with_name(f".{path.name}.new")


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
