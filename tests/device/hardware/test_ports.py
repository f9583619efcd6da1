import pytest

from device.hardware.ports import DARK, SIGNAL_MAX_MS, STEPS_MAX, LightSignal, Tune

GREEN = (0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": ()},
        {"steps": ((GREEN, 0),)},
        {"steps": ((GREEN, 10),) * (STEPS_MAX + 1)},
        {"steps": (((0.0, 1.1, 0.0), 10),)},
        {"steps": (((0.0, 1.0), 10),)},
        {"total_ms": 0},
        {"total_ms": SIGNAL_MAX_MS + 1},
    ],
)
def test_a_light_signal_that_no_lamp_can_show_is_refused(bad):
    good = {"steps": ((GREEN, 10), (DARK, 10)), "repeat": True, "total_ms": 1000, "colour_name": "green"}
    LightSignal(**good)
    with pytest.raises(ValueError):
        LightSignal(**good | bad)


@pytest.mark.parametrize("steps", [(), ((960, 0),), ((20, 10),), ((20_000, 10),)])
def test_a_tune_that_no_buzzer_can_play_is_refused(steps):
    with pytest.raises(ValueError):
        Tune(steps=steps)


def test_a_tune_knows_how_long_it_takes():
    assert Tune(steps=((960, 100), (0, 50), (770, 100))).total_ms == 250
