"""A seed is a round, the same one every time."""

from collections import Counter

import pytest

from deploy.sandbox.faults.plan import Kind, blow_of
from deploy.sandbox.faults.round import STRIKES

SEEDS = range(200)


def test_a_seed_is_one_round():
    assert [blow_of(seed) for seed in SEEDS] == [blow_of(seed) for seed in SEEDS]


def test_seeds_that_follow_each_other_have_every_kind_as_often():
    times = Counter(blow_of(seed).kind for seed in SEEDS)
    assert set(times) == set(Kind) == set(STRIKES)
    assert max(times.values()) - min(times.values()) <= 1


def test_a_machine_that_can_do_less_does_less():
    some = (Kind.KILL, Kind.STALL)
    assert {blow_of(seed, kinds=some).kind for seed in SEEDS} == set(some)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_bounds(kind):
    blows = [blow_of(seed, kinds=[kind]) for seed in SEEDS]
    assert all(blow.parts and 0 <= blow.hold_s <= 15 and 1 <= blow.after_s <= 3 for blow in blows)
    assert all(len(set(blow.parts)) == len(blow.parts) for blow in blows)
    if kind in {Kind.KILL, Kind.STALL, Kind.CUT_LINK, Kind.POOR_LINK, Kind.POWER_CUT}:
        assert {part for blow in blows for part in blow.parts} == {"G1", "G2", "hub", "broker", "platform"}
