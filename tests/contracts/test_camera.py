"""The contract of `Camera`, on every simulated camera and on the Pi's adapter.

The Pi's adapter runs on a FAKE picamera2 (`fake_picamera2` in conftest): it mimics only the calls that are used, as
picamera2 0.3.38 answers them. The real picamera2 is tried on libcamera's virtual camera or a Pi.
"""

import itertools

import numpy as np
import pytest

from device.hardware.ports import HardwareError

pytestmark = [pytest.mark.sockets, pytest.mark.usefixtures("fake_picamera2")]


def test_frames_are_grey_rows_in_order_with_their_time(camera):
    camera.start()
    frames = [camera.read(1.0) for _ in range(3)]
    for frame in frames:
        assert frame.luma.dtype == np.uint8
        assert frame.luma.shape == (480, 640)
        assert frame.luma.strides[1] == 1
    assert all(b.seq == a.seq + 1 for a, b in itertools.pairwise(frames))
    assert all(b.at_mono_ns > a.at_mono_ns for a, b in itertools.pairwise(frames))


def test_starts_again_after_a_stop_and_goes_on_counting(camera):
    camera.start()
    before = camera.read(1.0)
    camera.stop()
    camera.stop()
    camera.start()
    assert camera.read(1.0).seq == before.seq + 1


def test_a_camera_that_was_not_started_says_so(camera):
    with pytest.raises(HardwareError):
        camera.read(0.0)
    camera.start()
    camera.stop()
    with pytest.raises(HardwareError):
        camera.read(0.0)
