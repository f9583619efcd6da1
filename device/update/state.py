"""What the updater knows of itself: one file, written whole."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from device import durable
from device.update.notes import Failed, Release
from protocol.health import UpdateFailure

Slot = Literal["a", "b"]

STARTS_MAX = 3
"""How often a release on trial may be started: a power cut or two are not its fault."""

_STATE_BYTES = 64 * 1024
_LOCK_TRY_S = 0.02


class Trial(Struct, frozen=True, kw_only=True):
    """A release that has yet to prove itself.

    `previous` is the slot to go back to, None for the installed release. `wanted` is the command's id. `seen` is the
    digest of the note "healthy" from before. `starts` were counted. One that is `lost` is not tried any further.
    """

    slot: Slot
    release: Annotated[int, Meta(ge=1)]
    previous: Slot | None
    wanted: str
    seen: str
    starts: int = 0
    lost: bool = False


class State(Struct, frozen=True, kw_only=True):
    """Everything.

    `floor` is the highest release that was confirmed: nothing older is brought about. `settled` is the id of the
    command that was dealt with last. `clock_s` is the latest time at which the publisher's word was found valid.
    """

    floor: Release = 0
    settled: str = ""
    failed: Failed | None = None
    trial: Trial | None = None
    clock_s: int = 0


def started(state: State) -> State:
    """The release on trial is started once more."""
    trial = state.trial
    return state if trial is None else replace(state, trial=replace(trial, starts=trial.starts + 1))


def confirmed(state: State, trial: Trial) -> State:
    """The release on trial is well: it is what nothing may be older than from now on."""
    if not _is_on(state, trial):
        return state
    return replace(state, floor=max(state.floor, trial.release), settled=trial.wanted, failed=None, trial=None)


def lost(state: State, trial: Trial) -> State:
    """The release on trial is not tried any further; next comes the way back."""
    if not _is_on(state, trial):
        return state
    return replace(state, trial=replace(state.trial or trial, lost=True))


def taken_back(state: State, trial: Trial) -> State:
    """The release before is in force again."""
    if state.trial is None or state.trial.wanted != trial.wanted:
        return state
    failed = Failed.of(trial.release, UpdateFailure.UNHEALTHY)
    return replace(state, settled=trial.wanted, failed=failed, trial=None)


def _is_on(state: State, trial: Trial) -> bool:
    """Whether this trial still runs: a start of the gate may have ended it meanwhile."""
    return state.trial is not None and state.trial.wanted == trial.wanted and not state.trial.lost


class Store:
    """The file, and the lock under which it is changed: `run` and `before-start` may meet."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"
        self._lock = folder / "lock"

    def load(self) -> State:
        """What was saved last; the beginning, where nothing was or where it cannot be read.

        Raises:
            OSError: there is something that the disk does not give.
        """
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_STATE_BYTES), type=State)
        except FileNotFoundError:
            return State()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            durable.set_aside(self._path)
            return State()

    def save(self, state: State) -> None:
        """On disk when this returns.

        Raises:
            OSError: the disk did not allow it.
        """
        durable.write_atomic(self._path, msgspec.json.encode(state), mode=0o644)

    @contextmanager
    def locked(self, *, timeout_s: float = 60.0) -> Iterator[None]:
        """Nobody else changes the state meanwhile.

        Raises:
            TimeoutError: somebody else has it for that long.
            OSError: there is no making the lock's file.
        """
        with _lock(self._lock, timeout_s=timeout_s):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One `run` at a time.

        Raises:
            TimeoutError: another one is at work.
            OSError: there is no making the lock's file.
        """
        with _lock(self._lock.with_name("run.lock"), timeout_s=0):
            yield


@contextmanager
def _lock(path: Path, *, timeout_s: float) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        end_s = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end_s:
                    raise TimeoutError(f"{path}: somebody else has it") from None
                time.sleep(_LOCK_TRY_S)
        yield
    finally:
        os.close(descriptor)
