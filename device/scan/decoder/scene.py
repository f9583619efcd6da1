"""How much a frame is worth: nothing where it shows what the last decoded one showed. An empty gate costs little.

Never the only say: every fifth frame is decoded whatever it looks like, since a code may come into focus, or a
display light up, with less change than sensor noise makes. Runs in the parent, before the picture is copied.

    a frame that                                        is
    --------------------------------------------------  ----------------------------------------------------------
    shows something new                                 decoded
    ... as has every frame for a second, and nothing    decoded in turns, every second one: a busy hall costs no
        in them looked like a code                      more than the decoder alone
    shows nothing new                                   kept back, and every fifth decoded with a closer look;
                                                        after ten of those, every tenth of them
"""

import numpy as np
import numpy.typing as npt

from device.scan.decoder.enhance import Luma
from device.scan.decoder.wire import Effort

# Decoding every fifth unchanged frame costs at most 167 ms at 30 frames a second, and saves four fifths of the CPU.
EVERY = 5
# There are five kinds of closer look: each has its turn twice within the 1.6 s for which a phone is held up.
CLOSER_FIRST = 10
CLOSER_EVERY = 10
# Changing frames in a row in which nothing looked like a code, after which every second one is passed over. Whoever
# holds up a phone then waits 33 ms longer in one of two cases, if no blurred frame of it looked like a code before.
BARE_FRAMES = 30
# A grid of about 160 points across, in every second row of it: at the limit of two pixels a module a code still covers
# 20 x 10 of them.
_POINTS_ACROSS = 160
# Three times the noise of a small sensor in the dark; module edges differ by 60 and more.
_CHANGE = 25
# No noise of a sensor in use reaches this.
_CHANGE_MAX = 48
# Noise of which half the differences lie above m exceeds five times m in one point of a thousand.
_NOISE_FACTOR = 5
_SAMPLE_EVERY = 8
# One point in 400 has to change: a patch a third as wide as the smallest code that can be read.
_POINTS_PER_CHANGE = 400


class SceneGate:
    """Remembers a thinned copy of the last frame that was worth decoding."""

    def __init__(self) -> None:
        self._thinned: Luma | None = None
        self._kept_back = 0
        self._looked_again = 0
        self._bare = 0
        self._rested = False

    def effort(self, luma: Luma) -> Effort | None:
        """What to do with `luma`; None: it is not worth decoding. Tell what came of it by `saw`."""
        step = max(1, luma.shape[1] // _POINTS_ACROSS)
        thinned = luma[:: 2 * step, ::step].copy()
        if self._changed(thinned):
            self._looked_again = 0
            self._rested = self._bare >= BARE_FRAMES and not self._rested
            if self._rested:
                return None
            effort = Effort.GLANCE
        elif self._kept_back + 1 < EVERY:
            self._kept_back += 1
            self._bare = 0
            return None
        else:
            self._looked_again += 1
            closer = self._looked_again <= CLOSER_FIRST or self._looked_again % CLOSER_EVERY == 0
            effort = Effort.CLOSER if closer else Effort.GLANCE
        self._thinned = thinned
        self._kept_back = 0
        return effort

    def saw(self, *, code_like: bool) -> None:
        """What was found in the frame that was worth decoding."""
        self._bare = 0 if code_like else self._bare + 1

    def forget(self) -> None:
        """Take the next frame for new: the last one was never read."""
        self._thinned = None
        self._bare = 0

    def _changed(self, thinned: Luma) -> bool:
        before = self._thinned
        if before is None or before.shape != thinned.shape:
            return True
        difference = np.maximum(before, thinned) - np.minimum(before, thinned)
        points_min = difference.size / _POINTS_PER_CHANGE
        if np.count_nonzero(difference > _CHANGE_MAX) > points_min:
            return True
        if np.count_nonzero(difference > _CHANGE) <= points_min:
            return False
        # Is it a small change, or a dark hall's noise? That is everywhere, so half of the points tell how much there
        # is; about their middle, for lamps that were switched on are a change.
        sample = thinned.ravel()[::_SAMPLE_EVERY].astype(np.int16) - before.ravel()[::_SAMPLE_EVERY]
        noise = _middle(np.abs(sample - _middle(sample)))
        return bool(np.count_nonzero(difference > max(_CHANGE, _NOISE_FACTOR * noise)) > points_min)


def _middle(values: npt.NDArray[np.int16]) -> int:
    """The median: numpy's own takes ten times as long over so few."""
    half = values.size // 2
    return int(np.partition(values, half)[half])
