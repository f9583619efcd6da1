"""One phone that shows a QR code, held up in space: drawn flat, turned, tilted, projected, blurred and lit.

It is projected through a 62 degree lens, larger than the frame where its look asks for it, and averaged down.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import segno
from PIL import Image, ImageFilter

from device.hardware.sim.looks import Look
from device.hardware.sim.surroundings import BRIGHTEST, DARKEST, Luma

SOURCE_PX = 5
"""How large a module is drawn on the flat face, before it is projected."""

LENS_FACTOR = 0.83
"""Focal length by frame width: a lens that sees 62 degrees."""

ROOM = 1.2
"""A tilted code needs this many times its own side."""

MODULE_MIN_PX = 3.0
"""Below this a code in a gate camera's frame is a matter of luck."""

BEZEL = 24
"""The phone's dark rim; also what tells the face from what lies beside it, where the projection leaves 0."""

MASK = 3
"""Any of the eight masks makes a valid code; scoring them all for the prettiest takes four times as long."""


def qr_modules(text: str) -> npt.NDArray[np.bool_]:
    """The modules of `text` as a QR code at error level M, True = dark, without quiet zone.

    Raises:
        ValueError: no QR code holds this text.
    """
    code = segno.make(text, error="m", boost_error=False, micro=False, mask=MASK)
    return np.array([list(row) for row in code.matrix], dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPhone:
    """One phone in one hand: its flat face and how it is held."""

    face: Image.Image
    scale: float
    angles_deg: tuple[float, float, float]
    offset_px: tuple[float, float]
    drift_px: tuple[float, float]
    blur: ImageFilter.Kernel
    white: float
    contrast: float
    glare: tuple[float, float, float, float]
    oversampling: int

    @classmethod
    def drawn(
        cls,
        modules: npt.NDArray[np.bool_],
        *,
        room_px: tuple[float, float],
        rng: np.random.Generator,
        look: Look,
    ) -> "HeldPhone":
        """Draws all that is random about it, so that every pose of this phone is the same phone."""
        dark_mode = rng.random() < look.dark_mode_share
        inverted = rng.random() < look.inverted_share
        quiet = 2 if dark_mode else 4
        side = len(modules) + 2 * quiet
        largest_px = min(room_px) / ROOM / side
        smallest_px = min(look.module_px[0], MODULE_MIN_PX)
        if largest_px < smallest_px:
            raise ValueError(f"a code of {len(modules)} modules does not fit {room_px[0]:.0f} px")
        module_px = rng.uniform(min(look.module_px[0], largest_px), min(look.module_px[1], largest_px))
        slack_px = [max(0.0, room - side * module_px * ROOM) / 2 for room in room_px]
        motion_px, direction = rng.uniform(*look.motion_px), rng.uniform(0, 2 * math.pi)
        glared = rng.random() < look.glare_share
        return cls(
            face=_face(modules, quiet=quiet, dark_mode=dark_mode, inverted=inverted),
            scale=module_px / SOURCE_PX,
            angles_deg=(rng.uniform(*look.tilt_deg), rng.uniform(*look.tilt_deg), rng.uniform(*look.roll_deg)),
            offset_px=(rng.uniform(-slack_px[0], slack_px[0]), rng.uniform(-slack_px[1], slack_px[1])),
            drift_px=(motion_px * math.cos(direction), motion_px * math.sin(direction)),
            blur=_blur(rng.uniform(*look.blur_px), motion_px, direction),
            white=rng.uniform(*look.white),
            contrast=rng.uniform(*look.contrast),
            glare=(
                rng.uniform(-0.6, 0.6),
                rng.uniform(-0.6, 0.6),
                rng.uniform(0.1, 0.3),
                rng.uniform(*look.glare_strength) if glared else 0.0,
            ),
            oversampling=look.oversampling,
        )

    def lay_over(self, scene: Luma, *, centre_px: tuple[float, float], moved: int) -> None:
        """Draws the phone into `scene`, `moved` drifts away from where it was first."""
        height_px, width_px = scene.shape
        centre = [centre_px[i] + self.offset_px[i] + moved * self.drift_px[i] for i in (0, 1)]
        forward = _projection(
            self.face.size, centre, scale=self.scale, angles_deg=self.angles_deg, focal_px=LENS_FACTOR * width_px
        )
        left, top, right, bottom = _bounds(forward, self.face.size, width_px, height_px)
        if right <= left or bottom <= top:
            return
        fine = self.oversampling
        to_region = np.array([[fine, 0, -fine * left], [0, fine, -fine * top], [0, 0, 1]])
        back = np.linalg.inv(to_region @ forward)
        back /= back[2, 2]
        region_px = (fine * (right - left), fine * (bottom - top))
        projected = self.face.transform(
            region_px, Image.Transform.PERSPECTIVE, tuple(back.ravel()[:8]), Image.Resampling.BILINEAR
        ).reduce(fine)
        covered = np.asarray(projected) >= BEZEL // 2
        lit = np.asarray(projected.filter(self.blur)).astype(np.float32)
        lit *= np.float32(self.white * self.contrast / 255)
        lit += np.float32(self.white * (1 - self.contrast))
        self._add_glare(lit)
        region = scene[top:bottom, left:right]
        region[covered] = lit.clip(DARKEST, BRIGHTEST).astype(np.uint8)[covered]

    def _add_glare(self, lit: npt.NDArray[np.float32]) -> None:
        x, y, spread, strength = self.glare
        if strength == 0.0:
            return
        rows, columns = (np.linspace(-1, 1, n, dtype=np.float32) for n in lit.shape)
        lit += np.float32(strength) * np.outer(
            np.exp(-(((rows - y) / spread) ** 2)), np.exp(-(((columns - x) / spread) ** 2))
        )


def _face(modules: npt.NDArray[np.bool_], *, quiet: int, dark_mode: bool, inverted: bool) -> Image.Image:
    """The phone from the front: rim, page with two lines of writing, code with its quiet zone."""
    code = np.where(np.pad(modules, quiet) != inverted, 40, 255).astype(np.uint8)
    code = code.repeat(SOURCE_PX, axis=0).repeat(SOURCE_PX, axis=1)
    side, rim = len(code), len(code) // 16
    face = np.full((side * 3 // 2, side + 2 * rim), 70 if dark_mode else 250, dtype=np.uint8)
    face[:rim] = face[-rim:] = BEZEL
    face[:, : rim // 2] = face[:, -rim // 2 :] = BEZEL
    top = (face.shape[0] - side) // 2
    for line in (2, 3):
        face[line * rim : line * rim + rim // 3, 2 * rim : side // 2] = 130
    face[top : top + side, rim : rim + side] = code
    return Image.fromarray(face)


def _projection(
    face_px: tuple[int, int],
    centre_px: list[float],
    *,
    scale: float,
    angles_deg: tuple[float, float, float],
    focal_px: float,
) -> npt.NDArray[np.float64]:
    """The homography from the flat face to the frame, for a face turned about its middle and seen from `focal_px`."""
    pitch, yaw, roll = np.radians(angles_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    turned = (about_y @ about_x @ about_z) * scale
    placed = np.column_stack([turned[:, 0], turned[:, 1], [0, 0, focal_px]])
    lens = np.array([[focal_px, 0, centre_px[0]], [0, focal_px, centre_px[1]], [0, 0, 1]])
    to_middle = np.array([[1, 0, -face_px[0] / 2], [0, 1, -face_px[1] / 2], [0, 0, 1]])
    return np.asarray(lens @ placed @ to_middle, dtype=np.float64)


def _bounds(
    forward: npt.NDArray[np.float64], face_px: tuple[int, int], width_px: int, height_px: int
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the projected face within the frame."""
    wide, high = face_px
    corners = forward @ np.array([[0, wide, wide, 0], [0, 0, high, high], [1, 1, 1, 1]])
    x, y = corners[0] / corners[2], corners[1] / corners[2]
    return (
        max(0, math.floor(x.min())),
        max(0, math.floor(y.min())),
        min(width_px, math.ceil(x.max())),
        min(height_px, math.ceil(y.max())),
    )


def _blur(sigma_px: float, motion_px: float, direction: float) -> ImageFilter.Kernel:
    """Lens blur drawn out along the motion, on 5x5 px."""
    rows, columns = np.mgrid[-2:3, -2:3]
    weights = np.zeros((5, 5))
    for part in np.linspace(-0.5, 0.5, 9):
        x, y = part * motion_px * math.cos(direction), part * motion_px * math.sin(direction)
        weights += np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma_px**2))
    # Pillow applies kernels upside down; motion reads the same both ways, so it does not matter here.
    return ImageFilter.Kernel((5, 5), (weights / weights.sum()).ravel().tolist(), scale=1.0)
