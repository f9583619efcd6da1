"""Files <-> one `.tar.gz`. The manifest comes first, then what is small, the database last.

Only members that the manifest names are read, each once, as plain files of the size and the SHA-256 that it says. So
nothing in an archive can lead elsewhere, be a link, or unpack to more than it tells.
"""

# pathlib would hide the calls whose order counts.
# ruff: noqa: PTH105, PTH108

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from hub.store.backup.manifest import DATABASE, MANIFEST, MANIFEST_BYTES, BackupError, Manifest, Part, write_manifest
from hub.store.backup.manifest import read_manifest as parse_manifest
from hub.store.backup.swap import sync_folder

_BLOCK_BYTES: Final = 1024 * 1024
_LEVEL: Final = 1
"""Sealed bytes do not become smaller, whatever the effort; what was erased in the copy is zeros."""


def measure(name: str, path: Path, *, private: bool) -> Part:
    """What the manifest says of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Part(name=name, size_bytes=file.tell(), sha256=digest.hexdigest(), private=private)


def write_archive(target: Path, *, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """All of it at `target`, for its owner only; on the disk when this returns, or not there at all.

    Raises:
        BackupError: `target` is there already.
        OSError: a file cannot be read or written.
    """
    if target.exists():
        raise BackupError(f"{target} is there already")
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            with (
                gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=out, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                told = write_manifest(manifest)
                _add(tar, MANIFEST, len(told), io.BytesIO(told), made_ms=manifest.made_ms)
                for part in manifest.parts:
                    with files[part.name].open("rb") as file:
                        _add(tar, part.name, part.size_bytes, file, made_ms=manifest.made_ms)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
    sync_folder(target.parent)


def read_manifest(archive: Path) -> Manifest:
    """What an archive says of itself; nothing else of it is read.

    Raises:
        BackupError: it is no archive of ours.
    """
    with _opened(archive) as tar:
        return _first(archive, tar)


def read_small(archive: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and every file but the database.

    Raises:
        BackupError: something is missing, damaged or not as the manifest says.
    """
    found: dict[str, bytes] = {}
    with _opened(archive) as tar:
        manifest = _first(archive, tar)
        for part in manifest.parts:
            if part.name != DATABASE:
                data = io.BytesIO()
                _copy(archive, tar, part, data)
                found[part.name] = data.getvalue()
    return manifest, found


def extract_database(archive: Path, target: Path) -> None:
    """The database alone -> the new file `target`, for its owner only, on the disk when this returns.

    Raises:
        BackupError: something is missing, damaged or not as the manifest says.
        OSError: the disk did not allow it.
    """
    with _opened(archive) as tar:
        for part in _first(archive, tar).parts:
            if part.name == DATABASE:
                descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as out:
                    _copy(archive, tar, part, out)
                    out.flush()
                    os.fsync(out.fileno())
            else:
                _copy(archive, tar, part, io.BytesIO())
        if tar.next() is not None:
            raise BackupError(f"{archive}: there is more in it than its manifest says")


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, mode="r|gz", bufsize=_BLOCK_BYTES) as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"{archive} is damaged or no archive: {error}") from error
    except FileNotFoundError as error:
        raise BackupError(f"there is no {error.filename or archive}") from error


def _first(archive: Path, tar: tarfile.TarFile) -> Manifest:
    member = tar.next()
    if member is None or member.name != MANIFEST or not member.isreg() or member.size > MANIFEST_BYTES:
        raise BackupError(f"{archive} does not begin with {MANIFEST}: it is no archive of `gatelight-hub backup`")
    file = tar.extractfile(member)
    return parse_manifest(b"" if file is None else file.read())


def _copy(archive: Path, tar: tarfile.TarFile, part: Part, out: IO[bytes]) -> None:
    """The next member, which has to be this one, whole."""
    member = tar.next()
    file = tar.extractfile(member) if member is not None and member.isreg() else None
    if member is None or file is None or member.name != part.name or member.size != part.size_bytes:
        raise BackupError(f"{archive}: {part.name} is not where its manifest says")
    digest = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
        out.write(block)
    if digest.hexdigest() != part.sha256:
        raise BackupError(f"{archive}: {part.name} is damaged: its SHA-256 is another than the manifest's")


def _add(tar: tarfile.TarFile, name: str, size_bytes: int, file: IO[bytes], *, made_ms: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size_bytes, 0o600, made_ms // 1000
    tar.addfile(member, file)
