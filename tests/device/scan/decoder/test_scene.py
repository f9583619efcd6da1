"""Which frames are worth a decode."""

import numpy as np
import pytest

from device.scan.decoder.scene import EVERY, SceneGate


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def hall(rng, noise=0.0, size=(480, 640)):
    picture = np.tile(np.linspace(60, 160, size[1]), (size[0], 1)) + rng.normal(0, noise, size)
    return picture.clip(0, 255).astype(np.uint8)


def test_the_first_frame_is_decoded_then_every_fifth(rng):
    gate, picture = SceneGate(), hall(rng)
    worth = [gate.worth_decoding(picture) for _ in range(2 * EVERY + 1)]
    assert worth == [True, *[False] * (EVERY - 1), True, *[False] * (EVERY - 1), True]


def test_sensor_noise_is_no_change(rng):
    gate = SceneGate()
    gate.worth_decoding(hall(rng, noise=5))
    assert not gate.worth_decoding(hall(rng, noise=5))


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1088, 1456)])
@pytest.mark.parametrize("corner", [0, 200, 380])
def test_the_smallest_code_is_a_change(rng, size, corner):
    gate, picture = SceneGate(), hall(rng, size=size)
    gate.worth_decoding(picture)
    side = 49 * 2 * size[1] // 640
    modules = rng.integers(0, 2, (side // 2, side // 2)).repeat(2, 0).repeat(2, 1) * 120 + 70
    shown = picture.copy()
    shown[corner : corner + modules.shape[0], corner : corner + modules.shape[1]] = modules[
        : size[0] - corner, : size[1] - corner
    ]
    assert gate.worth_decoding(shown)
    assert not gate.worth_decoding(shown)


def test_slow_drift_adds_up(rng):
    gate, picture = SceneGate(), hall(rng)
    gate.worth_decoding(picture)
    assert not gate.worth_decoding(picture + 10)
    assert not gate.worth_decoding(picture + 20)
    assert gate.worth_decoding(picture + 30)


def test_a_new_frame_size_and_a_forgotten_frame_are_changes(rng):
    gate = SceneGate()
    gate.worth_decoding(hall(rng))
    assert gate.worth_decoding(hall(rng, size=(240, 400)))
    gate.forget()
    assert gate.worth_decoding(hall(rng, size=(240, 400)))


def test_it_keeps_no_view_of_the_camera_memory(rng):
    gate, picture = SceneGate(), hall(rng)
    gate.worth_decoding(picture)
    picture += 60
    assert gate.worth_decoding(picture)
