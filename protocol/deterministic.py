"""Deterministic CBOR read in one pass: every rule of RFC 8949 §4.2.1 is checked where its byte stands.

Heads come in their shortest form and definite, map keys ascend in the bytewise order of their encodings (which
leaves no room for doubles), and the types are those of this wire: integers up to 64 bits, byte strings, text
strings, arrays, maps with keys of the first four kinds, true and false. Nothing is set aside for a length that is
only claimed.
"""

from typing import Any

_LEAST = (24, 1 << 8, 1 << 16, 1 << 32)
"""A smaller number that stands in 1, 2, 4 or 8 bytes after its head would fit into fewer."""


def read(data: bytes, depth: int) -> Any:
    """The one value that `data` encodes, with at most `depth` arrays and maps within one another.

    Raises:
        ValueError, IndexError: anything but the deterministic encoding of a value of this wire.
    """
    value, end = _read_item(data, 0, depth)
    if end != len(data):
        raise ValueError("bytes after the end")
    return value


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """The byte string at `at`, and where the next item begins.

    Raises:
        ValueError, IndexError: anything but a byte string in its deterministic encoding.
    """
    number = data[at] - 0x40
    if not 0 <= number < 0x20:
        raise ValueError("not a byte string")
    at += 1
    if number >= 24:
        number, at = _read_number(data, at, number)
    end = at + number
    if end > len(data):
        raise ValueError("cut short")
    return data[at:end], end


def _read_item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The item at `at`, and where the next one begins. `first` is its major type (3 bits) and its number (5 bits)."""
    first = data[at]
    at += 1
    if first < 24:
        return first, at
    if first >= 0xC0:
        return _read_boolean(first), at
    number = first & 31
    if number >= 24:
        number, at = _read_number(data, at, number)
    if first < 0x40:
        return (number if first < 0x20 else -1 - number), at
    end = at + number
    if end > len(data):
        # True of arrays and maps as well: each of their items has a byte at least.
        raise ValueError("cut short")
    if first < 0x60:
        return data[at:end], end
    if first < 0x80:
        return data[at:end].decode(), end
    if depth == 0:
        raise ValueError("nested too deep")
    return (_read_array if first < 0xA0 else _read_map)(data, at, number, depth - 1)


def _read_boolean(first: int) -> bool:
    if first not in {0xF4, 0xF5}:
        raise ValueError("a tag, a float or a simple value, which this wire does not have")
    return first == 0xF5


def _read_number(data: bytes, at: int, width: int) -> tuple[int, int]:
    """The number of a head that is longer than one byte (RFC 8949 §3), in its shortest form only."""
    if width > 27:
        raise ValueError("an indefinite length, or a head that does not exist")
    end = at + (1 << width - 24)
    if end > len(data):
        raise ValueError("cut short")
    number = int.from_bytes(data[at:end], "big")
    if number < _LEAST[width - 24]:
        raise ValueError("a number in a longer form than it needs")
    return number, end


def _read_array(data: bytes, at: int, length: int, depth: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(length):
        item, at = _read_item(data, at, depth)
        items.append(item)
    return items, at


def _read_map(data: bytes, at: int, length: int, depth: int) -> tuple[dict[Any, Any], int]:
    """Keys of one byte, which nearly all are, are compared as numbers; longer ones, which follow them, as bytes."""
    items: dict[Any, Any] = {}
    short, long = -1, b""
    for _ in range(length):
        start, first = at, data[at]
        if first < 24:
            key, at = first, at + 1
            ascending = first > short
            short = first
        elif first < 0x80:
            key, at = _read_item(data, at, depth)
            encoded = data[start:at]
            ascending = encoded > long
            short, long = 24, encoded
        else:
            raise ValueError("a map key that is neither a number nor a string")
        if not ascending:
            raise ValueError("map keys are doubled or not in bytewise order")
        first = data[at]
        if first < 24:
            items[key], at = first, at + 1
        else:
            items[key], at = _read_item(data, at, depth)
    return items, at
