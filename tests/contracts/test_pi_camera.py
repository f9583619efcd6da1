"""What only the Pi's camera adapter does, on the FAKE picamera2."""

import sys
import time

import numpy as np
import pytest

from device.hardware.pi.camera import PiCamera
from device.hardware.ports import HardwareError


def test_padding_and_chroma_are_cut_and_the_buffer_is_not_kept(fake_picamera2):
    camera = PiCamera(width_px=320, height_px=240)
    camera.start()
    frame = camera.read(1.0)
    assert frame.luma.shape == (240, 320)
    assert np.array_equal(frame.luma, np.tile(np.arange(320, dtype=np.uint16).astype(np.uint8), (240, 1)))
    assert frame.luma.base is None
    camera.stop()


def test_the_frame_bears_the_sensors_time_on_the_monotonic_clock(fake_picamera2):
    camera = PiCamera()
    camera.start()
    before_ns = time.monotonic_ns()
    frame = camera.read(1.0)
    assert before_ns - 6_000_000 < frame.at_mono_ns <= time.monotonic_ns() - 4_000_000
    fake_picamera2.sensor_timestamps = False
    before_ns = time.monotonic_ns()
    assert before_ns <= camera.read(1.0).at_mono_ns <= time.monotonic_ns()
    camera.stop()


def test_a_stall_is_none_and_costs_no_buffer(fake_picamera2):
    camera = PiCamera()
    camera.start()
    opened = fake_picamera2.opened[0]
    fake_picamera2.stalled = True
    for _ in range(20):
        assert camera.read(0.001) is None
    assert len(opened.jobs) == 1
    fake_picamera2.stalled = False
    assert camera.read(0.001) is not None
    assert opened.lent == 0
    camera.stop()


def test_a_stalled_camera_is_restarted_by_opening_it_anew(fake_picamera2):
    camera = PiCamera()
    camera.start()
    fake_picamera2.stalled = True
    assert camera.read(0.001) is None
    camera.stop()
    fake_picamera2.stalled = False
    camera.start()
    assert camera.read(0.001) is not None
    first, second = fake_picamera2.opened
    assert first.closed
    assert second.started
    camera.stop()
    assert second.closed


def test_only_settings_that_the_camera_has_are_set(fake_picamera2):
    camera = PiCamera(fps=25, exposure_us=2800, gain=4.0, focus_dioptre=5.0)
    camera.start()
    config = fake_picamera2.opened[0].config
    assert config["controls"] == {
        "FrameDurationLimits": (40_000, 40_000),
        "AeEnable": False,
        "ExposureTime": 2800,
        "AnalogueGain": 4.0,
    }
    assert config["lores"] == {"size": (640, 480), "format": "YUV420"}
    camera.stop()
    fake_picamera2.offered = (*fake_picamera2.offered, "AfMode", "LensPosition")
    camera.start()
    controls = fake_picamera2.opened[1].config["controls"]
    assert controls["AfMode"] == 0
    assert controls["LensPosition"] == 5.0
    camera.stop()


def test_a_camera_that_is_not_there_says_so(fake_picamera2):
    fake_picamera2.absent = True
    with pytest.raises(HardwareError):
        PiCamera().start()


def test_off_a_pi_only_starting_needs_picamera2(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    camera = PiCamera()
    with pytest.raises(HardwareError):
        camera.start()
    camera.stop()
