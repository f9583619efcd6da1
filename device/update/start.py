"""Before the gate starts: counts the starts of a release on trial, and goes back when there were too many.

Whatever fails here must not keep the gate from starting; systemd runs this before every start. It needs nothing of
the gate's own folder, which it may not read.
"""

from device.logs import Log
from device.update.plan import AtStart, at_start
from device.update.slots import Slots
from device.update.state import STARTS_MAX, Store, lost, started, taken_back

LOCK_S = 2.0
"""The updater holds the lock for one small write at a time."""


def before_start(store: Store, slots: Slots, *, factory: int, log: Log) -> None:
    """What the plan has for the start.

    Raises:
        OSError: the disk did not allow it, or the updater is at it; the gate starts with what is in force.
    """
    with store.locked(timeout_s=LOCK_S):
        state = store.load()
        trial, step = state.trial, at_start(slots.look(state, factory=factory))
        if step is AtStart.FACTORY:
            log.event("installed_release_is_newer", release=factory)
            slots.point(None)
        elif trial is None:
            return
        elif step is AtStart.COUNT:
            log.event("trial_starts", release=trial.release, start=trial.starts + 1, most=STARTS_MAX)
            store.save(started(state))
        elif step is AtStart.BACK:
            log.event("update_taken_back", release=trial.release, slot=trial.previous)
            # First that it is lost: between the next two steps `run` would switch to it again.
            state = lost(state, trial)
            store.save(state)
            slots.point(trial.previous)
            store.save(taken_back(state, trial))
