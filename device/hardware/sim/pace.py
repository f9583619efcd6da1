"""Frames at a steady rate, as a camera gives them."""

import time
from collections.abc import Callable


class Pace:
    """Says when the next frame is due. A frame nobody was there to take is lost, as with a real camera."""

    def __init__(
        self,
        *,
        fps: float,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if fps <= 0:
            raise ValueError(f"a camera gives more than {fps} frames a second")
        self._period_ns = round(1e9 / fps)
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._due_ns = clock_ns()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the next frame; False when it is not due within `timeout_s`, which has then passed."""
        now_ns = self._clock_ns()
        left_ns = self._due_ns - now_ns
        if left_ns > timeout_s * 1e9:
            self._sleep(timeout_s)
            return False
        if left_ns > 0:
            self._sleep(left_ns / 1e9)
        # Late by more than one frame: the missed ones are gone, the rhythm starts again from now.
        self._due_ns = self._period_ns + (self._due_ns if -left_ns < self._period_ns else now_ns)
        return True
