"""A button that code presses."""

import threading
from collections.abc import Callable


class SimButton:
    """`Button` without a finger: `press` and `release` stand for it. Held for `hold_ms`, it says so once."""

    def __init__(self, *, hold_ms: int = 3000) -> None:
        self._hold_s = hold_ms / 1000
        self._on_press: Callable[[], None] | None = None
        self._on_hold: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None
        self._failed: Exception | None = None

    @property
    def failed(self) -> Exception | None:
        """What the last callback raised."""
        return self._failed

    def listen(self, *, on_press: Callable[[], None], on_hold: Callable[[], None]) -> None:
        """As `Button.listen`."""
        self._on_press, self._on_hold = on_press, on_hold

    def press(self) -> None:
        """Push the button down and leave it there."""
        if self._timer is not None:
            return
        self._timer = threading.Timer(self._hold_s, self._call, [self._on_hold])
        self._timer.daemon = True
        self._timer.start()
        self._call(self._on_press)

    def release(self) -> None:
        """Let the button go."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def hold(self, down: bool) -> None:  # noqa: FBT001 - as a finger: down or not
        """`press` or `release`."""
        if down:
            self.press()
        else:
            self.release()

    def shutdown(self) -> None:
        """As `Part.shutdown`."""
        self._on_press = self._on_hold = None
        self.release()

    def _call(self, callback: Callable[[], None] | None) -> None:
        if callback is None:
            return
        try:
            callback()
        except Exception as error:
            self._failed = error
            raise
