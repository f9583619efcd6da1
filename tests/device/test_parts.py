import pytest

from device import parts
from device.config import (
    Mlx90614Thermometer,
    NoThermometer,
    PeopleCameraConfig,
    SimHardware,
    SimThermometer,
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
        camera = parts.camera(PeopleCameraConfig(socket=tmp_path / "people"), thermometer=made.thermometer)
        camera._warm(3655)
        assert made.temperature_cc() == 3655
        camera._warm(None)
        assert made.temperature_cc() is None, "a thermometer that fails does not end the gate"
    assert made.temperature_cc() is None, "it was shut down"


def test_people_without_a_simulated_thermometer_have_no_temperature(tmp_path):
    assert parts.camera(PeopleCameraConfig(socket=tmp_path / "people"))._warm is None


def test_a_thermometer_that_is_configured_and_has_no_bus_stops_the_start():
    with pytest.raises(HardwareError), parts.hardware(SimHardware(), thermometer=Mlx90614Thermometer(bus=31)):
        pass
