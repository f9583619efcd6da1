"""The mirror: a folder that the importer writes, and that the hub and its console read.

    metadata/       N.root.json, N.targets.json, N.snapshot.json, timestamp.json: the publisher's bytes, for devices
    targets/        the bundles, each with its SHA-256 before its name
    index.json      what is in it, for us
    trusted/        what the importer believes: python-tuf's own files
    incoming/       what is not verified yet

The importer writes what is pointed at before what points: bundles, then metadata with `timestamp.json` last, then the
index. So whoever reads finds the old state or the new one. The signatures are checked when something comes in, and by
every device; not here.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from hub.firmware.bundles import BUNDLE_BYTES, METADATA_BYTES, Bundle, MirrorError, is_metadata, is_target

INDEX_BYTES: Final = 256 * 1024
"""Every bundle there may be takes a tenth of it."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a mirror. `expires_ms`: from then on devices refuse it, until it is imported anew."""

    bundles: tuple[Bundle, ...]
    root_version: int
    targets_version: int
    timestamp_version: int
    expires_ms: int
    imported_ms: int

    def of(self, release: int) -> tuple[Bundle, ...]:
        """The bundles of one release."""
        return tuple(bundle for bundle in self.bundles if bundle.release == release)


class Mirror:
    """The folder `[firmware] dir`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        self.trusted, self.incoming = folder / "trusted", folder / "incoming"

    def contents(self) -> Contents | None:
        """What is in it; None: nothing was imported yet.

        Raises:
            MirrorError: the index cannot be read, or nobody of ours wrote it.
        """
        path = self.folder / "index.json"
        try:
            with path.open("rb") as file:
                data = file.read(INDEX_BYTES + 1)
            return msgspec.json.decode(data, type=Contents)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise MirrorError(f"{path}: {error}") from error

    def open_metadata(self, name: str) -> tuple[int, int] | None:
        """A file of metadata -> (descriptor, bytes); None: there is none of this name. The caller closes it."""
        return _open(self.metadata / name, most=METADATA_BYTES) if is_metadata(name) else None

    def open_target(self, name: str) -> tuple[int, int] | None:
        """A bundle -> (descriptor, bytes), as above."""
        return _open(self.targets / name, most=BUNDLE_BYTES) if is_target(name) else None

    def write_index(self, contents: Contents) -> None:
        """Say what is in it. Raises OSError."""
        put(self.folder / "index.json", msgspec.json.format(msgspec.json.encode(contents)))


def put(path: Path, data: bytes) -> None:
    """A file with these bytes, or the one that was there; on the disk when this returns. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names in it are on the disk when this returns. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_others(folder: Path, keep: Iterable[str]) -> None:
    """Of the files in a folder only these stay. Raises OSError."""
    kept = set(keep)
    for entry in folder.iterdir():
        if entry.name not in kept:
            entry.unlink()


def _open(path: Path, *, most: int) -> tuple[int, int] | None:
    """A regular file of this folder, no link, no longer than `most` bytes."""
    try:
        # Without O_NONBLOCK a pipe of that name would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        return descriptor, found.st_size
    os.close(descriptor)
    return None
