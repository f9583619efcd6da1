"""The libraries that find QR codes in a picture, behind one port. Runs in the decode child only.

zxing-cpp is the default: it reads 99 % of typical frames against pyzbar's 81 %, at a ninth of the CPU
(docs/decode-rates.md). pyzbar is there so that a gate is not tied to one library and its faults.
"""

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]


# A QR symbol has at least 21 modules a side: a smaller picture holds none, and libraries fail on empty ones.
_SIDE_PX_MIN = 21
# Above this a code near enough to be meant is read in every second pixel, at a third of the time; and enlarging is left
# out: it costs 20 ms more a frame, and what it gains there is small.
_LARGE_PX = 640 * 480


class Engine(Protocol):
    """Finds every QR code in a picture."""

    def read(self, luma: Luma) -> list[bytes]:
        """The raw contents of the codes in `luma`, uint8 (height, width); empty when there is none."""
        ...


class ZxingEngine:
    """zxing-cpp, with a second look at a smoothed and enlarged picture where the first one found nothing.

    The second look costs up to four times the first, so the caller should not send a scene that did not change
    (device/scan/decode.py keeps such frames back).
    """

    def __init__(self) -> None:
        # Imported by name, because the type stub of 3.1.0 is not valid Python and would stop mypy.
        zxingcpp = importlib.import_module("zxingcpp")
        self._read_barcodes = zxingcpp.read_barcodes
        self._qr_code = zxingcpp.BarcodeFormat.QRCode

    def read(self, luma: Luma) -> list[bytes]:
        """See `Engine.read`."""
        if min(luma.shape) < _SIDE_PX_MIN:
            return []
        if luma.size <= _LARGE_PX:
            return self.read_plain(luma) or self.read_plain(doubled(smoothed(luma)))
        quarter = np.ascontiguousarray(luma[::2, ::2])
        return self.read_plain(quarter) or self.read_plain(luma) or self.read_plain(smoothed(luma))

    def read_plain(self, luma: Luma) -> list[bytes]:
        """One pass of the library, all its defaults on."""
        # `.bytes` is what the symbol holds; `.text` is the library's guess of a character set.
        return [bytes(code.bytes) for code in self._read_barcodes(luma, formats=self._qr_code)]


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


ENGINES: Mapping[str, Callable[[], Engine]] = MappingProxyType({"zxing": ZxingEngine, "pyzbar": PyzbarEngine})


def smoothed(luma: Luma) -> Luma:
    """The mean of every 2 x 2 pixels; each side loses 1 pixel. Sensor noise is halved, module edges stay.

    3 x 3 kernels were measured and read less: 32 of 153 missed hard frames after enlargement, against 56.
    """
    luma = _midway(luma[:-1], luma[1:])
    return _midway(luma[:, :-1], luma[:, 1:])


def doubled(luma: Luma) -> Luma:
    """Linear enlargement by two, to (2 height - 1, 2 width). Codes of under 2 px a module become readable."""
    height, width = luma.shape
    # A pixel and its right-hand neighbour are built as one 16-bit word: writing every second byte is twice as slow.
    pairs = np.empty((height, width), dtype="<u2")
    pairs[:, :-1] = _midway(luma[:, :-1], luma[:, 1:])
    pairs[:, -1] = luma[:, -1]
    pairs <<= 8
    pairs |= luma
    wide = pairs.view(np.uint8)
    large = np.empty((2 * height - 1, 2 * width), dtype=np.uint8)
    large[::2] = wide
    large[1::2] = _midway(wide[:-1], wide[1:])
    return large


def _midway(one: Luma, other: Luma) -> Luma:
    """The mean of two pictures, rounded down, without leaving 8 bits."""
    mean = one ^ other
    mean >>= 1
    mean += one & other
    return mean
