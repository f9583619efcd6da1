"""A camera that looks at picture files, one after the other."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from device.hardware.ports import EndOfFramesError, HardwareError
from device.hardware.sim.pace import Pace
from device.model import Frame

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"})


def luma_of(path: Path) -> npt.NDArray[np.uint8]:
    """The picture in `path` as grey values, uint8 (height, width), upright as its camera held it.

    Raises:
        HardwareError: not a picture, a broken one, or one of absurd size.
    """
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            return np.array(upright.convert("L"))
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise HardwareError(f"{path} is not a picture that can be read: {error}") from error


def pictures_in(source: Path | Iterable[Path]) -> tuple[Path, ...]:
    """The files of a list, or the pictures of a folder by name.

    Raises:
        ValueError: there is none.
    """
    if isinstance(source, Path):
        source = sorted(p for p in source.iterdir() if p.suffix.lower() in SUFFIXES) if source.is_dir() else [source]
    paths = tuple(source)
    if not paths:
        raise ValueError("there are no pictures to look at")
    return paths


class PictureCamera:
    """`Camera` on picture files: each for `frames_each` frames at `fps`, then again from the first with `loop`.

    Raises:
        ValueError: there is no picture, or a number is out of its range.
    """

    def __init__(
        self,
        *,
        pictures: Path | Iterable[Path],
        frames_each: int = 4,
        fps: float = 10.0,
        loop: bool = True,
    ) -> None:
        if frames_each < 1:
            raise ValueError("each picture is shown for at least one frame")
        self._paths = pictures_in(pictures)
        self._frames_each = frames_each
        self._fps = fps
        self._loop = loop
        self._pace: Pace | None = None
        self._shown = 0
        self._seq = 0
        self._luma: npt.NDArray[np.uint8] | None = None

    def start(self) -> None:
        """As `Camera.start`; begins with the first picture."""
        self._pace = Pace(fps=self._fps)
        self._shown = 0

    def read(self, timeout_s: float) -> Frame | None:
        """As `Camera.read`. A picture is decoded once for all its frames."""
        if self._pace is None:
            raise HardwareError("the camera was not started")
        index, repeated = divmod(self._shown, self._frames_each)
        if index >= len(self._paths) and not self._loop:
            raise EndOfFramesError(f"all {len(self._paths)} pictures were shown")
        if not self._pace.wait(timeout_s):
            return None
        if repeated == 0 or self._luma is None:
            self._luma = luma_of(self._paths[index % len(self._paths)])
        self._shown += 1
        self._seq += 1
        return Frame(luma=self._luma, seq=self._seq, at_mono_ns=time.monotonic_ns())

    def stop(self) -> None:
        """As `Camera.stop`."""
        self._pace = None
        self._luma = None
