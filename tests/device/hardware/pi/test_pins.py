import sys

import pytest

from device.hardware.pi.pins import Pins, lgpio_factory
from device.hardware.ports import HardwareError

GOOD = {"relay": 26, "red": 5, "green": 6, "blue": 13, "buzzer": 12}


@pytest.mark.parametrize("bad", [{"relay": 5}, {"button": 12}, {"red": 28}, {"blue": -1}])
def test_wiring_that_cannot_be_is_refused(bad):
    Pins(**GOOD)
    with pytest.raises(ValueError):
        Pins(**GOOD | bad)


def test_off_is_low_or_high_as_the_board_is_made_and_the_relay_comes_first():
    assert Pins(**GOOD).off_levels() == ((26, False), (5, False), (6, False), (13, False), (12, False))
    inverted = Pins(**GOOD, relay_active_high=False, lights_active_high=False)
    assert inverted.off_levels() == ((26, True), (5, True), (6, True), (13, True), (12, False))


def test_a_machine_without_lgpio_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "lgpio", None)
    with pytest.raises(HardwareError):
        lgpio_factory()
