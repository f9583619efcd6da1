"""The relay that opens the turnstile, on one output line."""

from typing import Any

from gpiozero import OutputDevice

from device.hardware.pi.pins import Pins
from device.hardware.release import TimedRelay


class PiGate:
    """`Gate` on gpiozero's OutputDevice. Driven off when built, whatever the line was left at."""

    def __init__(self, *, pins: Pins, factory: Any) -> None:
        self._output = OutputDevice(
            pins.relay, active_high=pins.relay_active_high, initial_value=False, pin_factory=factory
        )
        self._relay = TimedRelay(switch=self._switch)

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
        self._output.close()

    def _switch(self, energised: bool) -> None:  # noqa: FBT001  TimedRelay calls it with the one thing it sets
        self._output.value = energised
