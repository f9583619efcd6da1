"""An archive -> a hub's files. All is checked and made ready beside the database before anything there changes."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.model import AuditEntry
from hub.store.backup.archive import extract_database
from hub.store.backup.copy import check
from hub.store.backup.manifest import DATABASE, BackupError, Manifest
from hub.store.backup.rotation import stamp
from hub.store.backup.swap import alone, fold, put_in_place, sync_folder, write_missing
from hub.store.migrate import migrations
from hub.store.sqlite import open_store

_PUBLIC: Final = 0o644
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlan:
    """What becomes of one file beside the database: `missing` ones are written, all others stay as they are."""

    name: str
    path: Path
    data: bytes
    private: bool
    missing: bool
    differs: bool


def plan_files(manifest: Manifest, small: Mapping[str, bytes], paths: Mapping[str, Path]) -> tuple[FilePlan, ...]:
    """Files of the archive that the configuration names. One that is there stays: it may be newer, or another's.

    Raises:
        BackupError: one that is there cannot be read.
    """
    plans = []
    for part in manifest.parts:
        path = paths.get(part.name)
        if path is None or part.name not in small:
            continue
        try:
            there = path.read_bytes() if path.exists() else None
        except OSError as error:
            raise BackupError(f"{path}: {error.strerror}") from error
        data = small[part.name]
        differs = there is not None and there != data
        plans.append(
            FilePlan(name=part.name, path=path, data=data, private=part.private, missing=there is None, differs=differs)
        )
    return tuple(plans)


def write_files(plans: tuple[FilePlan, ...], *, owner: Path) -> None:
    """Those that are missing. Private ones belong to whom the folder `owner` belongs, where we are root.

    Raises:
        OSError: the disk did not allow it; call again.
    """
    for plan in plans:
        if plan.missing:
            plan.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            mode = _PRIVATE if plan.private else _PUBLIC
            write_missing(plan.path, plan.data, mode=mode, owner=_owner_of(owner) if plan.private else None)


def stage(archive: Path, *, database: Path) -> Path:
    """The archive's database, read whole and found sound, in a folder beside `database`. Returns its path.

    Raises:
        BackupError: the archive is damaged, a newer Gatelight's, or there is no room.
    """
    folder = staging(database)
    unstage(database)
    try:
        folder.mkdir(mode=0o700)
        staged = folder / DATABASE
        extract_database(archive, staged)
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror}") from error
    refuse_newer(archive, check(staged))
    return staged


def refuse_newer(archive: Path, schema: int) -> None:
    """An archive whose schema this Gatelight does not know is not touched.

    Raises:
        BackupError: it is a newer Gatelight's.
    """
    known = len(migrations())
    if schema > known:
        raise BackupError(
            f"{archive} has schema version {schema}, but this Gatelight knows only up to version {known}: "
            "restore it with the Gatelight that made it, or a newer one"
        )


async def bring_up(staged: Path, *, audit: AuditEntry) -> None:
    """Bring the staged database to this Gatelight's schema and note in its audit log what happens to it.

    Raises:
        StoreError: it cannot be migrated or written.
    """
    store = await open_store(staged, check=False)
    try:
        await store.audit(audit)
    finally:
        await store.close()


def put_back(staged: Path, database: Path, *, now_ms: int) -> Path | None:
    """The staged database becomes the hub's. Returns where the one before it is kept; None where there was none.

    Raises:
        BackupError: the database is in use; nothing was changed.
        OSError: the disk did not allow it; call again.
    """
    was_there = database.exists()
    aside = _free(database.with_name(f"{database.name}.replaced-{stamp(now_ms)}"))
    if not fold(staged):
        raise BackupError(f"{staged} cannot be used")
    owner = _owner_of(database.parent)
    if owner is not None:
        os.chown(staged, *owner)
    _sync_file(staged)
    sync_folder(staged.parent)
    with alone(database):
        # Nobody has it open now; opening it for the next step lets go of the lock.
        pass
    folded = fold(database)
    with alone(database):
        put_in_place(staged, database, aside=aside, folded=folded)
    unstage(database)
    return aside if was_there else None


def staging(database: Path) -> Path:
    """Where a restore makes things ready: the same disk, so that a rename is enough."""
    return database.with_name(f".{database.name}.restoring")


def unstage(database: Path) -> None:
    """Remove what this or an earlier restore left there. Personal data may be in it."""
    shutil.rmtree(staging(database), ignore_errors=True)


def _owner_of(folder: Path) -> tuple[int, int] | None:
    """Whose the hub's files are, where root restores them; None where we are nobody else."""
    if os.geteuid():
        return None
    state = folder.stat()
    return state.st_uid, state.st_gid


def _free(path: Path) -> Path:
    number = 1
    candidate = path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
