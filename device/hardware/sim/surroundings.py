"""What a gate's camera sees besides the phone: a hall out of focus, and the sensor's noise over everything."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Luma = npt.NDArray[np.uint8]

DARKEST, BRIGHTEST = 20, 235
"""Pictures stay between these, so that NOISE_MAX of noise can be added to bytes without an overflow."""

NOISE_MAX = 20


def background(*, size: tuple[int, int], rng: np.random.Generator) -> Luma:
    """A hall out of focus: floor, shop fronts, pillars, people; uint8 (height, width)."""
    width_px, height_px = size
    columns, rows = 32, 24
    coarse = np.linspace(rng.uniform(60, 110), rng.uniform(100, 160), rows)[:, None].repeat(columns, axis=1)
    for _ in range(8):
        left, top = rng.integers(0, columns - 4), rng.integers(0, rows - 8)
        wide, high = rng.integers(2, 9), rng.integers(4, 16)
        coarse[top : top + high, left : left + wide] += rng.uniform(-60, 80)
    picture = Image.fromarray(coarse.clip(DARKEST, BRIGHTEST).astype(np.uint8))
    return np.array(picture.resize((width_px, height_px), Image.Resampling.BICUBIC)).clip(DARKEST, BRIGHTEST)


def noise_field(*, size: tuple[int, int], sigma: float, rng: np.random.Generator) -> Luma:
    """Sensor noise, within NOISE_MAX each way, as bytes in two's complement."""
    field = rng.standard_normal((size[1], size[0]), dtype=np.float32) * np.float32(sigma)
    return field.clip(-NOISE_MAX, NOISE_MAX).astype(np.int8).view(np.uint8)


def add_noise(scene: Luma, noise: Luma) -> Luma:
    """`scene` with `noise` of the same shape on it: one pass, since neither can overflow."""
    return np.add(scene, noise)
