"""What is to be done next, from what is wanted and what is there. Pure.

    on trial   lost                            BACK     to the slot before
               the link leads elsewhere        SWITCH   to it, start it, watch it
               not started since               START    it, watch it
               else                            WATCH    it
    else       the installed release is newer  FACTORY  that one then
               nothing is wanted, or settled   NOTHING
               wanted is what runs             SETTLE   well
               older than what ran well        REFUSE
               else                            BRING    it into the idle slot, on trial

Every step may be cut short anywhere; the table, asked again, says how to go on.
"""

from dataclasses import dataclass
from enum import Enum

from device.update.notes import Wanted
from device.update.state import STARTS_MAX, Slot, State


class Step(Enum):
    """See the table above."""

    BACK = "back"
    SWITCH = "switch"
    START = "start"
    WATCH = "watch"
    FACTORY = "factory"
    NOTHING = "nothing"
    SETTLE = "settle"
    REFUSE = "refuse"
    BRING = "bring"


class AtStart(Enum):
    """What comes before a start of the gate: nothing, counting it, going back, or taking the installed release."""

    NOTHING = "nothing"
    COUNT = "count"
    BACK = "back"
    FACTORY = "factory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is.

    `linked` is the slot that the link names, None for none. `in_force` is the release that starts now, with a slot
    that cannot be run passed over. `factory` is the installed release.
    """

    state: State
    linked: Slot | None
    in_force: int
    factory: int
    wanted: Wanted | None = None

    @property
    def floor(self) -> int:
        """Nothing older is brought about. Where the state was lost, what runs is known to be newer than that."""
        proven = self.in_force if self.state.trial is None else 0
        return max(self.state.floor, self.factory, proven)


def next_step(there: Situation) -> Step:
    """By the table."""
    trial, wanted = there.state.trial, there.wanted
    if trial is not None:
        if trial.lost:
            return Step.BACK
        if there.linked != trial.slot:
            return Step.SWITCH
        return Step.WATCH if trial.starts else Step.START
    if _is_outdated(there):
        return Step.FACTORY
    if wanted is None or wanted.id == there.state.settled:
        return Step.NOTHING
    if wanted.release == there.in_force:
        return Step.SETTLE
    # One that ran well and no longer can (its slot is damaged) may be fetched again: it is as old as the floor.
    return Step.REFUSE if wanted.release < there.floor else Step.BRING


def at_start(there: Situation) -> AtStart:
    """What is to be done before the gate starts."""
    trial = there.state.trial
    if trial is not None:
        if there.linked != trial.slot:
            return AtStart.NOTHING
        return AtStart.BACK if trial.lost or trial.starts >= STARTS_MAX else AtStart.COUNT
    return AtStart.FACTORY if _is_outdated(there) else AtStart.NOTHING


def _is_outdated(there: Situation) -> bool:
    """Somebody has installed a newer release by hand than the one in the slots."""
    return there.linked is not None and there.in_force <= there.factory
