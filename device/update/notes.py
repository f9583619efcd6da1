"""The small files by which gate and updater tell each other something. Each has one writer.

    state_dir/update/wanted.json       the gate: the release that an operator wants
    state_dir/update/healthy.json      the gate: this release is well; see `wellness.py`
    firmware_dir/status.json           the updater: which release is in force, and which one failed

They may be of different releases, so what a reader does not know it passes over. A file that cannot be read says
nothing: what it would have said is written anew sooner or later.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from device import durable
from protocol.health import UpdateFailure
from protocol.release import RELEASE_MAX

FOLDER = "update"
"""Below `state_dir`."""

NOTE_BYTES = 4096
"""Ten times the longest."""

Release = Annotated[int, Meta(ge=0, le=RELEASE_MAX)]
FailureName = Literal["unreachable", "untrusted", "older", "unfit", "unhealthy"]


class Wanted(Struct, frozen=True, kw_only=True):
    """An operator's word: this release. `id` is the command's, so that one wanted again is tried again."""

    release: Annotated[int, Meta(ge=1, le=RELEASE_MAX)]
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{1,64}\Z")]


class Healthy(Struct, frozen=True, kw_only=True):
    """A process of this version was well: `boot`, and the monotonic clock in ns, tell one from every other."""

    version: str
    boot: str
    mono_ns: int


class Failed(Struct, frozen=True, kw_only=True):
    """The release that was wanted last and does not run, and why."""

    release: Annotated[int, Meta(ge=1, le=RELEASE_MAX)]
    failure: FailureName

    @classmethod
    def of(cls, release: int, failure: UpdateFailure) -> "Failed":
        """With the failure's name as files have it."""
        # Every name is in the list: a test walks through them.
        return msgspec.convert({"release": release, "failure": failure.name.lower()}, cls)

    @property
    def why(self) -> UpdateFailure:
        """The failure as the wire has it."""
        return UpdateFailure[self.failure.upper()]


class Status(Struct, frozen=True, kw_only=True):
    """What the updater says: the release that ran well and is in force, 0 where nobody knows."""

    release: Release = 0
    failed: Failed | None = None


Note = TypeVar("Note", bound=Struct)


def wanted_file(state_dir: Path) -> Path:
    """What the updater is started by."""
    return state_dir / FOLDER / "wanted.json"


def healthy_file(state_dir: Path) -> Path:
    """What a trial is confirmed by."""
    return state_dir / FOLDER / "healthy.json"


def status_file(firmware_dir: Path) -> Path:
    """What the gate tells the hub from."""
    return firmware_dir / "status.json"


def read_bytes(path: Path) -> bytes:
    """The file's content; nothing where there is none, or no such short one."""
    try:
        with path.open("rb") as file:
            data = file.read(NOTE_BYTES + 1)
    except OSError:
        return b""
    return data if len(data) <= NOTE_BYTES else b""


def read(path: Path, kind: type[Note]) -> Note | None:
    """The note in a file; None where there is none that can be read."""
    try:
        return msgspec.json.decode(read_bytes(path), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def write(path: Path, note: Struct) -> None:
    """Puts a note in the place of the file; on disk when this returns.

    Raises:
        OSError: the disk did not allow it.
    """
    # The other side is another user; nothing in a note is a secret.
    durable.write_atomic(path, msgspec.json.encode(note), mode=0o644)


def digest(path: Path) -> str:
    """What tells a file from the one that comes after it; of none, that of nothing."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


class StatusReader:
    """The updater's word, for the gate: asked for at every turn, so the file is read only when it is another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._status = Status()

    @property
    def failed(self) -> Failed | None:
        """The update that failed last, if the last one did; for any thread."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._status = read(self._path, Status) or Status()
            self._seen = seen
        return self._status.failed
