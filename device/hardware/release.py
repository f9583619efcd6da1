"""A relay that always lets go. The one place that decides how long a gate stays energised.

Its thread does nothing else and shares its lock with nobody, so no light, tune, frame or network can delay a
release. What no thread can help against is a killed or stopped process: for that stand `gatelight-device safe`, the
kernel's `strict_gpiod` and, at a real door, a hardware pulse timer.
"""

import threading
import time
from collections.abc import Callable

from device.hardware.ports import OPEN_MAX_MS, HardwareError
from device.hardware.sequence import NS_PER_MS


class TimedRelay:
    """Drives `switch` (True = energised) on demand and off by itself. Off when built."""

    def __init__(self, *, switch: Callable[[bool], None], clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._switch = switch
        self._clock_ns = clock_ns
        self._changed = threading.Condition()
        self._until_ns: int | None = None
        self._ended = False
        self._failed: Exception | None = None
        self._switch(False)
        self._thread = threading.Thread(target=self._run, name="gate-release", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> Exception | None:
        """What ended the releasing thread; None while it is well."""
        return self._failed

    def open(self, open_ms: int) -> None:
        """As `Gate.open`: the end is set before the relay is energised, never after."""
        if not 0 < open_ms <= OPEN_MAX_MS:
            raise ValueError(f"a gate opens for 1 to {OPEN_MAX_MS} ms, not {open_ms}")
        with self._changed:
            if self._ended or not self._thread.is_alive():
                raise HardwareError("nobody is left to release the gate") from self._failed
            until_ns = self._clock_ns() + open_ms * NS_PER_MS
            was_shut = self._until_ns is None
            self._until_ns = max(until_ns, self._until_ns or until_ns)
            self._changed.notify()
            if was_shut:
                self._drive(energised=True)

    def close(self) -> None:
        """Release now. Works after a failure too: letting go is always tried."""
        with self._changed:
            self._until_ns = None
            if not self._ended:
                self._drive(energised=False)

    def shutdown(self) -> None:
        """Release and end the thread. May be called twice."""
        with self._changed:
            if not self._ended:
                self._ended = True
                self._until_ns = None
                self._changed.notify()
                self._drive(energised=False)
        self._thread.join()

    def _drive(self, *, energised: bool) -> None:
        try:
            self._switch(energised)
        except Exception as error:
            raise HardwareError("the gate's relay cannot be switched") from error

    def _run(self) -> None:
        try:
            with self._changed:
                while not self._ended:
                    if self._until_ns is None:
                        self._changed.wait()
                    elif (left_ns := self._until_ns - self._clock_ns()) > 0:
                        self._changed.wait(left_ns / 1e9)
                    else:
                        self._until_ns = None
                        self._switch(False)
        except Exception as error:
            # Kept for `main`, which ends the process; `safe` then drives the relay off.
            self._failed = error
            raise
