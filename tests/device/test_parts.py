import pytest

from device import parts
from device.config import (
    AlsaVoiceConfig,
    Mlx90614Thermometer,
    NoThermometer,
    OledScreenConfig,
    PeopleCameraConfig,
    SimHardware,
    SimScreen,
    SimThermometer,
    SimVoice,
)
from device.hardware.ports import HardwareError


@pytest.mark.parametrize("config", [None, NoThermometer()])
def test_a_gate_without_a_thermometer_measures_nothing(config):
    with parts.hardware(SimHardware(), thermometer=config) as made:
        assert made.thermometer is None
        assert made.temperature_cc() is None


def test_rendered_people_are_as_warm_as_the_simulated_thermometer_says(tmp_path):
    with parts.hardware(SimHardware(), thermometer=SimThermometer(reading_cc=3712)) as made:
        assert made.temperature_cc() == 3712
        camera = parts.camera(PeopleCameraConfig(socket=tmp_path / "people"), around=made)
        camera._warm(3655)
        assert made.temperature_cc() == 3655
        camera._warm(None)
        assert made.temperature_cc() is None, "a thermometer that fails does not end the gate"
    assert made.temperature_cc() is None, "it was shut down"


def test_rendered_people_may_hold_the_simulated_button_down(tmp_path):
    said = []
    with parts.hardware(SimHardware()) as made:
        made.button.listen(on_press=lambda: said.append("press"), on_hold=lambda: said.append("hold"))
        camera = parts.camera(PeopleCameraConfig(socket=tmp_path / "people"), around=made)
        camera._press(True)
        camera._press(True)
        camera._press(False)
        camera._press(True)
    assert said == ["press", "press"]


def test_people_without_a_simulated_thermometer_have_no_temperature(tmp_path):
    assert parts.camera(PeopleCameraConfig(socket=tmp_path / "people"))._warm is None


def test_a_thermometer_that_is_configured_and_has_no_bus_stops_the_start():
    with pytest.raises(HardwareError), parts.hardware(SimHardware(), thermometer=Mlx90614Thermometer(bus=31)):
        pass


def test_a_screen_or_voice_that_is_missing_is_said_and_stops_no_gate(tmp_path, caplog):
    wanted = {"screen": OledScreenConfig(bus=31), "voice": AlsaVoiceConfig(folder=tmp_path)}
    with parts.hardware(SimHardware(), **wanted) as made:
        assert made.prompters == ()
        made.gate.open(100)
    assert len(caplog.records) == 2


def test_screen_and_voice_tell_what_light_and_sound_tell(tmp_path):
    journal = tmp_path / "journal"
    with parts.hardware(SimHardware(journal=journal), screen=SimScreen(), voice=SimVoice()) as made:
        assert len(made.prompters) == 2
