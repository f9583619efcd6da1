"""Decision -> light, sound and gate. Stage 6 of the scan (PROTOCOL §7).

Every signal differs in rhythm as well as in colour, and in sound with eyes shut, so that it is told apart by people
who are colour-blind, blind or deaf.

======  ===================================  ==========================================
colour  light                                sound
======  ===================================  ==========================================
green   steady                               one short high tone
notice  green and yellow in turn, slowly     two even middle tones
yellow  blinks slowly, 1 Hz                  two falling tones
red     blinks fast, 4 Hz                    ambulance siren: 960 and 770 Hz, 3 s
grey    blue double flash                    one long low tone
======  ===================================  ==========================================
"""

from device.hardware.ports import DARK, Buzzer, Gate, Lights, LightSignal, Rgb, Tune
from device.model import Decision
from protocol.terms import Colour, Verdict

_GREEN: Rgb = (0.0, 1.0, 0.0)
_YELLOW: Rgb = (1.0, 0.7, 0.0)
_RED: Rgb = (1.0, 0.0, 0.0)
_BLUE: Rgb = (0.0, 0.0, 1.0)

RHYTHMS: dict[Colour, tuple[tuple[Rgb, int], ...]] = {
    Colour.GREEN: ((_GREEN, 1000),),
    Colour.NOTICE: ((_GREEN, 700), (_YELLOW, 700)),
    Colour.YELLOW: ((_YELLOW, 500), (DARK, 500)),
    Colour.RED: ((_RED, 125), (DARK, 125)),
    Colour.GREY: ((_BLUE, 120), (DARK, 120), (_BLUE, 120), (DARK, 640)),
}

TUNES: dict[Colour, Tune] = {
    Colour.GREEN: Tune(steps=((1760, 120),)),
    Colour.NOTICE: Tune(steps=((880, 150), (0, 80), (880, 150))),
    Colour.YELLOW: Tune(steps=((880, 200), (587, 300))),
    Colour.RED: Tune(steps=((960, 500), (770, 500)) * 3),
    Colour.GREY: Tune(steps=((220, 700),)),
}


class Indicator:
    """The gate's face. `show` returns once the first step of the light is lit."""

    def __init__(self, *, lights: Lights, buzzer: Buzzer, gate: Gate, light_ms: int, open_ms: int) -> None:
        self._lights = lights
        self._buzzer = buzzer
        self._gate = gate
        self._open_ms = open_ms
        self._signals = {
            colour: LightSignal(steps=steps, repeat=True, total_ms=light_ms, colour_name=colour.wire_name)
            for colour, steps in RHYTHMS.items()
        }

    def show(self, decision: Decision) -> None:
        """Light first, then the gate, then the sound.

        Only an admission moves the gate: it shuts by itself, never on the person who was admitted before.

        Raises:
            HardwareError: a part failed.
        """
        self._lights.show(self._signals[decision.colour])
        if decision.verdict is Verdict.ADMIT:
            self._gate.open(self._open_ms)
        self._buzzer.play(TUNES[decision.colour])
