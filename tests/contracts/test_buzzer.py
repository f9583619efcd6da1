"""The contract of `Buzzer`, on the simulated one and on gpiozero's PWM line (mock pins)."""

import pytest

from device.hardware.ports import TONE_HIGHEST_HZ, TONE_LOWEST_HZ, HardwareError, Tune


def test_is_silent_when_built(buzzer_rig):
    assert buzzer_rig.seen() == 0


def test_the_first_tone_sounds_when_play_returns(buzzer_rig):
    buzzer_rig.part.play(Tune(steps=((960, 60_000),)))
    assert buzzer_rig.seen() == 960


@pytest.mark.parametrize("tone_hz", [TONE_LOWEST_HZ, 60, 440, TONE_HIGHEST_HZ])
def test_plays_the_whole_range_by_frequency(buzzer_rig, tone_hz):
    buzzer_rig.part.play(Tune(steps=((tone_hz, 60_000),)))
    assert buzzer_rig.seen() == tone_hz


def test_tones_follow_one_another_with_silence_between_and_then_end(buzzer_rig, until, passing_time):
    clock = passing_time(buzzer_rig.part._player)
    buzzer_rig.part.play(Tune(steps=((960, 15), (0, 10), (770, 20))))
    for ms, tone_hz in ((15, 0), (10, 770), (20, 0)):
        clock.pass_ms(ms)
        assert until(lambda tone_hz=tone_hz: buzzer_rig.seen() == tone_hz)


def test_stop_is_silent_at_once(buzzer_rig):
    buzzer_rig.part.play(Tune(steps=((960, 60_000),)))
    buzzer_rig.part.stop()
    assert buzzer_rig.seen() == 0
    buzzer_rig.part.play(Tune(steps=((770, 60_000),)))
    assert buzzer_rig.seen() == 770


def test_a_new_tune_replaces_the_old(buzzer_rig):
    buzzer_rig.part.play(Tune(steps=((960, 60_000),)))
    buzzer_rig.part.play(Tune(steps=((770, 60_000),)))
    assert buzzer_rig.seen() == 770


def test_is_silent_after_shutdown_and_plays_nothing_any_more(buzzer_rig):
    buzzer_rig.part.play(Tune(steps=((960, 60_000),)))
    buzzer_rig.part.shutdown()
    assert buzzer_rig.seen() == 0
    buzzer_rig.part.shutdown()
    with pytest.raises(HardwareError):
        buzzer_rig.part.play(Tune(steps=((960, 10),)))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_not_silent(buzzer_rig, until, passing_time):
    clock = passing_time(buzzer_rig.part._player)
    sound = buzzer_rig.part._player._apply
    buzzer_rig.part.play(Tune(steps=((960, 20), (770, 20))))
    buzzer_rig.break_switch(OSError("no such line"))
    clock.pass_ms(20)
    assert until(lambda: buzzer_rig.part.failed is not None)
    with pytest.raises(HardwareError):
        buzzer_rig.part.play(Tune(steps=((960, 10),)))
    buzzer_rig.part._player._apply = sound
