"""Does what the plan says, until there is nothing left to do. Started again after any end, it goes on.

The link is switched only between whole releases, and every step is on disk before the next: a power cut leaves the
old release or the new one in force, and a state from which the plan knows the way.
"""

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from msgspec.structs import replace

from device.logs import Log
from device.update import notes
from device.update.errors import UpdateError
from device.update.notes import Failed, Healthy, Status, Wanted
from device.update.plan import Situation, Step, next_step
from device.update.slots import Label, Slots
from device.update.state import State, Store, Trial, confirmed, lost, taken_back
from protocol.health import UpdateFailure
from protocol.release import version_of

LOOK_S = 0.5
"""How often a trial's health is looked for."""

AGAIN_FIRST_S, AGAIN_BOUND_S = 5.0, 60.0
"""How long until a hub that was not reached is asked again."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What an updater works with.

    Args:
        firmware_dir: the slots and all that belongs to them.
        state_dir: the gate's; only read.
        factory: the installed release, 0 where it is no release.
        bundle: opens the verified bundle of a release.
        unpack: a bundle -> a folder.
        restart: starts the gate anew, with what is in force.
        now_s: s since 1970.
        mono_s, sleep: a clock that only goes forward.
    """

    firmware_dir: Path
    state_dir: Path
    factory: int
    bundle: Callable[[int], AbstractContextManager[IO[bytes]]]
    unpack: Callable[[IO[bytes], Path, int], Label]
    restart: Callable[[], None]
    trial_s: float
    fetch_s: float
    now_s: Callable[[], int]
    mono_s: Callable[[], float]
    sleep: Callable[[float], None]
    log: Log


class Updater:
    """One machine's. `run` is the whole of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = Store(world.firmware_dir)
        self._slots = Slots(world.firmware_dir)

    def run(self) -> None:
        """Brings about what is wanted.

        Raises:
            TimeoutError: another one is at work.
            OSError: the disk did not allow it; call again.
        """
        with self._store.alone():
            self._slots.tidy()
            while True:
                there = self._look()
                self._publish(there)
                step = next_step(there)
                if step is Step.NOTHING:
                    return
                self._do(step, there)

    def _look(self) -> Situation:
        return self._slots.look(self._store.load(), factory=self._world.factory, wanted=self._wanted())

    def _wanted(self) -> Wanted | None:
        return notes.read(notes.wanted_file(self._world.state_dir), Wanted)

    def _do(self, step: Step, there: Situation) -> None:
        trial, wanted = there.state.trial, there.wanted
        if trial is not None:
            self._try(step, trial)
        elif step is Step.FACTORY:
            self._event("installed_release_is_newer", release=there.factory)
            self._slots.point(None)
        elif wanted is not None:
            if step is Step.SETTLE:
                self._settle(wanted, None)
            elif step is Step.REFUSE:
                self._settle(wanted, UpdateFailure.OLDER, what=f"not newer than release {there.floor}")
            else:
                self._bring(wanted, there)

    def _bring(self, wanted: Wanted, there: Situation) -> None:
        """A release comes into the idle slot, on trial; nothing is switched yet."""
        slot, previous = self._slots.idle, there.linked
        self._event("update_begins", release=wanted.release, slot=slot)
        try:
            self._slots.clear(slot)
            self._fetch(wanted, there.state, self._slots.fresh(slot))
            self._slots.take_over(slot)
            trial = Trial(
                slot=slot,
                release=wanted.release,
                previous=previous,
                wanted=wanted.id,
                seen=notes.digest(notes.healthy_file(self._world.state_dir)),
            )
            clock_s = max(there.state.clock_s, self._world.now_s())
            self._change(lambda state: replace(state, trial=trial, clock_s=clock_s))
        except UpdateError as error:
            self._slots.clear(slot)
            self._settle(wanted, error.failure, what=str(error))
        except OSError as error:
            # The room first, or nothing could be said either.
            self._slots.clear(slot)
            what = "no room on the disk" if error.errno in _FULL else f"the disk does not allow it: {error}"
            self._settle(wanted, UpdateFailure.UNFIT, what=what)

    def _fetch(self, wanted: Wanted, state: State, into: Path) -> None:
        """The release is in the folder `into`, verified. A hub that cannot be reached is asked again for a while.

        Raises:
            UpdateError, OSError: it is not.
        """
        world, wait_s = self._world, AGAIN_FIRST_S
        end_s = world.mono_s() + world.fetch_s
        while True:
            try:
                self._check_clock(state)
                with world.bundle(wanted.release) as bundle:
                    world.unpack(bundle, into, wanted.release)
                return
            except UpdateError as error:
                over = world.mono_s() + wait_s >= end_s or self._wanted() != wanted
                if over or error.failure is not UpdateFailure.UNREACHABLE:
                    raise
                self._event("update_waits", release=wanted.release, what=str(error))
            world.sleep(wait_s)
            wait_s = min(2 * wait_s, AGAIN_BOUND_S)

    def _check_clock(self, state: State) -> None:
        """A Pi has no battery behind its clock, and by one that is behind, what has ended would hold."""
        if self._world.now_s() < state.clock_s:
            raise UpdateError(UpdateFailure.UNREACHABLE, "the clock is behind the last update")

    def _try(self, step: Step, trial: Trial) -> None:
        if step is Step.BACK:
            self._go_back(trial)
            return
        if step is Step.SWITCH:
            self._event("update_on_trial", release=trial.release, slot=trial.slot)
            self._slots.point(trial.slot)
        if step in {Step.SWITCH, Step.START}:
            self._world.restart()
        self._watch(trial)

    def _watch(self, trial: Trial) -> None:
        """Until the release on trial is well, or its time is over, or the gate's start has gone back already."""
        path = notes.healthy_file(self._world.state_dir)
        end_s = self._world.mono_s() + self._world.trial_s
        while True:
            healthy = notes.read(path, Healthy)
            if (
                healthy is not None
                and healthy.version == version_of(trial.release)
                and notes.digest(path) != trial.seen
            ):
                self._confirm(trial)
                return
            now = self._store.load().trial
            if now is None or now.lost:
                return
            if self._world.mono_s() >= end_s:
                self._event("update_unhealthy", release=trial.release, what=f"not well in {self._world.trial_s} s")
                self._change(lambda state: lost(state, trial))
                return
            self._world.sleep(LOOK_S)

    def _confirm(self, trial: Trial) -> None:
        self._change(lambda state: confirmed(state, trial))
        self._event("update_confirmed", release=trial.release, slot=trial.slot)

    def _go_back(self, trial: Trial) -> None:
        """The release before is in force again; told only when it has been started."""
        self._event("update_taken_back", release=trial.release, slot=trial.previous)
        self._slots.point(trial.previous)
        self._world.restart()
        self._change(lambda state: taken_back(state, trial))

    def _settle(self, wanted: Wanted, failure: UpdateFailure | None, *, what: str = "") -> None:
        failed = None if failure is None else Failed.of(wanted.release, failure)
        if failed is not None:
            self._event("update_failed", release=wanted.release, reason=failed.failure, what=what)
        self._change(lambda state: replace(state, settled=wanted.id, failed=failed))

    def _change(self, change: Callable[[State], State]) -> None:
        with self._store.locked():
            self._store.save(change(self._store.load()))

    def _publish(self, there: Situation) -> None:
        """What the gate tells the hub; written only when it is something new."""
        trial = there.state.trial
        proven = there.in_force if trial is None else self._slots.release(trial.previous) or there.factory
        status = Status(release=proven, failed=there.state.failed)
        path = notes.status_file(self._world.firmware_dir)
        if notes.read(path, Status) != status:
            notes.write(path, status)

    def _event(self, event: str, **fields: object) -> None:
        self._world.log.event(event, **fields)
