"""A published repository -> the mirror, by python-tuf's client: it alone says what is to be believed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from hub.firmware.bundles import BUNDLES_MOST, METADATA_BYTES, Bundle, MirrorError, bundle_of
from hub.firmware.mirror import Contents, Mirror, put, remove_others, sync_folder
from hub.firmware.sources import FOLDER_URL, FolderFetcher, HttpsFetcher

_HTTPS: Final = "https://"
_OLD_KEPT: Final = 8
"""Versions of targets and snapshot beside the newest: a device that asked a moment ago still finds the one it was told
of."""
_SECOND_MS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import has brought, and names in the repository that are no bundles of firmware."""

    contents: Contents
    new: tuple[Bundle, ...]
    passed_over: tuple[str, ...]


def import_repository(
    source: str, *, mirror: Mirror, root: bytes | None, ca: Path | None = None, now_ms: int
) -> Imported:
    """Take over everything that a repository has now.

    1. Nobody else imports meanwhile.
    2. The root is the one that was trusted first, or follows from it, signed by it (TUF §5.3).
    3. Timestamp, snapshot and targets are signed, not older than those known, and have not ended (TUF §5.4 to §5.6).
    4. Every bundle has the length and the hash of the metadata (TUF §5.7).
    5. What is pointed at is written before what points at it.
    6. What nothing points at any more is removed.

    Args:
        source: an https address, or a folder.
        mirror: where to.
        root: the root that is to be trusted, at the first import.
        ca: the server's authority, where it is none of the system's.
        now_ms: the time of the import.

    Raises:
        MirrorError: nothing, or nothing newer, can be taken over; the mirror serves what it did.
    """
    # 1.
    try:
        with _alone(mirror):
            first = not mirror.trusted.exists()
            try:
                return _import(source, mirror, root=root, ca=ca, now_ms=now_ms)
            except BaseException:
                if first:
                    # A root that led to nothing is not to be in the way of the right one.
                    shutil.rmtree(mirror.trusted, ignore_errors=True)
                raise
    except OSError as error:
        raise MirrorError(f"{error.filename or mirror.folder}: {error.strerror or error}") from error


def _import(source: str, mirror: Mirror, *, root: bytes | None, ca: Path | None, now_ms: int) -> Imported:
    base, fetcher = _source(source, ca=ca)
    try:
        # 2.
        updater = Updater(
            metadata_dir=str(mirror.trusted),
            metadata_base_url=f"{base}metadata/",
            target_dir=str(mirror.incoming),
            target_base_url=f"{base}targets/",
            fetcher=fetcher,
            bootstrap=_anchor(mirror, root),
        )
        # 3.
        updater.refresh()
        bundles, passed_over = _bundles(_signed(mirror.trusted / "targets.json").targets)
        # 4.
        new = tuple(bundle for bundle in bundles if _fetch(updater, bundle, mirror))
    except DownloadError as error:
        # What python-tuf says of others' errors is the address alone.
        told = error if isinstance(error, DownloadHTTPError) else error.__cause__ or error
        raise MirrorError(f"{source}: {told}") from error
    except RepositoryError as error:
        raise MirrorError(f"{source}: not believed: {error}") from error
    # 5.
    contents = _publish(mirror, bundles, now_ms=now_ms)
    # 6.
    remove_others(mirror.targets, (bundle.file for bundle in bundles))
    remove_others(mirror.incoming, ())
    _remove_old(mirror.metadata)
    return Imported(contents=contents, new=new, passed_over=passed_over)


def _source(source: str, *, ca: Path | None) -> tuple[str, FetcherInterface]:
    if source.startswith(_HTTPS):
        return source.rstrip("/") + "/", HttpsFetcher(ca=ca)
    if "://" in source:
        raise MirrorError(f"{source}: an https address, or a folder")
    if not (Path(source) / "metadata").is_dir():
        raise MirrorError(f"{source}: there is no published repository: no folder `metadata` in it")
    return FOLDER_URL, FolderFetcher(Path(source))


def _anchor(mirror: Mirror, root: bytes | None) -> bytes | None:
    """What python-tuf begins with; None: what it has kept."""
    if not mirror.trusted.exists():
        if root is None:
            raise MirrorError("the first import needs the publisher's root.json, brought by somebody who is trusted")
        mirror.trusted.mkdir(mode=0o755)
        return root
    kept = [path.read_bytes() for path in (mirror.trusted / "root_history").glob("*.root.json")]
    if root is not None and root not in kept:
        raise MirrorError(f"this mirror trusts another root; to begin anew with this one, remove {mirror.folder}")
    return None


def _bundles(targets: dict[str, Any]) -> tuple[tuple[Bundle, ...], tuple[str, ...]]:
    """The bundles, newest first; and the names of all else."""
    found, others = list[Bundle](), list[str]()
    for path, info in sorted(targets.items()):
        said = info.custom
        bundle = bundle_of(path, length=info.length, hashes=info.hashes, said=said if isinstance(said, dict) else {})
        if bundle is None:
            others.append(path)
        else:
            found.append(bundle)
    if len(found) > BUNDLES_MOST:
        raise MirrorError(f"{len(found)} bundles, at most {BUNDLES_MOST} are taken: the publisher removes old ones")
    found.sort(key=lambda bundle: (-bundle.release, bundle.platform))
    return tuple(found), tuple(others)


def _fetch(updater: Updater, bundle: Bundle, mirror: Mirror) -> bool:
    """The bundle's file in its place; False: it was there, whole."""
    info, place = updater.get_targetinfo(bundle.path), mirror.targets / bundle.file
    if info is None:
        raise MirrorError(f"{bundle.path}: gone from the metadata meanwhile")
    if updater.find_cached_target(info, str(place)) is not None:
        return False
    arrived = mirror.incoming / bundle.file
    updater.download_target(info, str(arrived))
    with arrived.open("rb") as file:
        os.fsync(file.fileno())
    arrived.replace(place)
    sync_folder(mirror.targets)
    return True


def _publish(mirror: Mirror, bundles: tuple[Bundle, ...], *, now_ms: int) -> Contents:
    """Everything that devices ask for, `timestamp.json` last; then what we tell of it."""
    roots = sorted((mirror.trusted / "root_history").glob("*.root.json"))
    for path in roots:
        put(mirror.metadata / path.name, path.read_bytes())
    versions, ends_ms = dict[str, int](), list[int]()
    for kind in ("root", "targets", "snapshot", "timestamp"):
        path = mirror.trusted / f"{kind}.json"
        signed = _signed(path)
        versions[kind] = signed.version
        ends_ms.append(int(signed.expires.timestamp() * _SECOND_MS))
        if kind != "root":
            name = path.name if kind == "timestamp" else f"{signed.version}.{path.name}"
            put(mirror.metadata / name, path.read_bytes())
    contents = Contents(
        bundles=bundles,
        root_version=versions["root"],
        targets_version=versions["targets"],
        timestamp_version=versions["timestamp"],
        expires_ms=min(ends_ms),
        imported_ms=now_ms,
    )
    mirror.write_index(contents)
    return contents


def _signed(path: Path) -> Any:
    """What python-tuf has verified and kept: its `Root`, `Targets`, `Snapshot` or `Timestamp`."""
    with path.open("rb") as file:
        return Metadata.from_bytes(file.read(METADATA_BYTES + 1)).signed


def _remove_old(folder: Path) -> None:
    """Of targets and snapshots the newest stay. Of roots all do: a device may have the first one."""
    for kind in ("snapshot", "targets"):
        old = sorted(folder.glob(f"*.{kind}.json"), key=lambda path: int(path.name.partition(".")[0]))
        for path in old[: -_OLD_KEPT - 1]:
            path.unlink()


@contextmanager
def _alone(mirror: Mirror) -> Iterator[None]:
    for folder in (mirror.folder, mirror.metadata, mirror.targets, mirror.incoming):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(mirror.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MirrorError(f"{mirror.folder}: another import is under way") from error
        yield
    finally:
        os.close(descriptor)
