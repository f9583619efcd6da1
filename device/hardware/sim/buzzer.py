"""A buzzer that only records what it would sound."""

from device.hardware.ports import Tune
from device.hardware.sequence import Sequence, SequencePlayer
from device.hardware.sim.journal import Journal


class SimBuzzer:
    """`Buzzer` without a sound. Each tone goes to the journal as part "buzzer", its value in Hz, 0 when silent."""

    def __init__(self, *, journal: Journal) -> None:
        self._journal = journal
        self._tone_hz = 0
        self._player: SequencePlayer[int] = SequencePlayer(name="buzzer", apply=self._sound, rest=0)

    @property
    def tone_hz(self) -> int:
        """What sounds at this moment; 0 when silent."""
        return self._tone_hz

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

    def _sound(self, tone_hz: int) -> None:
        self._tone_hz = tone_hz
        self._journal.record(part="buzzer", name=f"{tone_hz} Hz" if tone_hz else "silent", value=tone_hz)
