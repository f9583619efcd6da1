"""Whether this gate could read a code now: its camera's pace, its decoder's, and a picture that it has in itself."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.model import Outcome
from device.operate.specimen import TEXT, picture

_WATCH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFigures:
    """What the scan has counted: frames of the camera since the start, the last frame's decoding, new decoders."""

    frames: int
    decode_ms: float
    decoder_restarts: int


class SelfTest:
    """Looks for a second at what the camera does, then has the picture decoded.

    Args:
        figures: what the scan has counted.
        decode: luma (uint8, rows and columns) -> the texts in it, by a decoder like the gate's own.
        wait: sleeps for so many seconds.
    """

    def __init__(
        self,
        *,
        figures: Callable[[], ScanFigures],
        decode: Callable[[npt.NDArray[np.uint8]], tuple[str, ...]],
        wait: Callable[[float], object],
    ) -> None:
        self._figures = figures
        self._decode = decode
        self._wait = wait

    def __call__(self) -> Outcome:
        """Well when frames come and the specimen is read."""
        before = self._figures().frames
        self._wait(_WATCH_S)
        figures = self._figures()
        fps = (figures.frames - before) / _WATCH_S
        read = TEXT in self._decode(picture())
        return Outcome(
            ok=fps > 0 and read,
            detail=(
                f"fps={fps:.1f} decode_ms={figures.decode_ms:.1f} decoder_restarts={figures.decoder_restarts}"
                f" specimen={'read' if read else 'not read'}"
            ),
        )
