"""Camera -> Frame. Stage 1 of the scan: the newest frame, and nothing older.

A frame that waited is a person who has moved on: the mailbox holds one, and a newer frame takes its place. A camera
that stalls silently is the commonest failure in the field, so a stall is ended here: first the camera is restarted,
then the process ends and systemd tries everything from the start.
"""

import contextlib
import threading
import time
from collections.abc import Callable

from device.hardware.ports import Camera, EndOfFramesError, HardwareError
from device.model import Frame

# Three seconds are 90 frames at 30 a second: no exposure or driver hiccup takes that long.
STALL_S = 3.0
# How often the thread looks whether it should stop.
_READ_S = 0.5


class CameraLostError(Exception):
    """The camera gives no frames, and restarting it did not help. The process should end."""


class Mailbox:
    """One slot between the camera's thread and the scan's. Putting never waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._failure: Exception | None = None
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        """Offer a frame. One that nobody took is dropped and counted."""
        with self._changed:
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify()

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame that was not taken yet, or None after `timeout_s`.

        Raises:
            CameraLostError, EndOfFramesError: there will be no more, and the last one is taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._failure is not None, timeout_s)
            frame, self._frame = self._frame, None
            if frame is None and self._failure is not None:
                raise self._failure
            return frame

    def fail(self, failure: Exception) -> None:
        """Wake the taker for the last time: there will be no more frames."""
        with self._changed:
            self._failure = failure
            self._changed.notify_all()


class Capture:
    """The thread that reads `camera` into `mailbox`. `failure` says why it ended, if not by `stop`."""

    def __init__(self, *, camera: Camera, mailbox: Mailbox, now_s: Callable[[], float] = time.monotonic) -> None:
        self._camera = camera
        self._mailbox = mailbox
        self._now_s = now_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="capture", daemon=True)
        self.failure: Exception | None = None
        self.frames = 0
        self.restarts = 0

    def start(self) -> None:
        """Begin to read, on a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the camera. Waits as long as the camera's `read` takes, 2 s at most."""
        self._stopping.set()
        self._thread.join(timeout=2.0)

    def run(self) -> None:
        """Read until stopped or the camera is lost. Never raises: what went wrong is `failure`."""
        try:
            self._read_frames()
        except Exception as error:  # noqa: BLE001 -- the thread's border: whatever it was, the taker must wake and end.
            self.failure = error
            self._mailbox.fail(error)
        finally:
            # A camera that cannot even be closed has failed before, and that is the reason to report.
            with contextlib.suppress(Exception):
                self._camera.stop()

    def _read_frames(self) -> None:
        self._camera.start()
        fresh_s, restarted = self._now_s(), False
        while not self._stopping.is_set():
            try:
                frame, reason = self._camera.read(_READ_S), "no frames"
            except EndOfFramesError:
                raise
            except HardwareError as error:
                frame, reason, fresh_s = None, str(error), self._now_s() - STALL_S
            if frame is not None:
                self._mailbox.put(frame)
                self.frames += 1
                fresh_s, restarted = self._now_s(), False
            elif self._now_s() - fresh_s >= STALL_S:
                if restarted:
                    raise CameraLostError(f"the camera was restarted and still fails: {reason}")
                self._restart(reason)
                fresh_s, restarted = self._now_s(), True

    def _restart(self, reason: str) -> None:
        """Stop and start the camera. Raises CameraLostError."""
        self.restarts += 1
        try:
            self._camera.stop()
            self._camera.start()
        except Exception as error:
            raise CameraLostError(f"the camera does not restart after {reason}: {error}") from error
