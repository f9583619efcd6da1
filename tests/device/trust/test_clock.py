from types import SimpleNamespace

import pytest

from device.trust.clock import BUILD_FLOOR_S, GateClock, kernel_synchronised


def clock(now_s: int, *, synchronised: bool = True) -> GateClock:
    return GateClock(synchronised=lambda: synchronised, now_ns=lambda: now_s * 10**9)


def test_a_clock_that_was_set_is_trusted():
    assert clock(BUILD_FLOOR_S).trusted
    assert clock(BUILD_FLOOR_S).now_ms() == BUILD_FLOOR_S * 1000


def test_a_clock_before_its_floor_is_not():
    assert not clock(BUILD_FLOOR_S - 1).trusted


def test_a_clock_that_nothing_set_is_not():
    assert not clock(BUILD_FLOOR_S + 1000, synchronised=False).trusted


def test_the_newest_signed_time_raises_the_floor_and_nothing_lowers_it():
    at = clock(BUILD_FLOOR_S + 1000)
    at.seen_signed_s(BUILD_FLOOR_S + 1001)
    at.seen_signed_s(5)
    assert not at.trusted


@pytest.mark.parametrize(("state", "set_by_somebody"), [(-1, False), (0, True), (4, True), (5, False)])
def test_the_kernel_says_whether_anything_sets_its_clock(monkeypatch, state, set_by_somebody):
    """A FAKE libc: 5 is TIME_ERROR, "not synchronised", and -1 a call that failed."""
    libc = SimpleNamespace(adjtimex=lambda timex: state)
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: libc)
    assert kernel_synchronised() is set_by_somebody


def test_the_real_kernel_answers():
    assert type(kernel_synchronised()) is bool
