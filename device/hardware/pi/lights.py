"""The RGB light on three PWM lines."""

from typing import Any

from gpiozero import RGBLED

from device.hardware.pi.pins import Pins
from device.hardware.ports import DARK, LightSignal, Rgb
from device.hardware.sequence import Sequence, SequencePlayer


class PiLights:
    """`Lights` on gpiozero's RGBLED."""

    def __init__(self, *, pins: Pins, factory: Any) -> None:
        self._led = RGBLED(pins.red, pins.green, pins.blue, active_high=pins.lights_active_high, pin_factory=factory)
        self._player: SequencePlayer[Rgb] = SequencePlayer(name="lights", apply=self._light, rest=DARK)

    @property
    def failed(self) -> Exception | None:
        """As `Part.failed`."""
        return self._player.failed

    def show(self, signal: LightSignal) -> None:
        """As `Lights.show`."""
        self._player.play(Sequence(steps=signal.steps, repeat=signal.repeat, total_ms=signal.total_ms))

    def shutdown(self) -> None:
        """As `Part.shutdown`."""
        self._player.shutdown()
        self._led.close()

    def _light(self, rgb: Rgb) -> None:
        self._led.color = rgb
