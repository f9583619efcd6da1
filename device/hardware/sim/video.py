"""A camera that looks at a film. The only module that needs PyAV."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from device.hardware.ports import EndOfFramesError, HardwareError
from device.hardware.sim.pace import Pace
from device.model import Frame

UNSAID_FPS = 25.0
"""For films that do not tell their rate."""


class VideoCamera:
    """`Camera` on a film: at its own rate, or with `paced=False` as fast as it is read; again with `loop`."""

    def __init__(self, *, path: Path, paced: bool = True, loop: bool = False) -> None:
        self._path = path
        self._paced = paced
        self._loop = loop
        self._pace: Pace | None = None
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())
        self._seq = 0

    def start(self) -> None:
        """As `Camera.start`; begins with the first frame."""
        fps = self._open()
        self._pace = Pace(fps=fps) if self._paced else None

    def read(self, timeout_s: float) -> Frame | None:
        """As `Camera.read`."""
        if self._container is None:
            raise HardwareError("the camera was not started")
        if self._pace is not None and not self._pace.wait(timeout_s):
            return None
        picture = self._next()
        if picture is None and self._loop:
            self._open()
            picture = self._next()
        if picture is None:
            raise EndOfFramesError(f"{self._path} is over")
        self._seq += 1
        luma = np.asarray(picture.to_ndarray(format="gray"), dtype=np.uint8)
        return Frame(luma=luma, seq=self._seq, at_mono_ns=time.monotonic_ns())

    def stop(self) -> None:
        """As `Camera.stop`."""
        container, self._container = self._container, None
        self._frames = iter(())
        if container is not None:
            container.close()

    def _open(self) -> float:
        """Opens the film at its beginning; returns its rate."""
        self.stop()
        try:
            self._container = av.open(str(self._path))
            stream = self._container.streams.video[0]
        except (av.error.FFmpegError, OSError, IndexError) as error:
            self.stop()
            raise HardwareError(f"{self._path} is not a film: {error}") from error
        self._frames = self._container.decode(stream)
        return float(stream.average_rate or UNSAID_FPS)

    def _next(self) -> Any:
        try:
            return next(self._frames, None)
        except av.error.FFmpegError as error:
            raise HardwareError(f"{self._path} is broken: {error}") from error
