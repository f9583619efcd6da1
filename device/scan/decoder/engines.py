"""The libraries that find QR codes in a picture, behind one port. Runs in the decode child only.

zxing-cpp is the default: it reads 99 % of typical frames against pyzbar's 81 %, at a ninth of the CPU
(docs/decode-rates.md). pyzbar is there so that a gate is not tied to one library and its faults.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from device.scan.decoder.enhance import Luma, doubled, lower, narrower, sharpened, smoothed

# A QR symbol has at least 21 modules a side: a smaller picture holds none, and libraries fail on empty ones.
_SIDE_PX_MIN = 21
# Above this a code near enough to be meant is read in every second pixel, at a third of the time; and enlarging is left
# out: it costs 20 ms more a frame, and what it gains there is small.
_LARGE_PX = 640 * 480
# A phone is held up for 1.6 s, 48 frames. What looks like a code for longer, and is not read, is a pattern on a wall or
# a shirt, and gets a further look in every fourth frame only.
_VAIN_MAX = 48
_VAIN_EVERY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one frame showed. `code_like`: something in it looks like a code, read or not."""

    texts: list[bytes]
    code_like: bool


class Engine(Protocol):
    """Finds every QR code in a picture. What it reads are the raw contents; luma is uint8 (height, width)."""

    def read(self, luma: Luma) -> list[bytes]:
        """A single picture, with everything that may help; empty when it holds no code."""
        ...

    def watch(self, luma: Luma, *, closer: bool) -> Seen:
        """The next frame of a gate's camera, at a cost that every frame can bear; `closer`: this one may cost more."""
        ...


class ZxingEngine:
    """zxing-cpp, with further looks at an altered picture where the first one read nothing.

    They cost one to six times as much as the first. So while it watches, it takes the best one or two where the library
    has located a code without being able to read it; and where the caller asks for one, another each time: what one
    look cannot read in this frame the next one may in the next.

    Light on dark, which takes two fifths of a first look, is looked for in every second frame: such a code is read one
    frame later at most.
    """

    def __init__(self) -> None:
        # Imported by name, because the type stub of 3.1.0 is not valid Python and would stop mypy.
        zxingcpp = importlib.import_module("zxingcpp")
        self._read_barcodes = zxingcpp.read_barcodes
        self._qr_code = zxingcpp.BarcodeFormat.QRCode
        self._global_histogram = zxingcpp.Binarizer.GlobalHistogram
        self._frames = 0
        self._looks = 0
        self._vain = 0

    def read(self, luma: Luma) -> list[bytes]:
        """See `Engine.read`."""
        if min(luma.shape) < _SIDE_PX_MIN:
            return []
        if luma.size > _LARGE_PX and (texts := self.read_plain(_quarter(luma))):
            return texts
        for look in (self.read_plain, *self._further(luma)):
            if texts := look(luma):
                return texts
        return []

    def watch(self, luma: Luma, *, closer: bool) -> Seen:
        """See `Engine.watch`."""
        if min(luma.shape) < _SIDE_PX_MIN:
            return Seen(texts=[], code_like=False)
        self._frames += 1
        texts, code_like = self._first_look(luma, both=self._frames % 2 == 0)
        if texts:
            self._vain = 0
        elif closer:
            # The dearer looks are for scenes that keep still, and so for few frames.
            self._looks += 1
            looks = self._further(luma)
            texts = looks[self._looks % len(looks)](luma)
        elif code_like and self._worth_it():
            best, second, *_ = self._further(luma)
            texts = best(luma) or (second(luma) if self._frames % 2 else [])
        if not code_like:
            self._vain = max(0, self._vain - 1)
        return Seen(texts=texts, code_like=code_like or bool(texts))

    def read_plain(self, luma: Luma, **options: Any) -> list[bytes]:
        """One pass of the library, all its defaults on but what `options` say."""
        # `.bytes` is what the symbol holds; `.text` is the library's guess of a character set.
        return [bytes(code.bytes) for code in self._read_barcodes(luma, formats=self._qr_code, **options)]

    def _first_look(self, luma: Luma, *, both: bool) -> tuple[list[bytes], bool]:
        """The texts, and whether anything looked like a code. `both`: dark on light, and light on dark."""
        found: list[Any] = []
        for picture in (_quarter(luma), luma) if luma.size > _LARGE_PX else (luma,):
            found += self._read_barcodes(picture, formats=self._qr_code, try_invert=both, return_errors=True)
            if texts := [bytes(code.bytes) for code in found if code.valid]:
                return texts, True
        return [], bool(found)

    def _worth_it(self) -> bool:
        """Whether something that looks like a code is worth another look, after so many in vain."""
        self._vain = min(self._vain + 1, 2 * _VAIN_MAX)
        return self._vain <= _VAIN_MAX or self._frames % _VAIN_EVERY == 0

    def _further(self, luma: Luma) -> tuple[Callable[[Luma], list[bytes]], ...]:
        """The looks after the first, the most fruitful first. Measured on what it had missed (docs/decode-rates.md)."""
        if luma.size > _LARGE_PX:
            return (self._softer, self._sharper, self._squeezed, self._coarser)
        return (self._larger, self._sharper, self._squeezed, self._coarser, self._sharper_and_larger)

    def _sharper(self, luma: Luma) -> list[bytes]:
        return self.read_plain(smoothed(sharpened(luma)))

    def _softer(self, luma: Luma) -> list[bytes]:
        return self.read_plain(smoothed(luma))

    def _larger(self, luma: Luma) -> list[bytes]:
        return self.read_plain(doubled(smoothed(luma)))

    def _sharper_and_larger(self, luma: Luma) -> list[bytes]:
        return self.read_plain(doubled(smoothed(sharpened(luma))))

    def _squeezed(self, luma: Luma) -> list[bytes]:
        if min(luma.shape) < 2 * _SIDE_PX_MIN:
            return []
        return self.read_plain(lower(luma)) or self.read_plain(narrower(luma))

    def _coarser(self, luma: Luma) -> list[bytes]:
        """One threshold for the whole picture, where local ones see patterns in a code's own modules."""
        if min(luma.shape) < 2 * _SIDE_PX_MIN:
            return self.read_plain(luma, binarizer=self._global_histogram)
        return self.read_plain(luma, binarizer=self._global_histogram) or self.read_plain(
            _quarter(smoothed(luma)), binarizer=self._global_histogram
        )


class PyzbarEngine:
    """pyzbar over the system's libzbar."""

    def __init__(self) -> None:
        from pyzbar import pyzbar

        self._decode = pyzbar.decode
        self._symbols = [pyzbar.ZBarSymbol.QRCODE]

    def read(self, luma: Luma) -> list[bytes]:
        """See `Engine.read`."""
        height, width = luma.shape
        if min(luma.shape) < _SIDE_PX_MIN:
            return []
        try:
            found = self._decode((luma.tobytes(), width, height), symbols=self._symbols)
        except ValueError:
            # pyzbar does not know the type number that libzbar gives to structured-append symbols.
            return []
        return [bytes(code.data) for code in found]

    def watch(self, luma: Luma, *, closer: bool) -> Seen:  # noqa: ARG002 -- it has one way to look.
        """See `Engine.watch`."""
        texts = self.read(luma)
        return Seen(texts=texts, code_like=bool(texts))


ENGINES: Mapping[str, Callable[[], Engine]] = MappingProxyType({"zxing": ZxingEngine, "pyzbar": PyzbarEngine})


def _quarter(luma: Luma) -> Luma:
    """Every second pixel of every second row."""
    return np.ascontiguousarray(luma[::2, ::2])
