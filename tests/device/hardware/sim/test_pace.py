import pytest

from device.hardware.sim.pace import Pace


class Time:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now_ns = 1_000_000_000

    def sleep(self, seconds):
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def pace(time):
    return Pace(fps=100, clock_ns=lambda: time.now_ns, sleep=time.sleep)


def test_the_first_frame_is_there_and_the_next_ones_come_in_step(pace, time):
    start_ns = time.now_ns
    moments = []
    for _ in range(4):
        assert pace.wait(1.0)
        moments.append(time.now_ns - start_ns)
        time.sleep(0.003)
    assert moments == [0, 10_000_000, 20_000_000, 30_000_000]


def test_a_short_wait_ends_without_a_frame_and_loses_none(pace, time):
    assert pace.wait(1.0)
    before_ns = time.now_ns
    assert not pace.wait(0.004)
    assert time.now_ns - before_ns == 4_000_000
    assert pace.wait(0.006)


def test_missed_frames_are_not_made_up_for(pace, time):
    assert pace.wait(1.0)
    time.sleep(0.5)
    before_ns = time.now_ns
    assert pace.wait(1.0)
    assert pace.wait(1.0)
    assert time.now_ns - before_ns == 10_000_000


def test_a_rate_must_be_one():
    with pytest.raises(ValueError):
        Pace(fps=0)
