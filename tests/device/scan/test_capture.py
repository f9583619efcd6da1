"""The camera's thread, run on the test's own thread with a scripted camera and clock."""

import threading

import numpy as np
import pytest

from device.hardware.ports import EndOfFramesError, HardwareError
from device.model import Frame
from device.scan.capture import STALL_S, CameraLostError, Capture, Mailbox


def frame(seq):
    return Frame(luma=np.zeros((2, 2), dtype=np.uint8), seq=seq, at_mono_ns=seq)


class ScriptedCamera:
    """Plays steps: an int is a frame, a float is so many seconds without one, an exception is raised."""

    def __init__(self, *steps, starts=()):
        self.steps = list(steps)
        self.starts = list(starts)
        self.calls = []
        self.clock_s = 1000.0

    def now_s(self):
        return self.clock_s

    def start(self):
        self.calls.append("start")
        if self.starts and (error := self.starts.pop(0)):
            raise error

    def stop(self):
        self.calls.append("stop")

    def read(self, timeout_s):
        step = self.steps.pop(0) if self.steps else EndOfFramesError("script over")
        if isinstance(step, Exception):
            raise step
        if isinstance(step, float):
            self.clock_s += min(step, timeout_s)
            if step > timeout_s:
                self.steps.insert(0, step - timeout_s)
            return None
        self.clock_s += 0.033
        return frame(step)


def run(camera):
    mailbox = Mailbox()
    capture = Capture(camera=camera, mailbox=mailbox, now_s=camera.now_s)
    capture.run()
    return capture, mailbox


def test_the_newest_frame_wins_and_the_others_are_counted():
    capture, mailbox = run(ScriptedCamera(1, 2, 3))
    assert mailbox.take(0).seq == 3
    assert mailbox.dropped == 2
    assert capture.frames == 3


def test_a_taken_frame_is_not_given_again():
    mailbox = Mailbox()
    mailbox.put(frame(1))
    assert mailbox.take(0).seq == 1
    assert mailbox.take(0) is None
    assert mailbox.dropped == 0


def test_the_taker_wakes_when_a_frame_comes():
    mailbox = Mailbox()
    taken = []
    taker = threading.Thread(target=lambda: taken.append(mailbox.take(10)))
    taker.start()
    mailbox.put(frame(7))
    taker.join(10)
    assert [one.seq for one in taken] == [7]


def test_the_end_of_a_film_reaches_the_taker_after_the_last_frame():
    camera = ScriptedCamera(1)
    capture, mailbox = run(camera)
    assert mailbox.take(0).seq == 1
    for _ in range(2):
        with pytest.raises(EndOfFramesError):
            mailbox.take(10)
    assert isinstance(capture.failure, EndOfFramesError)
    assert camera.calls == ["start", "stop"]


def test_a_short_pause_is_no_stall():
    camera = ScriptedCamera(1, STALL_S - 0.5, 2)
    capture, mailbox = run(camera)
    assert capture.restarts == 0
    assert mailbox.take(0).seq == 2


def test_a_stalled_camera_is_restarted_and_goes_on():
    camera = ScriptedCamera(1, STALL_S, 2, STALL_S, 3)
    capture, mailbox = run(camera)
    assert capture.restarts == 2
    assert camera.calls == ["start", "stop", "start", "stop", "start", "stop"]
    assert mailbox.take(0).seq == 3
    assert isinstance(capture.failure, EndOfFramesError)


def test_a_camera_that_stays_silent_is_lost():
    camera = ScriptedCamera(1, 2 * STALL_S, 2)
    capture, mailbox = run(camera)
    assert capture.restarts == 1
    assert isinstance(capture.failure, CameraLostError)
    assert mailbox.take(0).seq == 1
    with pytest.raises(CameraLostError, match="no frames"):
        mailbox.take(10)


def test_a_camera_that_fails_is_restarted_at_once():
    capture, mailbox = run(ScriptedCamera(1, HardwareError("unplugged"), 2))
    assert capture.restarts == 1
    assert mailbox.take(0).seq == 2


def test_a_camera_that_fails_again_is_lost():
    capture, _ = run(ScriptedCamera(1, HardwareError("unplugged"), HardwareError("unplugged")))
    assert capture.restarts == 1
    assert isinstance(capture.failure, CameraLostError)
    assert "unplugged" in str(capture.failure)


def test_a_restart_that_fails_is_the_end():
    capture, mailbox = run(ScriptedCamera(STALL_S, starts=[None, HardwareError("busy")]))
    assert isinstance(capture.failure, CameraLostError)
    with pytest.raises(CameraLostError, match="busy"):
        mailbox.take(10)


def test_a_camera_that_never_starts_is_reported():
    capture, _ = run(ScriptedCamera(starts=[HardwareError("no camera")]))
    assert isinstance(capture.failure, HardwareError)


def test_a_bug_in_the_camera_wakes_the_taker_too():
    capture, mailbox = run(ScriptedCamera(ZeroDivisionError("bug")))
    assert isinstance(capture.failure, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        mailbox.take(10)


def test_the_thread_ends_when_told():
    class Endless(ScriptedCamera):
        def read(self, timeout_s):
            reading.set()
            return frame(1)

    reading = threading.Event()
    camera, mailbox = Endless(), Mailbox()
    capture = Capture(camera=camera, mailbox=mailbox)
    capture.start()
    assert reading.wait(10)
    capture.stop()
    assert not capture._thread.is_alive()
    assert capture.failure is None
    assert camera.calls == ["start", "stop"]
