"""Keeps back frames that show what the last decoded one showed, so that an empty gate costs little.

Never the only say: every fifth frame is decoded whatever it looks like, since a code may come into focus, or a
display light up, with less change than sensor noise makes. Runs in the parent, before the picture is copied.
"""

import numpy as np

from device.scan.decoder.engines import Luma

# Decoding every fifth unchanged frame costs at most 167 ms at 30 frames a second, and saves four fifths of the CPU.
EVERY = 5
# A grid of about 160 points across: at the limit of two pixels a module a code still covers 20 x 20 of them.
_POINTS_ACROSS = 160
# Three times the noise of a small sensor in the dark; module edges differ by 60 and more.
_CHANGE = 25
# One point in 400 has to change: a patch a third as wide as the smallest code that can be read.
_POINTS_PER_CHANGE = 400


class SceneGate:
    """Remembers a thinned copy of the last frame that was worth decoding."""

    def __init__(self) -> None:
        self._thinned: Luma | None = None
        self._kept_back = 0

    def worth_decoding(self, luma: Luma) -> bool:
        """Whether `luma` differs from the last frame for which this said yes, or the fifth is due."""
        step = max(1, luma.shape[1] // _POINTS_ACROSS)
        thinned = luma[::step, ::step].copy()
        if self._kept_back + 1 < EVERY and not self._changed(thinned):
            self._kept_back += 1
            return False
        self._thinned = thinned
        self._kept_back = 0
        return True

    def forget(self) -> None:
        """Take the next frame for new: the last one was never read."""
        self._thinned = None

    def _changed(self, thinned: Luma) -> bool:
        before = self._thinned
        if before is None or before.shape != thinned.shape:
            return True
        difference = np.maximum(before, thinned) - np.minimum(before, thinned)
        return int(np.count_nonzero(difference > _CHANGE)) * _POINTS_PER_CHANGE > difference.size
