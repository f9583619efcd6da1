"""The ports of a gate's hardware, and the signals that cross them.

Each port is small on purpose: `device/hardware/pi` and `device/hardware/sim` fulfil the same contracts, and
`tests/contracts/` runs the same tests on both.

Errors: `HardwareError` (a part failed, or the thread that drives it died) and below it `EndOfFramesError` (a film or
a list of pictures is over). After a `HardwareError` the process should end; systemd starts it again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from device.model import Frame

Rgb = tuple[float, float, float]
"""Red, green and blue, each 0.0 (off) to 1.0."""

DARK: Rgb = (0.0, 0.0, 0.0)

STEPS_MAX = 64
"""More steps than any signal of PROTOCOL §7 needs; the siren has twelve."""

SIGNAL_MAX_MS = 600_000
"""Ten minutes: a light that must stay longer repeats being shown, so that a forgotten one goes out."""

TONE_LOWEST_HZ, TONE_HIGHEST_HZ = 55, 3520
"""What every implementation can play: three octaves each way from 440 Hz. Small buzzers are loud from 700 to 3000."""

OPEN_MAX_MS = 60_000
"""The longest single opening. A gate that is to stay open longer is opened again, so that a crash shuts it."""


class HardwareError(Exception):
    """A part of the gate failed, or the thread that drives it did."""


class EndOfFramesError(HardwareError):
    """The camera's film or list of pictures is over and does not start again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightSignal:
    """A rhythm of the light. `steps` are (colour, ms); after `total_ms` the light is dark.

    With `repeat` the steps start again until then; without it the light is dark when they are over.

    Raises:
        ValueError: no steps, a step that takes no time, or a number out of its range.
    """

    steps: tuple[tuple[Rgb, int], ...]
    repeat: bool
    total_ms: int
    colour_name: str

    def __post_init__(self) -> None:
        """Refuse a signal that no lamp can show."""
        _check_steps(self.steps)
        if not 0 < self.total_ms <= SIGNAL_MAX_MS:
            raise ValueError(f"a light signal takes 1 to {SIGNAL_MAX_MS} ms, not {self.total_ms}")
        for rgb, _ in self.steps:
            if len(rgb) != 3 or not all(0.0 <= part <= 1.0 for part in rgb):
                raise ValueError(f"a colour is three numbers from 0 to 1, not {rgb}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """Tones played one after the other, once. `steps` are (Hz, ms); 0 Hz is silence.

    Raises:
        ValueError: no steps, a step that takes no time, or a tone that not every buzzer can play.
    """

    steps: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Refuse a tune that no buzzer can play."""
        _check_steps(self.steps)
        for tone_hz, _ in self.steps:
            if tone_hz != 0 and not TONE_LOWEST_HZ <= tone_hz <= TONE_HIGHEST_HZ:
                raise ValueError(f"a tone is 0 or {TONE_LOWEST_HZ} to {TONE_HIGHEST_HZ} Hz, not {tone_hz}")

    @property
    def total_ms(self) -> int:
        """How long the whole tune takes."""
        return sum(step_ms for _, step_ms in self.steps)


def _check_steps(steps: tuple[tuple[object, int], ...]) -> None:
    if not 0 < len(steps) <= STEPS_MAX:
        raise ValueError(f"a signal has 1 to {STEPS_MAX} steps, not {len(steps)}")
    for _, step_ms in steps:
        if not 0 < step_ms <= SIGNAL_MAX_MS:
            raise ValueError(f"a step takes 1 to {SIGNAL_MAX_MS} ms, not {step_ms}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One thing told in words. `name` is the same for all that sound alike; `zh` and `en` are what is written."""

    name: str
    zh: str
    en: str


class Part(Protocol):
    """What all switched parts have in common."""

    @property
    def failed(self) -> Exception | None:
        """What ended the part's own thread; None while it is well. `main` looks here and ends the process."""

    def shutdown(self) -> None:
        """Switch off and give the pins back. The part cannot be used again. May be called twice."""


class Lights(Part, Protocol):
    """The light that people see."""

    def show(self, signal: LightSignal) -> None:
        """Show `signal` instead of whatever is shown; returns once its first step is lit.

        Raises:
            HardwareError: the light cannot be switched, or its thread has died.
        """


class Buzzer(Part, Protocol):
    """The sound that people hear."""

    def play(self, tune: Tune) -> None:
        """Play `tune` instead of whatever is played; returns once its first tone sounds.

        Raises:
            HardwareError: the buzzer cannot be switched, or its thread has died.
        """

    def stop(self) -> None:
        """Be silent now."""


class Gate(Part, Protocol):
    """The relay that opens the turnstile. Energised means open; without power it is shut."""

    def open(self, open_ms: int) -> None:
        """Energise for `open_ms` (1 to OPEN_MAX_MS), then release without being told.

        Opening an open gate extends it; it never shortens the time that somebody was already given.

        Raises:
            ValueError: `open_ms` is out of range.
            HardwareError: the relay cannot be switched, or nobody is left who would release it.
        """

    def close(self) -> None:
        """Release the relay now."""


class Prompter(Protocol):
    """A screen or a voice. Optional beside light and sound: one that fails is silent, and ends nothing."""

    def tell(self, prompt: Prompt, *, total_ms: int, quiet: bool) -> None:
        """Tell `prompt` instead of whatever is told, for at most `total_ms`. Returns at once and never raises.

        `quiet`: nothing may sound.
        """

    def shutdown(self) -> None:
        """Tell nothing any more, and give the part back. May be called twice."""


class Button(Part, Protocol):
    """The attendant's button."""

    def listen(self, *, on_press: Callable[[], None], on_hold: Callable[[], None]) -> None:
        """Call `on_press` on each press, and `on_hold` once when it is held long. From the part's own thread."""


class Thermometer(Protocol):
    """What takes the temperature of whoever stands at the gate, without touching them."""

    def read(self) -> int:
        """The temperature of what is in view now, in 0.01 °C. Takes a few milliseconds.

        Whether it is a person's is not said here: a wall has a temperature too.

        Raises:
            HardwareError: it cannot be measured now. The next call may succeed.
        """

    def shutdown(self) -> None:
        """Give the bus back. The part cannot be used again. May be called twice."""


class Camera(Protocol):
    """The gate's camera. Used by one thread; restarted by `stop` and `start`."""

    def start(self) -> None:
        """Open the camera and let frames come.

        Raises:
            HardwareError: there is no camera, or it cannot be configured.
        """

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, or None when none came in `timeout_s`: the camera may have stalled.

        Raises:
            HardwareError: the camera is gone.
            EndOfFramesError: there are no more frames and never will be.
        """

    def stop(self) -> None:
        """Close the camera. May be called twice."""


class Watchdog(Protocol):
    """Whoever restarts this process when it stops making progress."""

    def ready(self) -> None:
        """Say that the gate is in service."""

    def feed(self) -> None:
        """Say that progress was made. Called only on progress, never by a timer."""

    def status(self, text: str) -> None:
        """Say in one line what the gate is doing."""
