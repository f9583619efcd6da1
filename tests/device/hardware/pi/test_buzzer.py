"""What lgpio must not be told."""

from gpiozero.pins.mock import MockFactory, MockPWMPin

from device.hardware.pi.buzzer import SILENT_HZ, PiBuzzer
from device.hardware.pi.pins import Pins
from device.hardware.ports import Tune

PINS = Pins(relay=26, red=5, green=6, blue=13, buzzer=12)


class TellingPin(MockPWMPin):
    """Keeps what it was told, in its order."""

    def __init__(self, factory, info):
        super().__init__(factory, info)
        self.told = []

    def _set_frequency(self, value):
        self.told.append(("hz", value))
        super()._set_frequency(value)

    def _set_state(self, value):
        self.told.append(("duty", value))
        super()._set_state(value)


def test_a_lines_pwm_does_not_end_before_the_gate_does():
    factory = MockFactory(pin_class=TellingPin)
    buzzer = PiBuzzer(pins=PINS, factory=factory)
    pin = factory.pin(PINS.buzzer)
    for _ in range(3):
        buzzer.play(Tune(steps=((960, 60_000),)))
        buzzer.stop()
    assert None not in [value for what, value in pin.told if what == "hz"]
    buzzer.shutdown()
    assert pin.told[-1] == ("hz", None)


def test_nothing_is_sounded_but_the_tone_whenever_a_wave_ends():
    factory = MockFactory(pin_class=TellingPin)
    buzzer = PiBuzzer(pins=PINS, factory=factory)
    pin = factory.pin(PINS.buzzer)
    pin.told.clear()
    buzzer.play(Tune(steps=((960, 60_000),)))
    assert pin.told == [("hz", 960), ("duty", 0.5)]
    pin.told.clear()
    buzzer.stop()
    assert pin.told == [("duty", 0.0), ("hz", SILENT_HZ)]
    buzzer.shutdown()
