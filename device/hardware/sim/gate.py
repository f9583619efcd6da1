"""A relay that only records what it would switch."""

from device.hardware.release import TimedRelay
from device.hardware.sim.journal import Journal


class SimGate:
    """`Gate` without a turnstile. Each switch goes to the journal as part "gate", its value True when energised."""

    def __init__(self, *, journal: Journal) -> None:
        self._journal = journal
        self._energised = False
        self._relay = TimedRelay(switch=self._switch)

    @property
    def energised(self) -> bool:
        """Whether the turnstile is open at this moment."""
        return self._energised

    @property
    def failed(self) -> Exception | None:
        """As `Part.failed`."""
        return self._relay.failed

    def open(self, open_ms: int) -> None:
        """As `Gate.open`."""
        self._relay.open(open_ms)

    def close(self) -> None:
        """As `Gate.close`."""
        self._relay.close()

    def shutdown(self) -> None:
        """As `Part.shutdown`."""
        self._relay.shutdown()

    def _switch(self, energised: bool) -> None:  # noqa: FBT001  TimedRelay calls it with the one thing it sets
        self._energised = energised
        self._journal.record(part="gate", name="open" if energised else "shut", value=energised)
