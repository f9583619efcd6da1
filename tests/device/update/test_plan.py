"""The table of `plan.py`, row by row."""

from dataclasses import replace as changed

import pytest
from msgspec.structs import replace

from device.update.notes import Wanted
from device.update.plan import AtStart, Situation, Step, at_start, next_step
from device.update.state import STARTS_MAX, State, Trial

TRIAL = Trial(slot="a", release=2000, previous=None, wanted="01", seen="")
WANTED = Wanted(release=2000, id="01")


def there(*, trial=None, linked=None, in_force=1000, factory=1000, wanted=None, **state):
    return Situation(
        state=State(trial=trial, **state), linked=linked, in_force=in_force, factory=factory, wanted=wanted
    )


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        (there(), Step.NOTHING),
        (there(wanted=WANTED), Step.BRING),
        (there(wanted=WANTED, settled="01"), Step.NOTHING),
        (there(wanted=WANTED, settled="02"), Step.BRING),
        (there(wanted=WANTED, linked="a", in_force=2000, floor=2000), Step.SETTLE),
        (there(wanted=Wanted(release=1000, id="01")), Step.SETTLE),
        (there(wanted=Wanted(release=999, id="01")), Step.REFUSE),
        (there(wanted=WANTED, linked="b", in_force=3000, floor=3000), Step.REFUSE),
        # What ran well and is damaged may be fetched again, an older one not.
        (there(wanted=Wanted(release=3000, id="01"), linked="b", in_force=1000, factory=900, floor=3000), Step.BRING),
        (there(wanted=WANTED, linked="b", in_force=1000, factory=900, floor=3000), Step.REFUSE),
        # A newer one was installed by hand.
        (there(linked="a", in_force=2000, factory=2000), Step.FACTORY),
        (there(linked="a", in_force=2000, factory=2500, wanted=WANTED), Step.FACTORY),
        (there(linked=None, in_force=2500, factory=2500), Step.NOTHING),
        # On trial.
        (there(trial=TRIAL), Step.SWITCH),
        (there(trial=TRIAL, linked="b"), Step.SWITCH),
        (there(trial=TRIAL, linked="a"), Step.START),
        (there(trial=replace(TRIAL, starts=1), linked="a"), Step.WATCH),
        (there(trial=replace(TRIAL, lost=True), linked="a"), Step.BACK),
        (there(trial=replace(TRIAL, lost=True)), Step.BACK),
        # A newer wish waits until the trial is over.
        (there(trial=replace(TRIAL, starts=1), linked="a", wanted=Wanted(release=3000, id="02")), Step.WATCH),
    ],
)
def test_the_next_step(situation, step):
    assert next_step(situation) is step


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        (there(), AtStart.NOTHING),
        (there(linked="a", in_force=2000), AtStart.NOTHING),
        (there(linked="a", in_force=2000, factory=3000), AtStart.FACTORY),
        (there(trial=TRIAL), AtStart.NOTHING),
        (there(trial=TRIAL, linked="a"), AtStart.COUNT),
        (there(trial=replace(TRIAL, starts=STARTS_MAX - 1), linked="a"), AtStart.COUNT),
        (there(trial=replace(TRIAL, starts=STARTS_MAX), linked="a"), AtStart.BACK),
        (there(trial=replace(TRIAL, lost=True), linked="a"), AtStart.BACK),
    ],
)
def test_what_comes_before_a_start(situation, step):
    assert at_start(situation) is step


def test_the_floor_is_the_highest_of_what_ran_well_and_what_was_installed():
    assert there(floor=3000).floor == 3000
    assert changed(there(floor=3000), factory=4000).floor == 4000
