"""Which BCM line each part of the gate is wired to, and which level switches it."""

from dataclasses import dataclass
from typing import Any

from device.hardware.ports import HardwareError

BCM_LAST = 27
"""The 40-pin header carries BCM lines 0 to 27."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """BCM numbers, not header positions. `button` is None where the gate has none.

    `relay_active_high=False` is for relay boards that pull in at 0 V. Such a board is energised for some
    microseconds while a line becomes an output, and by any short to ground: prefer active high.

    Raises:
        ValueError: a number that is not on the header, or two parts on one line.
    """

    relay: int
    red: int
    green: int
    blue: int
    buzzer: int
    button: int | None = None
    relay_active_high: bool = True
    lights_active_high: bool = True
    button_pull_up: bool = True

    def __post_init__(self) -> None:
        """Refuse wiring that cannot be."""
        lines = [line for line, _ in self.off_levels()]
        if self.button is not None:
            lines.append(self.button)
        if not all(0 <= line <= BCM_LAST for line in lines):
            raise ValueError(f"BCM lines are 0 to {BCM_LAST}, not {lines}")
        if len(set(lines)) != len(lines):
            raise ValueError(f"two parts share one BCM line: {lines}")

    def off_levels(self) -> tuple[tuple[int, bool], ...]:
        """Each output line with the level (True = high) that switches its part off; the relay first."""
        lamp_off = not self.lights_active_high
        return (
            (self.relay, not self.relay_active_high),
            (self.red, lamp_off),
            (self.green, lamp_off),
            (self.blue, lamp_off),
            (self.buzzer, False),
        )


def lgpio_factory() -> Any:
    """The pin factory for current kernels and every Pi. lgpio keeps a FIFO in the directory that `LG_WD` names.

    Raises:
        HardwareError: lgpio is not installed, or this machine has no GPIO that may be opened.
    """
    try:
        import lgpio
        from gpiozero.exc import GPIOZeroError
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise HardwareError("lgpio is not installed") from error
    try:
        return LGPIOFactory()
    except (lgpio.error, GPIOZeroError, OSError) as error:
        raise HardwareError(f"the GPIO of this machine cannot be opened: {error}") from error
