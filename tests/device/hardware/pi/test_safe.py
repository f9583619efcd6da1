import sys
from types import SimpleNamespace

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from device.hardware.pi import safe
from device.hardware.pi.pins import Pins
from device.hardware.ports import HardwareError

PINS = Pins(relay=26, red=5, green=6, blue=13, buzzer=12, button=21, relay_active_high=False)
OFF = PINS.off_levels()


def test_every_output_is_driven_to_its_off_level_as_an_output():
    factory = MockFactory(pin_class=MockPWMPin)
    factory.pin(26).output_with_state(0)
    factory.pin(6).output_with_state(1)
    safe.drive_off(OFF, claim=lambda line, level: factory.pin(line).output_with_state(level))
    assert all(factory.pin(line).function == "output" for line in (26, 5, 6, 13, 12))
    assert [bool(factory.pin(line).state) for line in (26, 5, 6, 13, 12)] == [True, False, False, False, False]
    assert factory.pin(21).function == "input"
    factory.close()


def test_one_dead_line_does_not_keep_the_others_energised():
    driven = []

    def claim(line, level):
        if line == 26:
            raise OSError("busy")
        driven.append(line)

    with pytest.raises(HardwareError, match="BCM 26: busy"):
        safe.drive_off(OFF, claim=claim)
    assert driven == [5, 6, 13, 12]


def test_lines_are_claimed_at_their_level_in_one_step_and_never_given_back(monkeypatch):
    """A FAKE lgpio: shows the calls, not what a kernel makes of them."""
    calls = []
    fake = SimpleNamespace(
        gpiochip_open=lambda chip: calls.append(("open", chip)) or 7,
        gpio_claim_output=lambda handle, line, level: calls.append(("claim", handle, line, level)),
    )
    monkeypatch.setitem(sys.modules, "lgpio", fake)
    monkeypatch.setattr(safe, "lgpio_factory", lambda: SimpleNamespace(chip=4, close=lambda: calls.append(("close",))))
    safe.drive_off(OFF, claim=safe.lgpio_claim())
    assert calls[:3] == [("close",), ("open", 4), ("claim", 7, 26, 1)]
    assert [call[0] for call in calls] == ["close", "open"] + ["claim"] * 5
