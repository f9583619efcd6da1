"""People at a gate, frame by frame: a phone swings in, settles, comes into focus and trembles; and halls without one.

Rendered by what the simulated cameras use (device/hardware/sim). Motion blur is light gathered over EXPOSURE_S; focus
comes after the hand is still, as a camera's does. No real phone, hand or lens was filmed.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import ImageFilter
from rig import SIZE

from device.hardware.sim.looks import Look
from device.hardware.sim.phone import HeldPhone, qr_modules
from device.hardware.sim.surroundings import add_noise, background, noise_field

FPS = 30
HELD_S = 1.6
FRAMES = round(HELD_S * FPS)
EXPOSURE_S = 0.008
# Between two sub-exposures the phone moves no further than this.
STEP_PX = 1.5
STEPS_MAX = 16
NOISE_MARGIN_PX = 64


class Noise:
    """Another window of one large field for each frame."""

    def __init__(self, *, sigma: float, rng: np.random.Generator) -> None:
        self._rng = rng
        self._field = noise_field(size=(SIZE[0] + NOISE_MARGIN_PX, SIZE[1] + NOISE_MARGIN_PX), sigma=sigma, rng=rng)

    def over(self, scene: np.ndarray) -> np.ndarray:
        top, left = self._rng.integers(0, NOISE_MARGIN_PX, 2)
        return add_noise(scene, self._field[top : top + SIZE[1], left : left + SIZE[0]])


def presentation(text: str, *, look: Look, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The frames of one phone from the moment it comes into view, HELD_S long."""
    hall = background(size=SIZE, rng=rng)
    noise = Noise(sigma=look.noise, rng=rng)
    phone = HeldPhone.drawn(qr_modules(text), room_px=SIZE, rng=rng, look=look)
    sharp = phone.blur
    swing_s, from_deg = rng.uniform(0.35, 0.8), rng.uniform(0, 2 * math.pi)
    far_px = 0.6 * math.hypot(*SIZE)
    roll_deg, shrink = rng.uniform(-35, 35), rng.uniform(0.75, 0.95)
    wobble_px, wobble_hz = rng.uniform(2, 8), rng.uniform(2, 4)
    focus_px, focus_s = rng.uniform(0.8, 2.5), rng.uniform(0.08, 0.25)
    tremor_px, tremor_hz = rng.uniform(0.2, 1.0), rng.uniform(5, 9)

    def place(at_s: float) -> tuple[float, float, float]:
        """How far the phone still is from where it will rest: x, y in px, and the share of the way that is left."""
        left = (1 - min(at_s / swing_s, 1)) ** 3
        after_s = max(0.0, at_s - swing_s)
        wobble = wobble_px * math.exp(-after_s / 0.15) * math.sin(2 * math.pi * wobble_hz * after_s)
        tremor = tremor_px * math.sin(2 * math.pi * tremor_hz * at_s)
        away = left * far_px
        return (
            away * math.cos(from_deg) + wobble + tremor,
            away * math.sin(from_deg) + 0.6 * wobble - tremor,
            left,
        )

    for number in range(FRAMES):
        at_s = number / FPS
        x, y, left = place(at_s)
        earlier_x, earlier_y, _ = place(at_s - EXPOSURE_S)
        soft_px = focus_px * math.exp(-max(0.0, at_s - 0.7 * swing_s) / focus_s)
        steps = min(STEPS_MAX, max(1, math.ceil(math.hypot(x - earlier_x, y - earlier_y) / STEP_PX)))
        light = np.zeros(hall.shape, np.uint16)
        for step in range(steps):
            part = step / steps
            held = replace(
                phone,
                scale=phone.scale * (1 - (1 - shrink) * left),
                angles_deg=(*phone.angles_deg[:2], phone.angles_deg[2] + roll_deg * left),
                offset_px=(
                    phone.offset_px[0] + x + (earlier_x - x) * part,
                    phone.offset_px[1] + y + (earlier_y - y) * part,
                ),
                blur=ImageFilter.GaussianBlur(soft_px) if soft_px > 0.6 else sharp,
            )
            scene = hall.copy()
            held.lay_over(scene, centre_px=(SIZE[0] / 2, SIZE[1] / 2), moved=0)
            light += scene
        yield noise.over((light // steps).astype(np.uint8))


def still_hall(count: int, *, sigma: float, seed: int = 1) -> list[np.ndarray]:
    """Nobody there: one hall, other noise in each frame."""
    rng = np.random.default_rng(seed)
    hall, noise = background(size=SIZE, rng=rng), Noise(sigma=sigma, rng=rng)
    return [noise.over(hall) for _ in range(count)]


def flickering_hall(count: int, *, sigma: float, seed: int = 2) -> list[np.ndarray]:
    """Nobody there, under lamps that flicker: brightness sways by a fifth, three times a second."""
    rng = np.random.default_rng(seed)
    hall, noise = background(size=SIZE, rng=rng).astype(np.float32), Noise(sigma=sigma, rng=rng)
    return [
        noise.over((hall * (0.9 + 0.1 * math.sin(2 * math.pi * 3 * number / FPS))).clip(20, 235).astype(np.uint8))
        for number in range(count)
    ]


def walking_by(count: int, *, sigma: float, seed: int = 3) -> list[np.ndarray]:
    """People in striped and plain clothes walk through the picture, somebody in every frame."""
    rng = np.random.default_rng(seed)
    hall, noise = background(size=SIZE, rng=rng), Noise(sigma=sigma, rng=rng)
    people = [
        (
            rng.uniform(0, SIZE[0]),
            rng.choice([-1, 1]) * rng.uniform(4, 12),
            clothes(rng, wide_px=int(rng.integers(90, 220)), high_px=int(rng.integers(260, 460))),
        )
        for _ in range(3)
    ]
    made = []
    for number in range(count):
        scene = hall.copy()
        for start_px, step_px, worn in people:
            high, wide = worn.shape
            left = int((start_px + number * step_px) % (SIZE[0] + wide)) - wide
            first, last = max(0, left), min(SIZE[0], left + wide)
            if last > first:
                scene[-high:, first:last] = worn[:, first - left : last - left]
        made.append(noise.over(scene))
    return made


def clothes(rng: np.random.Generator, *, wide_px: int, high_px: int) -> np.ndarray:
    """A body in a shirt with a pattern: plain, striped or checked, softly lit."""
    rows, columns = np.mgrid[:high_px, :wide_px]
    pattern = np.zeros((high_px, wide_px))
    kind, period_px = rng.integers(3), rng.uniform(8, 30)
    if kind > 0:
        pattern += np.sign(np.sin(2 * math.pi * rows / period_px))
    if kind > 1:
        pattern *= np.sign(np.sin(2 * math.pi * columns / period_px))
    fold = 15 * np.sin(columns / wide_px * math.pi)
    return (rng.uniform(50, 160) + fold + rng.uniform(10, 40) * pattern).clip(20, 235).astype(np.uint8)
