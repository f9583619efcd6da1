"""Texts -> the picture a gate's camera would have of phones that show them as QR codes. Pure: `rng` is passed in."""

import numpy as np

from device.hardware.sim.looks import GATE, HARD, TYPICAL, Look
from device.hardware.sim.phone import HeldPhone, qr_modules
from device.hardware.sim.surroundings import Luma, add_noise, background, noise_field

__all__ = ["GATE", "HARD", "TYPICAL", "Look", "Luma", "render_code", "show_codes"]


def render_code(text: str, *, size: tuple[int, int], rng: np.random.Generator, look: Look = TYPICAL) -> Luma:
    """One noisy picture of one phone that shows `text`; uint8 (height, width) of `size` (width, height) px.

    Raises:
        ValueError: no QR code holds this text, or it does not fit the frame.
    """
    scene = show_codes((text,), hall=background(size=size, rng=rng), rng=rng, look=look, poses=1)[0]
    return add_noise(scene, noise_field(size=size, sigma=look.noise, rng=rng))


def show_codes(
    texts: tuple[str, ...], *, hall: Luma, rng: np.random.Generator, look: Look, poses: int
) -> tuple[Luma, ...]:
    """Pictures without noise of several phones side by side, each drifting a little from one picture to the next.

    Raises:
        ValueError: no QR code holds one of the texts, or they do not fit the frame.
    """
    height_px, width_px = hall.shape
    column_px = width_px / len(texts)
    scenes = [hall.copy() for _ in range(poses)]
    for column, text in enumerate(texts):
        modules = qr_modules(text)
        held = HeldPhone.drawn(modules, room_px=(column_px, height_px), rng=rng, look=look)
        centre_px = ((column + 0.5) * column_px, height_px / 2)
        for number, scene in enumerate(scenes):
            held.lay_over(scene, centre_px=centre_px, moved=number)
    return tuple(scenes)
