"""The estimate: what its parts do, and how it does against a simulated place where the truth is known."""

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.deliver.aggregate import AHEAD_MS, BEHIND_MS, aggregate, timed
from hub.deliver.occupancy import Day, Doubts, missing_exits, occupancy
from protocol.checkin import CheckIn, SealedCheckIn
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict

NONE = Doubts(gates=2)
MINUTE_MS = 60_000
DAY_MS = 86_400_000
RECEIVED_MS = 20_000 * DAY_MS + 12 * 3_600_000
counts = st.integers(0, 100_000)
days = st.builds(Day, entries=counts, exits=counts)


def whole(entries, exits, n=14):
    return [Day(entries=entries, exits=exits)] * n


def test_nobody_yet_is_nobody_for_sure():
    empty = occupancy(Day(entries=0, exits=0), before=whole(100, 100), doubts=NONE)
    assert (empty.inside, empty.low, empty.high, empty.confidence) == (0, 0, 0, 1.0)


def test_where_everybody_scans_the_difference_is_inside():
    found = occupancy(Day(entries=500, exits=200), before=whole(1000, 1000), doubts=NONE)
    assert found.inside == 300
    assert found.missing_exits == 0
    assert found.high == 300
    assert found.confidence > 0.98


def test_the_missing_exits_of_earlier_days_are_missing_today():
    found = occupancy(Day(entries=1000, exits=400), before=whole(2000, 1600), doubts=NONE)
    assert found.missing_exits == 100
    assert found.inside == 500
    assert found.low < 500 < found.high


def test_a_day_with_too_many_exits_makes_up_for_one_with_too_few():
    assert missing_exits([Day(entries=1000, exits=1100), Day(entries=1000, exits=900)]).share < 0.001


def test_a_handful_of_people_on_one_day_say_little():
    """Four check-ins that came late are no proof that nobody ever scans out."""
    assert missing_exits([Day(entries=4, exits=0)]).share == pytest.approx(0.25)


def test_the_first_day_is_less_sure_than_the_fifteenth():
    today = Day(entries=1000, exits=500)
    first = occupancy(today, before=[], doubts=NONE)
    later = occupancy(today, before=whole(2000, 1800), doubts=NONE)
    assert first.inside == later.inside
    assert first.confidence < later.confidence


def test_days_that_differ_say_less():
    today = Day(entries=1000, exits=500)
    even = occupancy(today, before=whole(1000, 900), doubts=NONE)
    uneven = occupancy(today, before=whole(1000, 1000, 7) + whole(1000, 800, 7), doubts=NONE)
    assert even.inside == uneven.inside
    assert uneven.confidence < even.confidence


@pytest.mark.parametrize("doubt", [{"waiting": 50}, {"untimed": 50}, {"gates_silent": 1}])
def test_what_is_not_known_widens_the_bounds_and_leaves_the_estimate(doubt):
    today, before = Day(entries=1000, exits=500), whole(1000, 1000)
    sure = occupancy(today, before=before, doubts=NONE)
    unsure = occupancy(today, before=before, doubts=dataclasses.replace(NONE, **doubt))
    assert unsure.inside == sure.inside
    assert unsure.low < sure.low
    assert unsure.high > sure.high
    assert unsure.confidence < sure.confidence


def test_where_no_gate_is_heard_nothing_is_known():
    found = occupancy(Day(entries=5, exits=0), before=whole(10, 10), doubts=Doubts(gates=2, gates_silent=2))
    assert found.confidence == 0
    assert occupancy(Day(entries=0, exits=0), before=[], doubts=Doubts()).confidence == 0


def test_without_an_exit_gate_the_bounds_say_so():
    """Nobody ever scans out: everybody may be inside still, and nothing is claimed to be known."""
    found = occupancy(Day(entries=1000, exits=0), before=whole(1000, 0), doubts=NONE)
    assert found.inside == 1000
    assert missing_exits(whole(1000, 0)).share == 0.9


@given(today=days, before=st.lists(days, max_size=20), waiting=st.integers(0, 1000), untimed=st.integers(0, 1000))
def test_the_bounds_hold_the_estimate_whatever_is_counted(today, before, waiting, untimed):
    found = occupancy(today, before=before, doubts=Doubts(waiting=waiting, untimed=untimed, gates=3, gates_silent=1))
    assert 0 <= found.low <= found.inside <= found.high
    assert found.inside + found.missing_exits == max(0, today.entries - today.exits)
    assert 0 <= found.confidence <= 1


# What happens to check-ins on their way must not show in what is counted.


def checkin(seq, *, at_ms, clock=Clock.TRUSTED, direction=Direction.IN, device=b"gate-001"):
    made = CheckIn(
        device=device,
        epoch=bytes(8),
        seq=seq,
        prev=bytes(32),
        at_ms=at_ms,
        clock=clock,
        place="mall",
        gate="G1",
        direction=direction,
        colour=Colour.GREEN,
        verdict=Verdict.ADMIT,
        reason=Reason.OK,
        code=bytes(16),
        scheme=Scheme.GATELIGHT,
        subject=bytes(16),
    )
    return SealedCheckIn(checkin=made, data=b"", hash=bytes([seq % 256]) * 32, envelope=None)


def total(increments):
    added = {}
    for one in increments:
        key = (one.minute, one.colour, one.verdict, one.direction)
        added[key] = added.get(key, 0) + one.n
    return added


def stored(deliveries):
    """The store's part: of each number it keeps one, however often it is sent (go-back-N, PROTOCOL §6)."""
    seen, kept = set(), []
    for received_ms, batch in deliveries:
        fresh = {row.checkin.seq: row for row in batch if row.checkin.seq not in seen}
        seen |= fresh.keys()
        kept.append((received_ms, fresh.values()))
    return [one for received_ms, rows in kept for one in aggregate(rows, received_ms)]


whens = st.lists(
    st.tuples(st.integers(0, 12 * 60), st.sampled_from(Direction)), min_size=1, max_size=40
)  # minutes before they are received


@given(made=whens, data=st.data())
def test_resent_reordered_and_late_checkins_give_the_same_counts(made, data):
    rows = [
        checkin(seq, at_ms=RECEIVED_MS - before * MINUTE_MS, direction=direction)
        for seq, (before, direction) in enumerate(made, 1)
    ]
    plainly = total(stored([(RECEIVED_MS, rows)]))
    shuffled = data.draw(st.permutations(rows))
    resent = [data.draw(st.sampled_from(rows)) for _ in range(data.draw(st.integers(0, 20)))]
    late_ms = data.draw(st.integers(0, 20 * DAY_MS))
    cut = data.draw(st.integers(0, len(rows)))
    deliveries = [
        (RECEIVED_MS, shuffled[:cut]),
        (RECEIVED_MS + late_ms, resent),
        (RECEIVED_MS + late_ms, shuffled[cut:]),
        (RECEIVED_MS + late_ms + 1000, rows),
    ]
    assert total(stored(deliveries)) == plainly


jumps = st.one_of(st.integers(AHEAD_MS + 1, 400 * DAY_MS), st.integers(-4000 * DAY_MS, -BEHIND_MS - 1))


@given(n=st.integers(1, 30), jump_ms=jumps)
def test_a_clock_that_jumps_moves_nobody_to_another_day(n, jump_ms):
    """A gate that is heard at once, and whose clock is elsewhere: it counts as if its clock were right."""
    right = [checkin(seq, at_ms=RECEIVED_MS) for seq in range(1, n + 1)]
    wrong = [checkin(seq, at_ms=max(0, RECEIVED_MS + jump_ms)) for seq in range(1, n + 1)]
    assert total(aggregate(wrong, RECEIVED_MS)) == total(aggregate(right, RECEIVED_MS))
    assert sum(one.untimed for one in aggregate(wrong, RECEIVED_MS)) == n


@given(at_ms=st.integers(0, 2 * RECEIVED_MS))
def test_a_clock_that_is_not_trusted_is_not_asked(at_ms):
    (one,) = aggregate([checkin(1, at_ms=at_ms, clock=Clock.UNTRUSTED)], RECEIVED_MS)
    assert one.minute == RECEIVED_MS // MINUTE_MS
    assert one.untimed == 1


def test_how_far_a_time_may_be_off():
    for at_ms, believed in (
        (RECEIVED_MS + AHEAD_MS, True),
        (RECEIVED_MS + AHEAD_MS + 1, False),
        (RECEIVED_MS - BEHIND_MS, True),
        (RECEIVED_MS - BEHIND_MS - 1, False),
    ):
        assert timed(at_ms=at_ms, clock=Clock.TRUSTED, received_ms=RECEIVED_MS) is believed


def one_day(rng, *, people, forget):
    """Everybody comes once and stays a while; (moment, +1 or -1, scanned) in order, over 16 hours."""
    moments = []
    for _ in range(people):
        came = rng.triangular(0, 840, 300)
        moments += [(came, 1, True), (min(959, came + rng.expovariate(1 / 80)), -1, rng.random() >= forget)]
    return sorted(moments)


@pytest.mark.parametrize("forget", [0.0, 0.05, 0.2, 0.4])
def test_the_bounds_hold_the_simulated_truth(forget):
    """Eight simulated fortnights, asked at ten moments of the last day: the truth is within in 19 of 20."""
    held = asked = 0
    for seed in range(8):
        rng = random.Random(seed)
        # Some days people scan more carefully than on others.
        fortnight = [
            one_day(rng, people=rng.randint(300, 900), forget=min(0.9, max(0.0, rng.gauss(forget, forget / 10))))
            for _ in range(15)
        ]
        *earlier, today = fortnight
        scans = [[step for _, step, seen in moments if seen] for moments in earlier]
        before = [Day(entries=scanned.count(1), exits=scanned.count(-1)) for scanned in scans]
        for until in range(90, 960, 90):
            gone = [moment for moment in today if moment[0] <= until]
            truth = sum(step for _, step, _ in gone)
            seen = [step for _, step, scanned in gone if scanned]
            found = occupancy(Day(entries=seen.count(1), exits=seen.count(-1)), before=before, doubts=NONE)
            held += found.low <= truth <= found.high
            asked += 1
    assert held / asked >= 0.95
