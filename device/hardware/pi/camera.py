"""The Pi camera: picamera2's small YUV420 stream, of which only the Y plane (luma) leaves this module.

picamera2 is imported when the camera starts: it must match the system's libcamera and exists on a Pi only.

The main stream is twice the small one each way and never read. libcamera picks the sensor's mode by its size, and a
640x480 main stream makes some sensors look through a keyhole in their middle.
"""

import contextlib
import time
from concurrent.futures import CancelledError
from typing import Any

import numpy as np

from device.hardware.ports import HardwareError
from device.model import Frame

BUFFERS = 4
"""One being filled, one waiting, one held here, one spare."""

AF_MANUAL = 0
"""libcamera's AfModeManual: the lens stays where it is put."""


class PiCamera:
    """`Camera` on picamera2. Exposure, gain and focus are fixed: hunting costs frames while a phone moves.

    Measured need (exposure): a 50 mm code moving at 0.5 m/s wants 2.8 ms or less. `focus_dioptre` is 1 / metres.
    None leaves a setting to the camera; a setting that this camera lacks is left out.
    """

    def __init__(
        self,
        *,
        width_px: int = 640,
        height_px: int = 480,
        fps: float = 30.0,
        exposure_us: int | None = None,
        gain: float | None = None,
        focus_dioptre: float | None = None,
        camera_index: int = 0,
    ) -> None:
        self._size_px = (width_px, height_px)
        self._frame_us = round(1_000_000 / fps)
        self._exposure_us = exposure_us
        self._gain = gain
        self._focus_dioptre = focus_dioptre
        self._index = camera_index
        self._camera: Any = None
        self._mapped_array: Any = None
        self._pending: Any = None
        self._seq = 0

    def start(self) -> None:
        """As `Camera.start`. The camera is opened anew each time, which also cures a wedged one."""
        try:
            from picamera2 import MappedArray, Picamera2

            self._mapped_array = MappedArray
            self._camera = Picamera2(self._index)
            width_px, height_px = self._size_px
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": (2 * width_px, 2 * height_px), "format": "YUV420"},
                    lores={"size": self._size_px, "format": "YUV420"},
                    buffer_count=BUFFERS,
                    controls=self._controls(self._camera.camera_controls),
                )
            )
            self._camera.start()
        except (ImportError, RuntimeError, IndexError, ValueError, OSError) as error:
            # picamera2 says RuntimeError for most faults and IndexError for a camera that is not there.
            self.stop()
            raise HardwareError(f"camera {self._index} does not start: {error}") from error

    def read(self, timeout_s: float) -> Frame | None:
        """As `Camera.read`. An unanswered wish for a frame is kept, not repeated, so that no buffer is lost."""
        if self._camera is None:
            raise HardwareError("the camera was not started")
        if self._pending is None:
            self._pending = self._camera.capture_request(wait=False)
        try:
            request = self._camera.wait(self._pending, timeout=timeout_s)
        except TimeoutError:
            return None
        except (RuntimeError, CancelledError) as error:
            self._pending = None
            raise HardwareError(f"camera {self._index} gave no frame: {error}") from error
        self._pending = None
        try:
            return self._frame(request)
        finally:
            request.release()

    def stop(self) -> None:
        """As `Camera.stop`. picamera2 may hang in here when the driver does; the watchdog ends that."""
        camera, self._camera = self._camera, None
        pending, self._pending = self._pending, None
        if camera is None:
            return
        # A wish still queued would be served by nobody and block the stop behind it.
        camera.cancel_all_and_flush()
        if pending is not None:
            # It was cancelled, unless a frame came just before: that one has a buffer to give back.
            with contextlib.suppress(CancelledError, TimeoutError):
                camera.wait(pending, timeout=0).release()
        camera.stop()
        camera.close()

    def _controls(self, offered: dict[str, Any]) -> dict[str, Any]:
        wanted: dict[str, Any] = {"FrameDurationLimits": (self._frame_us, self._frame_us)}
        if self._exposure_us is not None:
            wanted |= {"AeEnable": False, "ExposureTime": self._exposure_us}
        if self._gain is not None:
            wanted |= {"AeEnable": False, "AnalogueGain": self._gain}
        if self._focus_dioptre is not None:
            wanted |= {"AfMode": AF_MANUAL, "LensPosition": self._focus_dioptre}
        return {name: value for name, value in wanted.items() if name in offered}

    def _frame(self, request: Any) -> Frame:
        """Copies the Y plane out: the only copy, because the buffer goes back to the camera."""
        width_px, height_px = self._size_px
        with self._mapped_array(request, "lores", write=False) as mapped:
            # Rows below are chroma, columns to the right are the padding of each row to its stride.
            luma = np.array(mapped.array[:height_px, :width_px])
        self._seq += 1
        return Frame(luma=luma, seq=self._seq, at_mono_ns=_captured_mono_ns(request.get_metadata()))


def _captured_mono_ns(metadata: dict[str, Any]) -> int:
    """When the sensor began this frame. `SensorTimestamp` counts ns of CLOCK_BOOTTIME; without one it is now."""
    now_ns = time.monotonic_ns()
    sensor_ns = metadata.get("SensorTimestamp")
    if not isinstance(sensor_ns, int):
        return now_ns
    asleep_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now_ns
    return min(now_ns, sensor_ns - asleep_ns)
