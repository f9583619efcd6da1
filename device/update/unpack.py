"""A bundle -> a folder on disk, whatever the bundle holds.

Its publisher signed it, yet a slip of the publisher must not cost more than this update: only files and folders, only
below the folder, no more of them and no larger than any release, and never the room that the gate's spool needs.
"""

import gzip
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from device import durable
from device.update.errors import UpdateError
from device.update.slots import Label, read_label
from protocol.health import UpdateFailure
from protocol.release import version_of

UNPACKED_BYTES = 512 * 1024 * 1024
"""A release with every library is a quarter of it."""

ENTRIES_MAX = 20_000
"""Some 2,000 are usual."""

PATH_CHARS = 240
SPARE_BYTES = 64 * 1024 * 1024
"""What an update leaves free: the spool, its reserve and the log live on the same disk."""

_READ_BYTES = 256 * 1024
_HEADER_READ_BYTES = 1024 * 1024
"""More at a time asks only a header that lies about its length."""

_NO_ARCHIVE = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    ValueError,
    OverflowError,
    RecursionError,
)
"""What a file that is none raises; a header may lead to a header a thousand times."""

_PART = re.compile(r"[ -.0-~]{1,200}")
"""Printable ASCII: packages have names with spaces and brackets."""


def free_bytes(folder: Path) -> int:
    """What is free for us on the disk that the folder lies on."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def unpack(
    bundle: IO[bytes], into: Path, *, release: int, platform: str, free: Callable[[Path], int] = free_bytes
) -> Label:
    """Unpacks a bundle into the new folder `into`; all of it is on disk when this returns.

    1. Nothing but files and folders below `into`, within the limits.
    2. With room left for the gate.
    3. It can be run, and is the release for the platform that was asked for.

    Raises:
        UpdateError: `UNFIT`, one of these is not so; a part of it may lie in `into`.
        OSError: the disk did not allow it; likewise.
    """
    folders = {into}
    durable.make_folder(into, mode=0o755)
    try:
        with gzip.GzipFile(fileobj=bundle) as plain, tarfile.open(None, "r:", _Bounded(plain)) as tar:
            for count, entry in enumerate(tar):
                # 1.
                if count >= ENTRIES_MAX:
                    raise _unfit(f"over {ENTRIES_MAX} entries")
                path = into.joinpath(*_parts(entry.name))
                if entry.isdir():
                    _make_folders(path, folders)
                elif entry.isreg() and not entry.issparse() and (data := tar.extractfile(entry)) is not None:
                    # 2.
                    if free(into) < entry.size + SPARE_BYTES:
                        raise _unfit("no room on the disk")
                    _make_folders(path.parent, folders)
                    _write(path, data, mode=0o755 if entry.mode & 0o100 else 0o644)
                else:
                    raise _unfit(f"{entry.name!r:.80} is neither file nor folder")
    except _NO_ARCHIVE as error:
        raise _unfit(f"no archive: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _unfit(f"an entry comes twice: {error.filename}") from error
    for folder in sorted(folders, reverse=True):
        durable.sync_folder(folder)
    # 3.
    label = read_label(into)
    if label is None:
        raise _unfit("there is nothing to run in it")
    if (label.release, label.version, label.platform) != (release, version_of(release), platform):
        raise _unfit(f"it is {label.version} ({label.release}) for {label.platform}, not {release} for {platform}")
    return label


def _unfit(what: str) -> UpdateError:
    return UpdateError(UpdateFailure.UNFIT, f"the bundle is of no use here: {what}")


def _parts(name: str) -> tuple[str, ...]:
    """An entry's name as parts of a path, none of which leads up or anywhere else."""
    path = PurePosixPath(name)
    parts = path.parts
    good = parts and len(name) <= PATH_CHARS and all(_PART.fullmatch(part) and part != ".." for part in parts)
    if not good or path.is_absolute():
        raise _unfit(f"{name!r:.80} is no path of a release")
    return parts


def _make_folders(path: Path, folders: set[Path]) -> None:
    """The folder and those above it, each made by us: nothing else is walked through."""
    missing = []
    while path not in folders:
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        os.mkdir(folder, 0o755)  # noqa: PTH102 - a call that tests see
        folders.add(folder)


def _write(path: Path, data: IO[bytes], *, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        while block := data.read(_READ_BYTES):
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Bounded(io.RawIOBase):
    """A stream that ends a read of too much, at a time or in all, and goes back no further than a block.

    tarfile reads what a header calls its length into memory at once, and jumps to where one says.
    """

    def __init__(self, plain: gzip.GzipFile) -> None:
        super().__init__()
        self._plain = plain

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER_READ_BYTES:
            raise ValueError(f"a header of {size} bytes")
        data = self._plain.read(size)
        self._check(self._plain.tell())
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check(offset)
        if whence != os.SEEK_SET or offset < self._plain.tell() - tarfile.BLOCKSIZE:
            raise ValueError("it leads back")
        return self._plain.seek(offset)

    def tell(self) -> int:
        return self._plain.tell()

    @staticmethod
    def _check(offset: int) -> None:
        if offset > UNPACKED_BYTES:
            raise ValueError(f"over {UNPACKED_BYTES} bytes unpacked")
