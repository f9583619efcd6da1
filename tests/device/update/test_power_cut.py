"""The power fails at every single step of an update: the old release runs then, or the new one; and in the end the
one that is wanted.
"""

import pytest

from device.update import slots, state, unpack
from tests.device.update.machine import FACTORY, Machine

pytestmark = pytest.mark.slow


def bring(cuts, before, wanted, *, bad=(), end):
    """`before` runs well, then `wanted` is wanted, and cut; `end` is what runs when the power stays."""
    seen = set()
    for cut in cuts(slots, state, unpack):
        machine = Machine(cut.root)
        machine.start_gate()
        for release in before:
            machine.want(release)
            machine.run()
        old = machine.in_force
        machine.bad = set(bad)
        machine.want(wanted)
        with cut:
            machine.run()
        # The machine boots: the gate first, then the updater.
        after = Machine(cut.root)
        after.bad = set(bad)
        seen.add(after.in_force)
        assert after.in_force in {old, wanted}
        after.start_gate()
        assert after.ran[-1] in {old, wanted} - set(bad)
        after.run()
        after.start_gate()
        assert after.in_force == after.ran[-1] == end
        assert after.state.trial is None
        assert after.status.release == end
        left = {path.name for path in after.firmware_dir.iterdir()} - {"a", "b", "current"}
        assert left == {"lock", "run.lock", "state.json", "status.json"}
    return seen


def test_the_first_update(cuts):
    assert bring(cuts, [], 2000, end=2000) == {FACTORY, 2000}


def test_the_third_update_which_replaces_the_first(cuts):
    assert bring(cuts, [2000, 3000], 4000, end=4000) == {3000, 4000}


def test_one_that_dies_at_its_start(cuts):
    assert bring(cuts, [2000], 3000, bad=[3000], end=2000) == {2000, 3000}


def test_one_that_is_refused(cuts):
    assert bring(cuts, [2000], 1500, end=2000) == {2000}
