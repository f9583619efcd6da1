"""The passive buzzer on one PWM line."""

from typing import Any

from gpiozero import PWMOutputDevice

from device.hardware.pi.pins import Pins
from device.hardware.ports import Tune
from device.hardware.sequence import Sequence, SequencePlayer

SILENT_HZ = 100
"""What a line that is held low costs: as many wakes a second as a light's."""

_SQUARE = 0.5


class PiBuzzer:
    """`Buzzer` on gpiozero's PWMOutputDevice, active high.

    Not its TonalBuzzer, which ends the line's PWM with each tone. lgpio 0.2.2 leaves a line where its PWM ended: high
    after half of the tones, a coil under current or an active buzzer that sounds for ever. And when a line's PWM is
    ended just after another's began, as at the start, its one thread for all lines may wait for a time before the
    second's beginning, which the kernel refuses for ever: no light and no tone until the next start, once in some 200.
    Both seen on the emulated Pi.
    """

    def __init__(self, *, pins: Pins, factory: Any) -> None:
        self._line = PWMOutputDevice(pins.buzzer, frequency=SILENT_HZ, pin_factory=factory)
        self._player: SequencePlayer[int] = SequencePlayer(name="buzzer", apply=self._sound, rest=0)

    @property
    def failed(self) -> Exception | None:
        """As `Part.failed`."""
        return self._player.failed

    def play(self, tune: Tune) -> None:
        """As `Buzzer.play`."""
        self._player.play(Sequence(steps=tune.steps, repeat=False, total_ms=tune.total_ms))

    def stop(self) -> None:
        """As `Buzzer.stop`."""
        self._player.stop()

    def shutdown(self) -> None:
        """As `Part.shutdown`."""
        self._player.shutdown()
        self._line.close()

    def _sound(self, tone_hz: int) -> None:
        # In this order nothing is sounded but the tone: each is taken at the end of a wave.
        if tone_hz:
            self._line.frequency = tone_hz
            self._line.value = _SQUARE
        else:
            self._line.value = 0
            self._line.frequency = SILENT_HZ
