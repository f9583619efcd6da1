"""The contract of `Lights`, on the simulated lamp and on gpiozero's RGBLED (mock pins)."""

import pytest

from device.hardware.ports import DARK, HardwareError, LightSignal

GREEN, RED, BLUE = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def signal(*steps, repeat=False, total_ms=60_000, name="test"):
    return LightSignal(steps=steps, repeat=repeat, total_ms=total_ms, colour_name=name)


def test_is_dark_when_built(lights_rig):
    assert lights_rig.seen() == DARK


def test_the_first_step_is_lit_when_show_returns(lights_rig):
    lights_rig.part.show(signal((GREEN, 60_000)))
    assert lights_rig.seen() == GREEN


def test_half_bright_colours_are_half_bright(lights_rig):
    lights_rig.part.show(signal(((0.5, 0.25, 1.0), 60_000)))
    assert lights_rig.seen() == (0.5, 0.25, 1.0)


def test_is_dark_after_its_time(lights_rig, until):
    lights_rig.part.show(signal((GREEN, 1000), repeat=True, total_ms=30))
    assert until(lambda: lights_rig.seen() == DARK)


def test_is_dark_when_steps_that_do_not_repeat_are_over(lights_rig, until, passing_time):
    clock = passing_time(lights_rig.part._player)
    lights_rig.part.show(signal((GREEN, 10), (RED, 10)))
    clock.pass_ms(10)
    assert until(lambda: lights_rig.seen() == RED)
    clock.pass_ms(10)
    assert until(lambda: lights_rig.seen() == DARK)


def test_the_rhythm_goes_on_by_itself(lights_rig, until, passing_time):
    clock = passing_time(lights_rig.part._player)
    lights_rig.part.show(signal((RED, 10), (BLUE, 20), repeat=True))
    for ms, colour in ((10, BLUE), (20, RED), (10, BLUE), (20, RED)):
        clock.pass_ms(ms)
        assert until(lambda colour=colour: lights_rig.seen() == colour)


def test_a_new_signal_replaces_the_old_at_once_and_for_good(lights_rig, until, passing_time):
    clock = passing_time(lights_rig.part._player)
    lights_rig.part.show(signal((RED, 10), (BLUE, 10), repeat=True))
    clock.pass_ms(5)
    lights_rig.part.show(signal((GREEN, 10), (DARK, 10), repeat=True, total_ms=50))
    assert lights_rig.seen() == GREEN
    for colour in (DARK, GREEN, DARK, GREEN, DARK):
        clock.pass_ms(10)
        assert until(lambda colour=colour: lights_rig.seen() == colour)
    assert until(lambda: lights_rig.part._player._sequence is None)


def test_is_dark_after_shutdown_and_shows_nothing_any_more(lights_rig):
    lights_rig.part.show(signal((GREEN, 60_000)))
    seen = []
    apply = lights_rig.part._player._apply
    lights_rig.part._player._apply = lambda value: (apply(value), seen.append(lights_rig.seen()))
    lights_rig.part.shutdown()
    assert seen == [DARK]
    lights_rig.part.shutdown()
    with pytest.raises(HardwareError):
        lights_rig.part.show(signal((GREEN, 10)))


def test_a_lamp_that_cannot_be_lit_is_said_at_once(lights_rig):
    apply = lights_rig.part._player._apply
    lights_rig.break_switch(OSError("no such line"))
    with pytest.raises(HardwareError):
        lights_rig.part.show(signal((GREEN, 60_000)))
    lights_rig.part._player._apply = apply


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_not_silent(lights_rig, until, passing_time):
    clock = passing_time(lights_rig.part._player)
    apply = lights_rig.part._player._apply
    lights_rig.part.show(signal((GREEN, 20), (RED, 20)))
    error = OSError("no such line")
    lights_rig.break_switch(error)
    clock.pass_ms(20)
    assert until(lambda: lights_rig.part.failed is not None)
    assert lights_rig.part.failed is error
    with pytest.raises(HardwareError) as caught:
        lights_rig.part.show(signal((GREEN, 20)))
    assert caught.value.__cause__ is error
    lights_rig.part._player._apply = apply
