"""Decision -> light, sound and gate. Stage 6 of the scan (PROTOCOL §7), and the face of a gate that is not scanning.

Every signal differs in rhythm as well as in colour, and in sound with eyes shut, so that it is told apart by people
who are colour-blind, blind or deaf.

=============  =====================================  ==============================================
shown          light                                  sound
=============  =====================================  ==============================================
green          steady                                 one short high tone
green, held    as notice, held                        as notice, held
notice         green, a short yellow in between       two even middle tones, then the short high one
notice, held   green and yellow in turn, slowly       two even middle tones
yellow         blinks slowly, 1 Hz                    two falling tones
red            blinks fast, 4 Hz                      ambulance siren: 960 and 770 Hz, 3 s
grey           blue double flash                      one long low tone
waiting        blue, steady                           -
unenrolled     blue, slow pulse                       -
enrolled       green that grows                       two rising tones
refused        as grey                                as grey
locate         white and blue in turn, fast           short beeps
=============  =====================================  ==============================================

Whatever opens the gate ends on the short high tone, and nothing else has it: that is what a blind person walks by. So a
green that policy holds, for an attendant to decide about everybody, is not lit as a green that opens: it is shown as
"there is something to settle first", which is what the person is to do, while the record says green and held.

In quiet hours every sound but the siren is silent; lights are not. Where there is a screen or a voice, it says the same
in words (`wording.py`), after light, gate and sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from device.hardware.ports import DARK, Buzzer, Gate, Lights, LightSignal, Prompt, Prompter, Rgb, Tune
from device.scan import wording
from protocol.policy import GatePolicy
from protocol.terms import Colour, Verdict
from protocol.verdict import Decision

_GREEN: Rgb = (0.0, 1.0, 0.0)
_YELLOW: Rgb = (1.0, 0.7, 0.0)
_RED: Rgb = (1.0, 0.0, 0.0)
_BLUE: Rgb = (0.0, 0.0, 1.0)
_WHITE: Rgb = (1.0, 1.0, 1.0)

WAITING_MS = 60_000
"""Longer than any look-up, and than most of what an enrolment waits for: what comes of it takes its place."""

UNENROLLED_MS = 600_000
"""As long as a signal may last; whoever waits for enrolment shows it again before it ends."""

LOCATE_MAX_S = 300
BEEPS_MAX = 32
"""A tune has at most 64 steps: a tone and a silence each."""

_BEEP_MS = 200


@dataclass(frozen=True, slots=True)
class Face:
    """What people see and hear of one signal. The name stands in the simulated gate's journal."""

    name: str
    rhythm: tuple[tuple[Rgb, int], ...]
    tune: Tune | None = None
    repeat: bool = True


_OPENS = (1760, 120)
_TWO_EVEN = ((880, 150), (0, 80), (880, 150))
_HELD = ((_GREEN, 700), (_YELLOW, 700))

FACES: dict[Colour, Face] = {
    Colour.GREEN: Face("green", ((_GREEN, 1000),), Tune(steps=(_OPENS,))),
    Colour.NOTICE: Face("notice", _HELD, Tune(steps=_TWO_EVEN)),
    Colour.YELLOW: Face("yellow", ((_YELLOW, 500), (DARK, 500)), Tune(steps=((880, 200), (587, 300)))),
    Colour.RED: Face("red", ((_RED, 125), (DARK, 125)), Tune(steps=((960, 500), (770, 500)) * 3)),
    Colour.GREY: Face("grey", ((_BLUE, 120), (DARK, 120), (_BLUE, 120), (DARK, 640)), Tune(steps=((220, 700),))),
}
"""The usual face of each colour: green opens, notice is held."""

GREEN_HELD = Face("green_held", _HELD, Tune(steps=_TWO_EVEN))
NOTICE_ADMITTED = Face("notice_admitted", ((_GREEN, 900), (_YELLOW, 300)), Tune(steps=(*_TWO_EVEN, (0, 80), _OPENS)))
WAITING = Face("waiting", ((_BLUE, 1000),))
UNENROLLED = Face("unenrolled", (((0.0, 0.0, 0.15), 900), ((0.0, 0.0, 0.5), 500), (_BLUE, 600), ((0.0, 0.0, 0.5), 500)))
ENROLLED = Face(
    "enrolled",
    (((0.0, 0.1, 0.0), 250), ((0.0, 0.3, 0.0), 250), ((0.0, 0.6, 0.0), 250), (_GREEN, 2250)),
    Tune(steps=((659, 200), (0, 60), (988, 300))),
    repeat=False,
)
REFUSED = Face("refused", FACES[Colour.GREY].rhythm, FACES[Colour.GREY].tune)
LOCATE = Face("locate", ((_WHITE, 200), (_BLUE, 200)))


def face_of(decision: Decision) -> Face:
    """The face of a decision, by colour and by whether it opens."""
    admitted = decision.verdict is Verdict.ADMIT
    if decision.colour is Colour.GREEN and not admitted:
        return GREEN_HELD
    if decision.colour is Colour.NOTICE and admitted:
        return NOTICE_ADMITTED
    return FACES[decision.colour]


def is_quiet(policy: GatePolicy, now_ms: int) -> bool:
    """Whether policy wants no sound but the siren at this moment of the wall clock."""
    return policy.quiet is not None and policy.quiet.covers(now_ms // 1000)


class Indicator:
    """The gate's face. Each method returns once the first step of the light is lit; what is shown next replaces it.

    Any thread may call. Raises, on any call:
        HardwareError: a part failed.
    """

    def __init__(self, *, lights: Lights, buzzer: Buzzer, gate: Gate, prompters: Sequence[Prompter] = ()) -> None:
        self._lights = lights
        self._buzzer = buzzer
        self._gate = gate
        self._prompters = prompters

    def show(self, decision: Decision, *, policy: GatePolicy, now_ms: int) -> None:
        """A decision: light first, then the gate, then the sound.

        Only an admission moves the gate: it shuts by itself, never on the person who was admitted before.
        """
        face = face_of(decision)
        self._lights.show(_signal(face, policy.light_ms))
        if decision.verdict is Verdict.ADMIT:
            self._gate.open(policy.open_ms)
        quiet = is_quiet(policy, now_ms)
        if face.tune is None or (decision.colour is not Colour.RED and quiet):
            # Whatever sounds was for somebody else.
            self._buzzer.stop()
        else:
            self._buzzer.play(face.tune)
        self._tell(wording.prompt_of(decision), policy.light_ms, quiet=quiet)

    def waiting(self) -> None:
        """Please wait: somebody's code is being looked up, or the gate is being set up. No sound."""
        self._lights.show(_signal(WAITING, WAITING_MS))
        self._tell(wording.plain("looking"), WAITING_MS)

    def unenrolled(self) -> None:
        """The gate waits to be enrolled. Goes out after ten minutes unless shown again."""
        self._lights.show(_signal(UNENROLLED, UNENROLLED_MS))

    def enrolled(self) -> None:
        """The gate was enrolled just now."""
        self._play(ENROLLED, 3000)
        self._tell(wording.plain("enrolled"), 3000)

    def fingerprint(self, words: Sequence[str], characters: str) -> None:
        """Four words are to be compared, so that it is enrolled. Without a screen the beep says that they are there."""
        self.locate(1)
        self._tell(wording.words(" ".join(words), characters), UNENROLLED_MS)

    def refused(self) -> None:
        """The gate was not enrolled, or what it was told could not be done."""
        self._play(REFUSED, 3000)
        self._tell(wording.plain("failed"), 3000)

    def locate(self, seconds: int, *, quiet: bool = False) -> None:
        """Here I am, for 1 to 300 s; without beeps when `quiet` (see `is_quiet`). An answer to a person replaces it.

        Raises:
            ValueError: `seconds` is out of range.
        """
        if not 1 <= seconds <= LOCATE_MAX_S:
            raise ValueError(f"a gate is located for 1 to {LOCATE_MAX_S} s, not {seconds}")
        self._lights.show(_signal(LOCATE, seconds * 1000))
        if not quiet:
            beeps = min(seconds, BEEPS_MAX)
            self._buzzer.play(Tune(steps=((1320, _BEEP_MS), (0, seconds * 1000 // beeps - _BEEP_MS)) * beeps))

    def _tell(self, prompt: Prompt, total_ms: int, *, quiet: bool = False) -> None:
        for prompter in self._prompters:
            prompter.tell(prompt, total_ms=total_ms, quiet=quiet)

    def _play(self, face: Face, total_ms: int) -> None:
        self._lights.show(_signal(face, total_ms))
        if face.tune is not None:
            self._buzzer.play(face.tune)


@lru_cache(maxsize=64)
def _signal(face: Face, total_ms: int) -> LightSignal:
    """Kept, because frame-to-light time counts and a policy changes rarely."""
    return LightSignal(steps=face.rhythm, repeat=face.repeat, total_ms=total_ms, colour_name=face.name)
