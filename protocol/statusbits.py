"""The insides of status lists: packed statuses, the zlib stream around them, and the changes of a delta."""

import zlib
from collections.abc import Iterator

from protocol.errors import LimitError, MalformedError
from protocol.limits import STATUS_ENTRIES

BITS = 2
"""The width of this wire's lists; the others are those of Token Status List."""

_WIDTHS = {1: (3, 7), 2: (2, 3), 4: (1, 1), 8: (0, 0)}
"""Bits -> how far to shift an index to its byte, and the part of it that counts within the byte."""

_CHANGES = "status delta.changes"
_CLEAR = (0b11111100, 0b11110011, 0b11001111, 0b00111111)


class StatusList:
    """A packed list of statuses, the first in the lowest bits of the first byte. It does not copy `packed`."""

    __slots__ = ("_mask", "_shift", "_within", "bits", "packed")

    def __init__(self, packed: bytes | bytearray, *, bits: int = BITS) -> None:
        if bits not in _WIDTHS:
            raise ValueError(f"a status has 1, 2, 4 or 8 bits, not {bits}")
        self.packed = packed
        self.bits = bits
        self._shift, self._within = _WIDTHS[bits]
        self._mask = (1 << bits) - 1

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self.packed) << self._shift

    def get(self, index: int) -> int:
        """The status at this index.

        Raises:
            IndexError: the list has no such entry.
        """
        if index < 0:
            raise IndexError(index)
        return self.packed[index >> self._shift] >> (index & self._within) * self.bits & self._mask


def deflate(packed: bytes | bytearray) -> bytes:
    """Bytes -> zlib stream, as small as zlib makes it."""
    return zlib.compress(packed, level=9)


def inflate(data: bytes, *, limit_bytes: int) -> bytearray:
    """Zlib stream -> bytes, never more of them than `limit_bytes` and one.

    Raises:
        LimitError: it would become longer than the limit.
        MalformedError: no zlib stream, cut short, or bytes after its end.
    """
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise MalformedError("status list.lst", f"no zlib stream: {error}") from error
    if len(inflated) > limit_bytes:
        raise LimitError("status list.lst", f"inflates to more than {limit_bytes} bytes")
    if not inflater.eof:
        raise MalformedError("status list.lst", "cut short")
    if inflater.unused_data:
        raise MalformedError("status list.lst", "bytes after the end of the zlib stream")
    return bytearray(inflated)


def pack_changes(changes: tuple[tuple[int, int], ...]) -> bytes:
    """Changes -> LEB128 of `gap << 2 | status` each; the first gap is the index itself.

    Raises:
        MalformedError: they do not ascend, or no list has such an entry.
    """
    packed = bytearray()
    before = 0
    for at, (index, status) in enumerate(changes):
        if not 0 <= index < STATUS_ENTRIES or not 0 <= status <= 3:
            raise MalformedError(_CHANGES, f"no status {status} at index {index}")
        if at and index <= before:
            raise MalformedError(_CHANGES, f"index {index} does not ascend")
        value = index - before << 2 | status
        before = index
        while value > 0x7F:
            packed.append(value & 0x7F | 0x80)
            value >>= 7
        packed.append(value)
    return bytes(packed)


def unpack_changes(data: bytes) -> tuple[tuple[int, int], ...]:
    """The reverse of `pack_changes`. A gate's longest loop: most changes have two bytes, and are read without a call.

    Raises:
        MalformedError: any other form than the one that `pack_changes` writes.
    """
    changes: list[tuple[int, int]] = []
    append = changes.append
    index = 0
    source = iter(data)
    for byte in source:
        value = byte
        if byte > 0x7F:
            second = next(source, 0)
            value = byte & 0x7F | second << 7
            if not 0 < second <= 0x7F:
                value = _read_longer(byte, second, source)
        if value < 4 and changes:
            raise MalformedError(_CHANGES, "an index that does not ascend")
        index += value >> 2
        append((index, value & 3))
    if index >= STATUS_ENTRIES:
        raise MalformedError(_CHANGES, f"index {index} is beyond the longest list")
    return tuple(changes)


def _read_longer(first: int, second: int, source: Iterator[int]) -> int:
    """A change of three or four bytes. A last byte of 0 is an end too early, or a change that could be shorter."""
    value = first & 0x7F | (second & 0x7F) << 7
    byte = second
    for shift in (14, 21):
        if byte <= 0x7F:
            break
        byte = next(source, 0)
        value |= (byte & 0x7F) << shift
    if not 0 < byte <= 0x7F:
        raise MalformedError(_CHANGES, "a change that is cut short, or not in its shortest form")
    return value


def write_changes(packed: bytearray, changes: tuple[tuple[int, int], ...]) -> None:
    """Writes ascending changes into a list of two bits an entry: all of them, or none.

    Raises:
        MalformedError: the last one lies beyond the list.
    """
    if changes and changes[-1][0] >> 2 >= len(packed):
        raise MalformedError(_CHANGES, f"index {changes[-1][0]} is beyond the list")
    for index, status in changes:
        within = index & 3
        at = index >> 2
        packed[at] = packed[at] & _CLEAR[within] | status << within + within
