"""A rollout as tables: what became of one device, and whose turn it is."""

from dataclasses import replace

import pytest

from hub.firmware.outcome import TRIES_MOST, Judge, Unit, Why
from hub.firmware.rollout import AT_ONCE, FAILURES, next_step
from hub.store.firmware_ports import RINGS, Outcome, Rollout, RolloutState, Told
from hub.store.trust_ports import CommandState

MIN_MS = 60_000
T = 1_790_000_000_000
OLD, NEW, NEWER = 1_000, 2_000, 3_000
ROLLOUT = Rollout(
    rollout_id=7, release=NEW, soak_min=30, failures_max=0, patience_min=40, who="wang", made_ms=T, moved_ms=T
)
QUEUED, SENT, DONE, FAILED, EXPIRED = CommandState
GONE_MS = T - 41 * MIN_MS


def unit(name="A", **changes):
    plain = Unit(device_id=name.encode() * 8, ring=0, release=OLD, online=True, heard_ms=T)
    return replace(plain, **changes)


def told(name="A", **changes):
    plain = Told(
        device_id=name.encode() * 8, command_id=bytes(16), tries=1, was_failing=False, told_ms=T - MIN_MS,
        outcome_ms=T - MIN_MS, command=DONE, sent=True,
    )  # fmt: skip
    return replace(plain, **changes)


def step(units, told_before=(), rollout=ROLLOUT, **changes):
    plain = {"listening_ms": 0, "fetchable": True, "now_ms": T}
    return next_step(rollout, units, told_before, **plain | changes)


LONG_AGO = {"told_ms": GONE_MS, "outcome_ms": GONE_MS}
UPDATED = {"outcome": Outcome.UPDATED}


@pytest.mark.parametrize(
    ("of_unit", "of_told", "outcome", "reason"),
    [
        # It runs it.
        ({"release": NEW}, {}, Outcome.UPDATED, ""),
        ({"release": NEWER}, {}, Outcome.UPDATED, ""),
        ({"release": NEW}, {"outcome": Outcome.FAILED, "reason": "gone"}, Outcome.UPDATED, ""),
        ({"release": NEW}, {"outcome": Outcome.UNABLE}, Outcome.UPDATED, ""),
        ({"release": NEW, "online": False}, {"outcome": Outcome.FAILED}, Outcome.FAILED, ""),
        # It is under way.
        ({}, {}, Outcome.TOLD, ""),
        ({}, {"command": QUEUED, "sent": False} | LONG_AGO, Outcome.TOLD, ""),
        ({}, {"command": SENT} | LONG_AGO, Outcome.TOLD, ""),
        ({"online": False, "heard_ms": T - 39 * MIN_MS}, LONG_AGO, Outcome.TOLD, ""),
        # It says that it failed.
        ({"failed": NEW, "failure": "unhealthy"}, {}, Outcome.FAILED, "unhealthy"),
        ({"failed": OLD, "failure": "unhealthy"}, {}, Outcome.TOLD, ""),
        ({"failed": NEW, "failure": "unfit"}, {"was_failing": True}, Outcome.TOLD, ""),
        ({"failed": NEW, "failure": "unfit"}, {"was_failing": True} | LONG_AGO, Outcome.FAILED, "unfit"),
        ({"failed": NEW, "failure": "unhealthy"}, UPDATED, Outcome.FAILED, "unhealthy"),
        # It is gone.
        ({"online": False, "heard_ms": GONE_MS}, LONG_AGO, Outcome.FAILED, Why.GONE),
        ({"online": False, "heard_ms": None}, LONG_AGO, Outcome.FAILED, Why.GONE),
        ({"online": False, "heard_ms": GONE_MS}, {}, Outcome.TOLD, ""),
        ({"online": False, "heard_ms": GONE_MS}, {"command": EXPIRED} | LONG_AGO, Outcome.FAILED, Why.GONE),
        ({"online": False, "heard_ms": GONE_MS}, {"command": EXPIRED, "sent": False} | LONG_AGO, Outcome.TOLD, ""),
        ({"online": False, "heard_ms": GONE_MS, "release": NEW}, UPDATED | LONG_AGO, Outcome.FAILED, Why.GONE),
        (
            {"online": False, "heard_ms": GONE_MS, "release": NEW},
            UPDATED | {"outcome_ms": GONE_MS - 31 * MIN_MS},
            Outcome.UPDATED,
            "",
        ),
        ({"online": False, "heard_ms": GONE_MS, "release": NEW}, {}, Outcome.UPDATED, ""),
        # It says nothing.
        ({}, LONG_AGO, Outcome.FAILED, Why.SILENT),
        ({}, UPDATED, Outcome.UPDATED, ""),
        ({}, UPDATED | LONG_AGO, Outcome.FAILED, Why.WENT_BACK),
        ({"online": False, "heard_ms": T}, UPDATED | LONG_AGO, Outcome.UPDATED, ""),
        # It refused.
        ({}, {"command": FAILED, "answer": "unsupported"}, Outcome.UNABLE, Why.UNSUPPORTED),
        ({}, {"command": FAILED, "answer": "storage_failed"}, Outcome.FAILED, "storage_failed"),
        ({}, {"command": FAILED}, Outcome.FAILED, "refused"),
        ({}, {"command": FAILED, "answer": "busy"}, Outcome.TOLD, ""),
        ({}, {"command": FAILED, "answer": "busy", "tries": TRIES_MOST}, Outcome.FAILED, "busy"),
        ({}, {"command": EXPIRED, "tries": TRIES_MOST}, Outcome.UNABLE, Why.NO_ANSWER),
        ({}, {"command": EXPIRED, "tries": TRIES_MOST - 1}, Outcome.TOLD, ""),
        # What is over stays so.
        ({}, {"outcome": Outcome.FAILED, "reason": "x"} | LONG_AGO, Outcome.FAILED, "x"),
        ({}, {"outcome": Outcome.UNABLE, "reason": "x"} | LONG_AGO, Outcome.UNABLE, "x"),
    ],
)
def test_what_became_of_a_device(of_unit, of_told, outcome, reason):
    judged = Judge(rollout=ROLLOUT, listening_ms=0, now_ms=T).outcome(unit(**of_unit), told(**of_told))
    assert (judged.outcome, judged.reason) == (outcome, reason)
    changed = judged.outcome is not told(**of_told).outcome
    assert judged.outcome_ms == (T if changed else told(**of_told).outcome_ms)


@pytest.mark.parametrize("listening_ms", [None, T - 40 * MIN_MS])
@pytest.mark.parametrize("of_unit", [{}, {"online": False, "heard_ms": GONE_MS}])
def test_a_hub_that_has_not_listened_for_long_accuses_nobody(listening_ms, of_unit):
    judge = Judge(rollout=ROLLOUT, listening_ms=listening_ms, now_ms=T)
    assert judge.outcome(unit(**of_unit), told(**LONG_AGO)).outcome is Outcome.TOLD


def names(found):
    return "".join(chr(each.device_id[0]) for each in found.tell)


@pytest.mark.parametrize(
    ("of_unit", "of_told", "changes", "is_told"),
    [
        ({}, None, {}, True),
        ({"online": False}, None, {}, False),
        ({"release": None}, None, {}, False),
        ({"release": NEWER}, None, {}, False),
        ({}, None, {"fetchable": False}, False),
        ({}, None, {"listening_ms": None}, False),
        ({}, {}, {}, False),
        ({}, {"command": None}, {}, True),
        ({}, {"command": EXPIRED, "sent": False}, {}, True),
        ({}, {"command": EXPIRED}, {}, True),
        ({"online": False}, {"command": EXPIRED}, {}, False),
        ({}, {"command": FAILED, "answer": "interrupted"}, {}, True),
        ({}, {"command": FAILED, "answer": "unsupported"}, {}, False),
    ],
)
def test_who_is_told(of_unit, of_told, changes, is_told):
    # Somebody of the ring runs it already, so that nothing waits for the others.
    units = [unit(**of_unit), unit("Z", release=NEW)]
    found = step(units, [] if of_told is None else [told(**of_told)], **changes)
    assert names(found) == ("A" if is_told else "")
    if is_told and of_told is not None:
        assert found.tell[0].tries == 2


def test_one_that_says_the_release_failed_before_is_told_with_that_noted():
    assert [each.was_failing for each in step([unit(failed=NEW), unit("B", failed=OLD)]).tell] == [True, False]


def test_the_first_ring_is_told_and_no_other():
    found = step([unit("B", ring=1), unit("A"), unit("C", ring=3)])
    assert (names(found), found.rollout) == ("A", ROLLOUT)


def test_rings_in_which_nobody_needs_it_have_no_turn():
    found = step([unit("B", ring=3), unit("A", ring=1, release=NEW)])
    assert (names(found), found.rollout.ring) == ("B", 3)
    assert found.happened == (("firmware.ring_passed", "rollout 7: ring 3's turn"),)


def test_no_more_are_under_way_at_once_than_the_line_bears():
    many = [unit(chr(ord("0") + number)) for number in range(AT_ONCE + 5)]
    assert len(step(many).tell) == AT_ONCE
    assert len(step(many, [told("0"), told("1")]).tell) == AT_ONCE - 2


FIRST = [unit(release=NEW), unit("B", ring=1)]
RUNS = [told(outcome=Outcome.UPDATED, outcome_ms=T - 45 * MIN_MS)]


def test_a_ring_that_runs_it_is_watched_for_the_soak_time_first():
    begun = step(FIRST, RUNS)
    assert (begun.rollout.ring, begun.rollout.soak_from_ms, names(begun)) == (0, T, "")
    almost = step(FIRST, RUNS, begun.rollout, now_ms=T + 30 * MIN_MS - 1)
    assert (almost.rollout, names(almost)) == (begun.rollout, "")
    over = step(FIRST, RUNS, begun.rollout, now_ms=T + 30 * MIN_MS)
    assert (over.rollout.ring, over.rollout.soak_from_ms, names(over)) == (1, None, "B")


def test_a_clock_that_was_set_back_does_not_lengthen_the_soak():
    begun = replace(ROLLOUT, soak_from_ms=T + 99 * MIN_MS)
    assert step(FIRST, RUNS, begun).rollout.soak_from_ms == T


@pytest.mark.parametrize(
    "late",
    [
        unit("C"),
        unit("C", release=NEW, online=False, heard_ms=T - 5 * MIN_MS),
        unit("C", online=False, heard_ms=T - 5 * MIN_MS),
    ],
    ids=["has just come", "runs it and is gone", "was told and is gone"],
)
def test_a_ring_waits_for_those_under_way(late):
    begun = replace(ROLLOUT, soak_from_ms=T - 30 * MIN_MS)
    state = {"outcome": Outcome.UPDATED} if late.release == NEW else {}
    before = RUNS if late.online else [*RUNS, told("C", **state)]
    found = step([*FIRST, late], before, begun)
    assert (found.rollout.ring, found.rollout.soak_from_ms) == (0, begun.soak_from_ms)
    assert names(found) == ("C" if late.online else "")


def test_a_ring_does_not_wait_for_one_that_is_switched_off():
    begun = replace(ROLLOUT, soak_from_ms=T - 30 * MIN_MS)
    assert step([*FIRST, unit("C", online=False, heard_ms=1)], RUNS, begun).rollout.ring == 1


def test_a_ring_of_which_nobody_can_be_reached_waits():
    found = step([unit(online=False), unit("B", ring=1)])
    assert (found.rollout, names(found)) == (ROLLOUT, "")


def test_a_ring_of_which_nobody_can_be_updated_has_its_soak_and_passes():
    unable = [told(outcome=Outcome.UNABLE)]
    begun = step([unit(), unit("B", ring=1)], unable)
    assert (begun.rollout.ring, begun.rollout.soak_from_ms) == (0, T)
    assert names(step([unit(), unit("B", ring=1)], unable, begun.rollout, now_ms=T + 30 * MIN_MS)) == "B"


def test_one_failure_too_many_halts_it_and_nobody_further_is_told():
    found = step([unit(failed=NEW, failure="unhealthy"), unit("B")], [told()])
    assert (found.rollout.state, found.rollout.reason, found.tell) == (RolloutState.HALTED, FAILURES, ())
    assert [mark.outcome for mark in found.marks] == [Outcome.FAILED]
    assert found.happened == (
        ("firmware.failed", f"{(b'A' * 8).hex()}: release 2000: unhealthy"),
        ("firmware.halt", "rollout 7: 1 failed, 0 may"),
    )


def test_as_many_failures_as_may_be_begin_the_soak_anew():
    bold = replace(ROLLOUT, failures_max=1, soak_from_ms=T - 30 * MIN_MS)
    units = [*FIRST, unit("C", failed=NEW, failure="unhealthy")]
    found = step(units, [*RUNS, told("C")], bold)
    assert (found.rollout.state, found.rollout.ring, found.rollout.soak_from_ms) == (RolloutState.RUNNING, 0, T)
    again = step(units, [*RUNS, *found.marks], found.rollout, now_ms=T + 30 * MIN_MS)
    assert (again.rollout.ring, names(again)) == (1, "B")


def test_the_failure_of_one_that_is_revoked_counts_no_more():
    failed = [told("Z", outcome=Outcome.FAILED)]
    assert step([unit(), unit("Z")], failed).rollout.state is RolloutState.HALTED
    assert step([unit()], failed).rollout.state is RolloutState.RUNNING


def test_a_halted_one_tells_nobody_and_still_learns():
    halted = replace(ROLLOUT, state=RolloutState.HALTED)
    found = step([unit(release=NEW), unit("B")], [told()], halted)
    assert (found.rollout, found.tell, [mark.outcome for mark in found.marks]) == (halted, (), [Outcome.UPDATED])


def test_a_cancelled_one_is_over():
    cancelled = replace(ROLLOUT, state=RolloutState.CANCELLED)
    found = step([unit(release=NEW), unit("B")], [told()], cancelled)
    assert (found.rollout, found.marks, found.tell) == (cancelled, (), ())


def test_after_the_last_ring_it_is_done_and_late_ones_are_told_all_the_same():
    last = replace(ROLLOUT, soak_from_ms=T - 30 * MIN_MS)
    done = step([unit(release=NEW), unit("B", online=False)], RUNS, last)
    assert (done.rollout.state, done.rollout.ring, done.rollout.moved_ms) == (RolloutState.DONE, RINGS, T)
    late = step([unit(release=NEW), unit("B"), unit("C", ring=9)], RUNS, done.rollout)
    assert (names(late), late.rollout) == ("BC", done.rollout)


def test_late_ones_that_fail_halt_a_rollout_that_was_done():
    done = replace(ROLLOUT, state=RolloutState.DONE, ring=RINGS)
    found = step([unit(failed=NEW, failure="unfit")], [told()], done)
    assert found.rollout.state is RolloutState.HALTED


def test_a_fleet_that_runs_it_already_is_done_at_once():
    assert step([unit(release=NEW)]).rollout.state is RolloutState.DONE
