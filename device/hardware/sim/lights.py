"""A light that only records what it would show."""

from device.hardware.ports import DARK, LightSignal, Rgb
from device.hardware.sequence import Sequence, SequencePlayer
from device.hardware.sim.journal import Journal


class SimLights:
    """`Lights` without a lamp. Each step goes to the journal as part "lights", named by its signal's colour."""

    def __init__(self, *, journal: Journal) -> None:
        self._journal = journal
        self._rgb = DARK
        self._player: SequencePlayer[tuple[Rgb, str]] = SequencePlayer(
            name="lights", apply=self._light, rest=(DARK, "dark")
        )

    @property
    def rgb(self) -> Rgb:
        """What is lit at this moment."""
        return self._rgb

    @property
    def failed(self) -> Exception | None:
        """As `Part.failed`."""
        return self._player.failed

    def show(self, signal: LightSignal) -> None:
        """As `Lights.show`."""
        steps = tuple(((rgb, signal.colour_name), step_ms) for rgb, step_ms in signal.steps)
        self._player.play(Sequence(steps=steps, repeat=signal.repeat, total_ms=signal.total_ms))

    def shutdown(self) -> None:
        """As `Part.shutdown`."""
        self._player.shutdown()

    def _light(self, lit: tuple[Rgb, str]) -> None:
        self._rgb, name = lit
        self._journal.record(part="lights", name=name, value=self._rgb)
