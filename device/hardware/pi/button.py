"""The attendant's button on one input line."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gpiozero import Button as GpioButton

from device.hardware.pi.pins import Pins

BOUNCE_S = 0.02
"""Contacts of cheap push-buttons chatter for up to about 10 ms."""


class PiButton:
    """`Button` on gpiozero's Button. Callbacks run in gpiozero's threads.

    Raises:
        ValueError: `pins` names no button.
    """

    def __init__(self, *, pins: Pins, factory: Any, hold_ms: int = 3000) -> None:
        if pins.button is None:
            raise ValueError("the pins name no button")
        self._failed: Exception | None = None
        self._button = GpioButton(
            pins.button,
            pull_up=pins.button_pull_up,
            bounce_time=BOUNCE_S,
            hold_time=hold_ms / 1000,
            pin_factory=factory,
        )

    @property
    def failed(self) -> Exception | None:
        """What the last callback raised: gpiozero's threads would swallow it."""
        return self._failed

    def listen(self, *, on_press: Callable[[], None], on_hold: Callable[[], None]) -> None:
        """As `Button.listen`."""
        self._button.when_pressed = self._kept(on_press)
        self._button.when_held = self._kept(on_hold)

    def shutdown(self) -> None:
        """As `Part.shutdown`."""
        # Now and then lgpio is still letting go of the line's events, and says "GPIO busy" (seen on the emulated Pi).
        # It is an input and stays one; a gate that ends as it was told must not be said to have failed.
        with suppress(Exception):
            self._button.close()

    def _kept(self, callback: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            try:
                callback()
            except Exception as error:
                self._failed = error
                raise

        return call
