"""The passive buzzer on one PWM line."""

from typing import Any

from gpiozero import TonalBuzzer
from gpiozero.tones import Tone

from device.hardware.pi.pins import Pins
from device.hardware.ports import Tune
from device.hardware.sequence import Sequence, SequencePlayer

MIDDLE_HZ = 440.0
OCTAVES = 3
"""Three octaves each way of 440 Hz: TONE_LOWEST_HZ to TONE_HIGHEST_HZ of the port."""


class PiBuzzer:
    """`Buzzer` on gpiozero's TonalBuzzer, which drives it active high."""

    def __init__(self, *, pins: Pins, factory: Any) -> None:
        self._buzzer = TonalBuzzer(
            pins.buzzer, mid_tone=Tone.from_frequency(MIDDLE_HZ), octaves=OCTAVES, pin_factory=factory
        )
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
        self._buzzer.close()

    def _sound(self, tone_hz: int) -> None:
        if tone_hz == 0:
            self._buzzer.stop()
            # A tone may end while its line is high, and lgpio leaves it there: a coil under current, or an active
            # buzzer that sounds for ever. Seen on the emulated Pi.
            self._buzzer.pwm_device.pin.state = 0
        else:
            # By frequency: gpiozero takes a bare whole number for a MIDI note.
            self._buzzer.play(Tone.from_frequency(float(tone_hz)))
