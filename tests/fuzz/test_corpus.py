"""Every input that the runs have kept, and every one that crashed a decoder once, without atheris and in seconds."""

import contextlib

import pytest

from tests.fuzz import kept
from tests.fuzz.targets import TARGETS

each = pytest.mark.parametrize("name", sorted(TARGETS))
CRASHES = [(name, what) for name in sorted(TARGETS) for what in kept.load(name).crashes]

# The hub's codec drops an error of its own when it panics over text that is not UTF-8.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@each
def test_what_was_kept_raises_nothing_but_refusals(name):
    target = TARGETS[name]
    for data in kept.load(name).inputs:
        target.run(data)


@pytest.mark.parametrize(("name", "what"), CRASHES)
def test_what_crashed_once_does_so_no_more(name, what):
    TARGETS[name].run(kept.load(name).crashes[what])


@each
def test_what_a_run_begins_with_raises_nothing_but_refusals(name):
    target = TARGETS[name]
    for data in target.seeds():
        target.run(data)


@each
def test_runs_reach_what_lies_behind_the_first_refusal(name):
    """A corpus in which nothing is taken has only ever tried the door."""
    target = TARGETS[name]
    taken = 0
    for data in (*kept.load(name).inputs, *target.seeds()):
        with contextlib.suppress(Exception):
            target.check(data)
            taken += 1
    assert taken


def test_what_is_kept_belongs_to_a_target():
    assert {path.stem for path in kept.FOLDER.glob("*.json")} <= TARGETS.keys()
