"""Runs the gate on a camera of pictures: what libcamera's virtual camera lacks beside a sensor is made up for here.

The firmware is the checkout's. What it logs goes to stdout as ever; every `REPORT_FRAMES` frames a line about frames
and about what its processes hold goes to stderr. GATELIGHT_FPS holds the camera to a pace, for it has none of its own.
"""

import json
import mmap
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libcamera
import picamera2.picamera2
from picamera2.allocators.dmaallocator import DmaAllocator
from picamera2.request import CompletedRequest

from device.cli import main
from device.hardware.pi.camera import PiCamera
from device.scan.decoder.process import ChildProcess

REPORT_FRAMES = 100


class TwoPlanes(DmaAllocator):  # type: ignore[misc]  # no types are shipped
    """Each buffer told of as two planes, brightness and colour: NV12, the only format of that camera."""

    def allocate(self, libcamera_config: Any, _use_case: Any) -> None:
        """As DmaAllocator's, which has one plane."""
        self.libcamera_fds: list[int] = []
        self.cleanup()
        for descriptor in self.open_fds:  # type: ignore[has-type]
            os.close(descriptor)
        self.frame_buffers: dict[Any, list[Any]] = {}
        self.open_fds = list[int]()
        for stream in libcamera_config:
            self.frame_buffers[stream.stream] = [self._buffer(stream, number) for number in range(stream.buffer_count)]

    def _buffer(self, stream: Any, number: int) -> Any:
        descriptor = self.dmaHeap.alloc(f"gatelight-{number}", stream.frame_size).get()
        self.open_fds.append(descriptor)
        brightness = stream.stride * stream.size.height
        planes = []
        for offset, length in ((0, brightness), (brightness, stream.frame_size - brightness)):
            plane = libcamera.FrameBuffer.Plane()
            plane.fd, plane.offset, plane.length = descriptor, offset, length
            planes.append(plane)
        buffer = libcamera.FrameBuffer(planes)
        own = buffer.planes[0].fd
        self.libcamera_fds.append(own)
        self.mapped_buffers_used[own] = False
        access = mmap.PROT_READ | mmap.PROT_WRITE
        self.mapped_buffers[buffer] = mmap.mmap(descriptor, stream.frame_size, mmap.MAP_SHARED, access)
        return buffer


def paced(release: Callable[[Any], None], *, fps: float) -> Callable[[Any], None]:
    """`CompletedRequest.release`, which gives a buffer back to be filled, as often as a sensor has a picture for it."""
    waiting: queue.Queue[Any] = queue.Queue()

    def give_back() -> None:
        while True:
            request = waiting.get()
            # Others may still look at it.
            is_last = request.ref_count == 1
            release(request)
            if is_last:
                time.sleep(1 / fps)

    def later(request: Any) -> None:
        waiting.put(request)

    threading.Thread(target=give_back, name="sensor", daemon=True).start()
    return later


class Asked:
    """How many frames the decoder was given: what shows no change is kept back, and the camera repeats itself."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self.times = 0

        def count(child: ChildProcess, *arguments: Any, **named: Any) -> Any:
            self.times += 1
            return ask(child, *arguments, **named)

        self.ask = count


def counted(read: Callable[[PiCamera, float], Any], *, asked: Asked) -> Callable[[PiCamera, float], Any]:
    """`PiCamera.read`, with a line now and then."""
    frames = 0

    def count(camera: PiCamera, timeout_s: float) -> Any:
        nonlocal frames
        frame = read(camera, timeout_s)
        if frame is not None:
            frames += 1
            if frames % REPORT_FRAMES == 0:
                held = [status(process) for process in processes()]
                sys.stderr.write(json.dumps({"frames": frames, "decoded": asked.times, "processes": held}) + "\n")
                sys.stderr.flush()
        return frame

    return count


def processes() -> list[str]:
    """The ids of this process and of its children: the decoder, and a spare one."""
    # A thread's own children, and the scan's thread has them.
    children = [path.read_text(encoding="ascii") for path in Path("/proc/self/task").glob("*/children")]
    return [str(os.getpid()), *" ".join(children).split()]


def status(process: str) -> dict[str, int]:
    """What a process holds for itself, and whether its system calls are filtered (2: they are).

    Without memory that is shared: it differs by 2 MiB with the camera's buffers that are looked at just now. What stays
    of it stays by a descriptor.
    """
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {
        "memory_kib": int(fields["RssAnon"].split()[0]),
        "descriptors": len(list(Path(f"/proc/{process}/fd").iterdir())),
        "seccomp": int(fields["Seccomp"]),
    }


if __name__ == "__main__":
    picamera2.picamera2.DmaAllocator = TwoPlanes
    # The virtual camera has no raw pictures to choose a mode of its sensor by.
    picamera2.picamera2.Picamera2._get_raw_modes = lambda _: [{"format": "NV12", "size": (1280, 960)}]  # noqa: SLF001
    asked = Asked(ChildProcess.ask)
    ChildProcess.ask = asked.ask  # type: ignore[method-assign,assignment]
    PiCamera.read = counted(PiCamera.read, asked=asked)  # type: ignore[method-assign,assignment]
    if fps := float(os.environ["GATELIGHT_FPS"]):
        # The virtual camera fills a buffer at once, and would show a picture for a few milliseconds.
        CompletedRequest.release = paced(CompletedRequest.release, fps=fps)
    sys.exit(main(sys.argv[1:]))
