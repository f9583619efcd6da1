"""The contract of `Gate`, on the simulated relay and on gpiozero (mock pins), active high and active low."""

import threading

import pytest

from device.hardware.ports import OPEN_MAX_MS, HardwareError
from device.hardware.sequence import Sequence, SequencePlayer


def test_is_shut_when_built(gate_rig):
    assert not gate_rig.seen()


def test_is_open_when_open_returns_and_releases_by_itself(gate_rig, until):
    gate_rig.part.open(40)
    assert gate_rig.seen()
    assert until(lambda: not gate_rig.seen())
    assert gate_rig.part.failed is None


def test_close_shuts_at_once(gate_rig):
    gate_rig.part.open(OPEN_MAX_MS)
    gate_rig.part.close()
    assert not gate_rig.seen()


def test_opening_again_extends(gate_rig, until, passing_time):
    clock = passing_time(gate_rig.part._relay)
    gate_rig.part.open(100)
    clock.pass_ms(90)
    gate_rig.part.open(100)
    clock.pass_ms(90)
    assert gate_rig.seen()
    clock.pass_ms(10)
    assert until(lambda: not gate_rig.seen())


def test_a_shorter_opening_does_not_shorten(gate_rig, until, passing_time):
    clock = passing_time(gate_rig.part._relay)
    gate_rig.part.open(100)
    gate_rig.part.open(10)
    clock.pass_ms(99)
    assert gate_rig.seen()
    clock.pass_ms(1)
    assert until(lambda: not gate_rig.seen())


def test_opens_again_after_it_released(gate_rig, until):
    gate_rig.part.open(5)
    assert until(lambda: not gate_rig.seen())
    gate_rig.part.open(5)
    assert gate_rig.seen()
    assert until(lambda: not gate_rig.seen())


@pytest.mark.parametrize("open_ms", [0, -1, OPEN_MAX_MS + 1])
def test_refuses_senseless_times_and_stays_shut(gate_rig, open_ms):
    with pytest.raises(ValueError):
        gate_rig.part.open(open_ms)
    assert not gate_rig.seen()


def test_is_shut_after_shutdown_and_cannot_be_opened(gate_rig):
    gate_rig.part.open(OPEN_MAX_MS)
    states = []
    switch = gate_rig.part._relay._switch
    gate_rig.part._relay._switch = lambda energised: (switch(energised), states.append(gate_rig.seen()))
    gate_rig.part.shutdown()
    assert states == [False]
    gate_rig.part.shutdown()
    with pytest.raises(HardwareError):
        gate_rig.part.open(10)


def test_a_stuck_light_does_not_hold_the_gate_open(gate_rig, until):
    stuck, release = threading.Event(), threading.Event()

    def apply(value: int) -> None:
        if value:
            stuck.set()
            release.wait()

    player = SequencePlayer(name="stuck", apply=apply, rest=0)
    stuck_caller = threading.Thread(
        target=lambda: player.play(Sequence(steps=((1, 1000),), repeat=False, total_ms=1000))
    )
    stuck_caller.start()
    assert stuck.wait(2)
    gate_rig.part.open(10)
    assert until(lambda: not gate_rig.seen())
    release.set()
    stuck_caller.join()
    player.shutdown()


def test_a_relay_that_cannot_be_switched_is_said_at_once(gate_rig):
    gate_rig.break_switch(OSError("no such line"))
    with pytest.raises(HardwareError):
        gate_rig.part.open(50)
    gate_rig.part._relay._switch = lambda energised: None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failed_release_is_kept_and_no_opening_is_taken_any_more(gate_rig, until, passing_time):
    clock = passing_time(gate_rig.part._relay)
    gate_rig.part.open(10)
    switch = gate_rig.part._relay._switch
    gate_rig.break_switch(OSError("no such line"))
    clock.pass_ms(10)
    assert until(lambda: gate_rig.part.failed is not None)
    gate_rig.part._relay._thread.join()
    gate_rig.part._relay._switch = switch
    with pytest.raises(HardwareError):
        gate_rig.part.open(10)
    gate_rig.part.close()
    assert not gate_rig.seen()
