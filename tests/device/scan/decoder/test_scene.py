"""Which frames are worth a decode."""

import numpy as np
import pytest

from device.scan.decoder.scene import BARE_FRAMES, CLOSER_EVERY, CLOSER_FIRST, EVERY, SceneGate
from device.scan.decoder.wire import Effort


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def worth(gate, picture):
    """Whether it is decoded; nothing in it looks like a code."""
    effort = gate.effort(picture)
    if effort is not None:
        gate.saw(code_like=False)
    return effort is not None


def hall(rng, noise=0.0, size=(480, 640)):
    picture = np.tile(np.linspace(60, 160, size[1]), (size[0], 1)) + rng.normal(0, noise, size)
    return picture.clip(0, 255).astype(np.uint8)


def test_the_first_frame_is_decoded_then_every_fifth(rng):
    gate, picture = SceneGate(), hall(rng)
    decoded = [worth(gate, picture) for _ in range(2 * EVERY + 1)]
    assert decoded == [True, *[False] * (EVERY - 1), True, *[False] * (EVERY - 1), True]


def test_sensor_noise_is_no_change(rng):
    gate = SceneGate()
    worth(gate, hall(rng, noise=5))
    assert not worth(gate, hall(rng, noise=5))


def test_a_dark_hall_s_noise_is_no_change_and_a_code_in_it_is(rng):
    gate = SceneGate()
    worth(gate, hall(rng, noise=9))
    assert not worth(gate, hall(rng, noise=9))
    shown = hall(rng, noise=9)
    shown[100:200, 100:200] = rng.integers(0, 2, (50, 50)).repeat(2, 0).repeat(2, 1) * 150 + 50
    assert worth(gate, shown)


def test_lamps_that_are_switched_on_are_a_change(rng):
    gate, picture = SceneGate(), hall(rng, noise=3)
    worth(gate, picture)
    assert worth(gate, picture + 35)


def test_a_still_scene_gets_closer_looks_and_then_few(rng):
    gate, picture = SceneGate(), hall(rng)
    efforts = [gate.effort(picture) for _ in range(EVERY * (CLOSER_FIRST + 3 * CLOSER_EVERY) + 1)]
    decoded = [effort for effort in efforts if effort is not None]
    assert decoded[0] is Effort.GLANCE
    assert decoded[1 : CLOSER_FIRST + 1] == [Effort.CLOSER] * CLOSER_FIRST
    assert decoded[CLOSER_FIRST + 1 :].count(Effort.CLOSER) == 3


def busy(count):
    """A hall in which no frame is like another."""
    return [np.full((480, 640), 40 + 37 * number % 180, np.uint8) for number in range(count)]


def test_where_every_frame_changes_and_nothing_looks_like_a_code_every_second_is_decoded():
    gate = SceneGate()
    decoded = [worth(gate, picture) for picture in busy(BARE_FRAMES + 20)]
    assert decoded == [True] * BARE_FRAMES + [False, True] * 10


def test_something_like_a_code_wakes_it_up():
    gate, pictures = SceneGate(), busy(BARE_FRAMES + 12)
    for picture in pictures[:BARE_FRAMES]:
        worth(gate, picture)
    asked = [gate.effort(picture) for picture in pictures[BARE_FRAMES:]]
    assert asked.count(None) == 6
    gate.saw(code_like=True)
    assert all(gate.effort(picture) is not None for picture in pictures[:6])


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1088, 1456)])
@pytest.mark.parametrize("corner", [0, 200, 380])
def test_the_smallest_code_is_a_change(rng, size, corner):
    gate, picture = SceneGate(), hall(rng, size=size)
    worth(gate, picture)
    side = 49 * 2 * size[1] // 640
    modules = rng.integers(0, 2, (side // 2, side // 2)).repeat(2, 0).repeat(2, 1) * 120 + 70
    shown = picture.copy()
    shown[corner : corner + modules.shape[0], corner : corner + modules.shape[1]] = modules[
        : size[0] - corner, : size[1] - corner
    ]
    assert worth(gate, shown)
    assert not worth(gate, shown)


def test_slow_drift_adds_up(rng):
    gate, picture = SceneGate(), hall(rng)
    worth(gate, picture)
    assert not worth(gate, picture + 10)
    assert not worth(gate, picture + 20)
    assert worth(gate, picture + 30)


def test_a_new_frame_size_and_a_forgotten_frame_are_changes(rng):
    gate = SceneGate()
    worth(gate, hall(rng))
    assert worth(gate, hall(rng, size=(240, 400)))
    gate.forget()
    assert worth(gate, hall(rng, size=(240, 400)))


def test_it_keeps_no_view_of_the_camera_memory(rng):
    gate, picture = SceneGate(), hall(rng)
    worth(gate, picture)
    picture += 60
    assert worth(gate, picture)
