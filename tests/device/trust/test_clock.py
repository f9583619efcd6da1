from types import SimpleNamespace

import pytest

from device.trust.believed import Believed
from device.trust.clock import (
    BUILD_FLOOR_S,
    HINT_LASTS_S,
    HINT_WITHIN_S,
    WANTS_HINT_S,
    ClockSource,
    GateClock,
    kernel_synchronised,
)
from protocol.errors import MalformedError, RollbackError, SignatureError, UnknownKeyError
from protocol.keys import Ed25519SigningKey
from protocol.timehint import TimeHint, seal_time

DEVICE = b"device-1"
HUB = Ed25519SigningKey(b"h" * 32)
TRUE_S = BUILD_FLOOR_S + 10**6


def clock(now_s: int, *, synchronised: bool = True) -> GateClock:
    return GateClock(synchronised=lambda: synchronised, now_ns=lambda: now_s * 10**9)


def test_a_clock_that_was_set_is_trusted():
    assert clock(BUILD_FLOOR_S).trusted
    assert clock(BUILD_FLOOR_S).now_ms() == BUILD_FLOOR_S * 1000
    assert clock(BUILD_FLOOR_S).source is ClockSource.KERNEL


def test_a_clock_before_its_floor_is_not():
    assert not clock(BUILD_FLOOR_S - 1).trusted
    assert clock(BUILD_FLOOR_S - 1).source is ClockSource.NONE


def test_a_clock_that_nothing_set_is_not():
    assert not clock(BUILD_FLOOR_S + 1000, synchronised=False).trusted
    assert clock(BUILD_FLOOR_S + 1000, synchronised=False).source is ClockSource.NONE


def test_a_clock_that_is_assumed_to_be_right_says_so():
    assumed = GateClock(synchronised=lambda: True, now_ns=lambda: TRUE_S * 10**9, assume=True)
    assert assumed.trusted
    assert assumed.source is ClockSource.ASSUME


def test_the_newest_signed_time_raises_the_floor_and_nothing_lowers_it():
    at = clock(BUILD_FLOOR_S + 1000)
    at.seen_signed_s(BUILD_FLOOR_S + 1001)
    at.seen_signed_s(5)
    assert not at.trusted


def test_the_floor_outlives_a_restart(tmp_path):
    believed = Believed(tmp_path)
    first = GateClock(synchronised=lambda: True, now_ns=lambda: TRUE_S * 10**9, believed=believed)
    first.seen_signed_s(TRUE_S)
    again = GateClock(synchronised=lambda: True, now_ns=lambda: (TRUE_S - 1) * 10**9, believed=believed)
    assert not again.trusted


def test_the_floor_is_written_when_it_grew_by_an_hour(tmp_path):
    believed = Believed(tmp_path)
    at = GateClock(synchronised=lambda: True, now_ns=lambda: TRUE_S * 10**9, believed=believed)
    at.seen_signed_s(TRUE_S)
    at.seen_signed_s(TRUE_S + 3599)
    assert (tmp_path / "clock").read_bytes() == b"%d\n" % TRUE_S
    at.seen_signed_s(TRUE_S + 3600)
    assert (tmp_path / "clock").read_bytes() == b"%d\n" % (TRUE_S + 3600)


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"-5\n", b"1e9\n", b"9" * 21])
def test_a_damaged_floor_is_set_aside(tmp_path, damage):
    (tmp_path / "clock").write_bytes(damage)
    at = GateClock(synchronised=lambda: True, now_ns=lambda: TRUE_S * 10**9, believed=Believed(tmp_path))
    assert at.trusted
    assert (tmp_path / "clock.bad").read_bytes() == damage


def test_the_floor_is_the_old_one_or_the_new_one_after_a_cut(cuts):
    for cut in cuts():
        believed = Believed(cut.root)
        at = GateClock(synchronised=lambda: True, now_ns=lambda: TRUE_S * 10**9, believed=believed)
        at.seen_signed_s(TRUE_S)
        with cut:
            at.seen_signed_s(TRUE_S + 4000)
        found = (cut.root / "clock").read_bytes()
        assert found in (
            {b"%d\n" % (TRUE_S + 4000)} if cut.completed else {b"%d\n" % s for s in (TRUE_S, TRUE_S + 4000)}
        )


class Offline:
    """A gate whose kernel woke up at `now_s`, beside a hub that knows the time."""

    def __init__(self, now_s=BUILD_FLOOR_S - 5000):
        self.mono_s = 50.0
        self.kernel_s = now_s - self.mono_s
        self.synchronised = False
        self.true_s = TRUE_S
        self.clock = GateClock(
            synchronised=lambda: self.synchronised,
            now_ns=lambda: int((self.kernel_s + self.mono_s) * 10**9),
            mono_ns=lambda: int(self.mono_s * 10**9),
        )

    def wait(self, seconds):
        self.mono_s += seconds
        self.true_s += seconds

    def hint(self, *, session=b"session1", key=HUB, device=DEVICE, off_s=0):
        at_ms = int((self.true_s + off_s) * 1000)
        return seal_time(TimeHint(device=device, session=session, at_ms=at_ms), key=key)

    def take(self, data):
        self.clock.take_hint(data, hub_keys={HUB.public.kid: HUB.public}, device=DEVICE)

    def ask_and_take(self, session=b"session1", **changes):
        self.clock.asked(session)
        self.take(self.hint(session=session, **changes))


def test_a_gate_that_nobody_tells_the_time_lives_by_the_hubs_clock_for_a_day():
    gate = Offline()
    assert gate.clock.wants_hint
    gate.ask_and_take()
    assert gate.clock.trusted
    assert gate.clock.source is ClockSource.HUB
    assert gate.clock.now_ms() == TRUE_S * 1000
    assert gate.clock.offset_ms == (TRUE_S - (BUILD_FLOOR_S - 5000)) * 1000
    gate.wait(HINT_LASTS_S)
    assert gate.clock.trusted
    assert gate.clock.now_ms() == gate.true_s * 1000
    gate.wait(1)
    assert not gate.clock.trusted
    # Not to be believed, and still the best there is.
    assert gate.clock.now_ms() == gate.true_s * 1000
    gate.ask_and_take(session=b"session2")
    assert gate.clock.trusted


def test_a_gate_asks_again_long_before_the_day_is_over():
    gate = Offline()
    gate.clock.asked(b"session1")
    assert not gate.clock.wants_hint
    gate.wait(HINT_WITHIN_S)
    assert gate.clock.wants_hint
    gate.ask_and_take()
    gate.wait(WANTS_HINT_S - 1)
    assert not gate.clock.wants_hint
    gate.wait(1)
    assert gate.clock.wants_hint
    gate.synchronised = True
    assert not gate.clock.wants_hint


def test_a_step_of_the_kernels_clock_moves_nothing_while_the_hubs_counts():
    gate = Offline()
    gate.ask_and_take()
    gate.kernel_s += 10**6
    assert gate.clock.now_ms() == TRUE_S * 1000


@pytest.mark.parametrize(("off_s", "moves"), [(2, False), (-2, False), (2.1, True), (-2.1, True)])
def test_a_small_difference_moves_nothing(off_s, moves):
    gate = Offline(now_s=TRUE_S)
    gate.ask_and_take(off_s=off_s)
    assert gate.clock.trusted
    assert (gate.clock.now_ms() != TRUE_S * 1000) is moves
    assert gate.clock.offset_ms == int((TRUE_S + off_s) * 1000) - TRUE_S * 1000


def test_where_the_kernel_knows_the_time_the_hubs_is_only_reported(caplog):
    gate = Offline(now_s=TRUE_S)
    gate.synchronised = True
    gate.ask_and_take(off_s=30)
    assert "differs" not in caplog.text
    gate.ask_and_take(session=b"session2", off_s=31)
    assert "differs by 31000 ms" in caplog.text
    assert gate.clock.now_ms() == TRUE_S * 1000
    assert gate.clock.source is ClockSource.KERNEL
    assert gate.clock.offset_ms == 31_000
    # When the kernel loses it, its own time goes on: it was set a moment ago.
    gate.synchronised = False
    gate.wait(100)
    assert gate.clock.source is ClockSource.HUB
    assert gate.clock.now_ms() == gate.true_s * 1000


def test_the_kernels_clock_counts_again_when_it_was_set():
    gate = Offline()
    gate.ask_and_take()
    gate.kernel_s, gate.synchronised = TRUE_S + 500 - gate.mono_s, True
    assert gate.clock.source is ClockSource.KERNEL
    assert gate.clock.now_ms() == (TRUE_S + 500) * 1000


def test_a_gate_that_loses_the_network_goes_on_for_a_day_by_what_the_kernel_knew():
    """The kernel calls its clock unset nine hours after the last word; the hub's hint may be weeks old by then."""
    gate = Offline(now_s=TRUE_S)
    gate.synchronised = True
    gate.ask_and_take()
    gate.wait(30 * 86_400)
    assert gate.clock.source is ClockSource.KERNEL
    gate.synchronised = False
    gate.kernel_s -= 10**6
    gate.wait(HINT_LASTS_S)
    assert gate.clock.trusted
    assert gate.clock.source is ClockSource.KERNEL
    assert gate.clock.now_ms() == gate.true_s * 1000
    assert gate.clock.wants_hint
    gate.wait(1)
    assert not gate.clock.trusted
    gate.ask_and_take(session=b"session2", off_s=60)
    assert gate.clock.source is ClockSource.HUB
    assert gate.clock.now_ms() == (gate.true_s + 60) * 1000


REFUSED = [
    (lambda gate: gate.hint(session=b"session0"), RollbackError),
    (lambda gate: gate.hint(device=b"device-2"), MalformedError),
    (lambda gate: gate.hint(key=Ed25519SigningKey(bytes(32))), UnknownKeyError),
    (lambda gate: gate.hint()[:-1] + b"\0", SignatureError),
    (lambda gate: gate.hint(off_s=BUILD_FLOOR_S - TRUE_S - 1), RollbackError),
    (lambda gate: b"", MalformedError),
]


@pytest.mark.parametrize(("make", "error"), REFUSED)
def test_a_hint_that_was_not_made_for_this_question_changes_nothing(make, error):
    gate = Offline()
    gate.clock.asked(b"session1")
    with pytest.raises(error):
        gate.take(make(gate))
    assert not gate.clock.trusted
    assert gate.clock.offset_ms is None


def test_a_hint_that_nobody_asked_for_changes_nothing():
    gate = Offline()
    with pytest.raises(RollbackError):
        gate.take(gate.hint())


def test_a_hint_that_was_held_back_changes_nothing():
    gate = Offline()
    gate.clock.asked(b"session1")
    hint = gate.hint()
    gate.wait(HINT_WITHIN_S + 1)
    with pytest.raises(RollbackError, match="too long after"):
        gate.take(hint)


@pytest.mark.parametrize("told_before", [True, False])
def test_a_hint_of_an_hour_ago_is_no_answer_to_another_question(told_before):
    """Whoever holds the connection may keep every answer back until the gate asks again."""
    gate = Offline()
    gate.ask_and_take(session=b"session0")
    gate.clock.asked(b"session1")
    hint = gate.hint()
    if told_before:
        gate.take(hint)
    gate.wait(3600)
    for session in (b"session1", b"session2"):
        gate.clock.asked(session)
        with pytest.raises(RollbackError):
            gate.take(hint)
    assert gate.clock.now_ms() == gate.true_s * 1000


@pytest.mark.parametrize(("state", "set_by_somebody"), [(-1, False), (0, True), (4, True), (5, False)])
def test_the_kernel_says_whether_anything_sets_its_clock(monkeypatch, state, set_by_somebody):
    """A FAKE libc: 5 is TIME_ERROR, "not synchronised", and -1 a call that failed."""
    libc = SimpleNamespace(adjtimex=lambda timex: state)
    monkeypatch.setattr("device.trust.clock._libc", lambda: libc)
    assert kernel_synchronised() is set_by_somebody


def test_the_real_kernel_answers():
    assert type(kernel_synchronised()) is bool
