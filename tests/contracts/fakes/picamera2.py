"""A FAKE of picamera2 for tests: only the calls that our adapter makes, answered as picamera2 0.3.38 does.

It gives rows padded to their stride, as a Pi's ISP does, keeps count of buffers that were not given back, and stalls
when told to. It shows nothing about real cameras, drivers or times.
"""

import time
from concurrent.futures import CancelledError
from typing import ClassVar

import numpy as np

PADDING_PX = 32
SENSOR_LAG_NS = 5_000_000


class Picamera2:
    """One fake camera. Tests steer it through the class: `stalled`, `absent`, and look at `opened`."""

    stalled = False
    absent = False
    sensor_timestamps = True
    offered = ("FrameDurationLimits", "AeEnable", "ExposureTime", "AnalogueGain")
    opened: ClassVar[list["Picamera2"]] = []

    def __init__(self, camera_num=0):
        if self.absent:
            raise IndexError("list index out of range")
        self.camera_num = camera_num
        self.camera_controls = dict.fromkeys(self.offered, (0, 1, 0))
        self.started = self.closed = False
        self.lent = 0
        self.jobs = []
        Picamera2.opened.append(self)

    def create_video_configuration(self, **kwargs):
        return kwargs

    def configure(self, config):
        self.config = config

    def start(self):
        self.started = True

    def capture_request(self, wait=None):
        assert wait is False, "a job that nobody can cancel would keep its buffer for ever"
        self.jobs.append(_Job())
        return self.jobs[-1]

    def wait(self, job, timeout=None):
        if job.cancelled:
            raise CancelledError
        if self.stalled:
            time.sleep(timeout)
            raise TimeoutError
        self.jobs.remove(job)
        return _Request(self)

    def cancel_all_and_flush(self):
        for job in self.jobs:
            job.cancelled = True
        self.jobs = []

    def stop(self):
        assert not self.jobs, "stop waits behind every queued job"
        self.started = False

    def close(self):
        assert self.lent == 0, "a buffer was not given back"
        self.closed = True


class MappedArray:
    """The buffer itself: it is overwritten as soon as the request is released."""

    def __init__(self, request, stream, *, write=True):
        assert not write, "a reader need not wait for the cache to be written back"
        self._buffer = request.buffers[stream]

    def __enter__(self):
        self.array = self._buffer
        return self

    def __exit__(self, *_):
        del self.array


class _Job:
    def __init__(self):
        self.cancelled = False


class _Request:
    def __init__(self, camera):
        self._camera = camera
        camera.lent += 1
        assert camera.lent <= camera.config["buffer_count"]
        width_px, height_px = camera.config["lores"]["size"]
        buffer = np.full((height_px * 3 // 2, width_px + PADDING_PX), 128, dtype=np.uint8)
        buffer[:height_px, :width_px] = np.arange(width_px, dtype=np.uint16).astype(np.uint8)
        buffer[:height_px, width_px:] = 255
        self.buffers = {"lores": buffer}

    def get_metadata(self):
        if not self._camera.sensor_timestamps:
            return {}
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - SENSOR_LAG_NS}

    def release(self):
        self._camera.lent -= 1
        self.buffers["lores"][:] = 0
