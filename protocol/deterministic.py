"""Deterministic CBOR read and written in one pass: every rule of RFC 8949 §4.2.1 is kept where its byte stands.

Heads come in their shortest form and definite, map keys ascend in the bytewise order of their encodings (which
leaves no room for doubles), and the types are those of this wire: integers up to 64 bits, byte strings, text
strings, arrays, maps with keys of the first four kinds, true and false. Nothing is set aside for a length that is
only claimed.
"""

from operator import itemgetter
from typing import Any

_LEAST = (24, 1 << 8, 1 << 16, 1 << 32)
"""A smaller number that stands in 1, 2, 4 or 8 bytes after its head would fit into fewer."""
_BYTES = tuple(bytes((number,)) for number in range(256))
_FIRST = itemgetter(0)


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


def read_strings(data: bytes, *, most: int) -> list[bytes]:
    """The array of at most so many byte strings that `data` encodes. What says that it is longer is not walked.

    Raises:
        ValueError, IndexError: anything but the deterministic encoding of one.
    """
    number, at = data[0] - 0x80, 1
    if not 0 <= number < 0x20:
        raise ValueError("not an array")
    if number >= 24:
        number, at = _read_number(data, at, number)
    if number > most:
        raise ValueError(f"{number} of them")
    strings = []
    for _ in range(number):
        string, at = read_bytes(data, at)
        strings.append(string)
    if at != len(data):
        raise ValueError("bytes after the end")
    return strings


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


def write(value: Any, depth: int) -> bytes:
    """The one encoding of a value, with at most `depth` arrays and maps within one another.

    Enumerations become plain integers, tuples arrays.

    Raises:
        TypeError: a value that this wire does not have.
        ValueError: an integer beyond 64 bits, or nested deeper than `depth`.
    """
    if isinstance(value, bytes):
        return byte_string(value)
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, str):
        text = value.encode()
        return head(3, len(text)) + text
    if not isinstance(value, (dict, list, tuple)):
        raise TypeError(f"no encoding for {type(value).__name__}")
    if depth == 0:
        raise ValueError("nested deeper than this wire allows")
    if isinstance(value, dict):
        pairs = sorted([(_write_key(key), item) for key, item in value.items()], key=_FIRST)
        return head(5, len(value)) + b"".join([key + write(item, depth - 1) for key, item in pairs])
    return head(4, len(value)) + b"".join([write(item, depth - 1) for item in value])


def byte_string(data: bytes) -> bytes:
    """A byte string with its head."""
    return head(2, len(data)) + data


def head(major: int, number: int) -> bytes:
    """The head of an item: its major type and its number, in the shortest form (RFC 8949 §3).

    Raises:
        ValueError: the number is beyond 64 bits.
    """
    first = major << 5
    if number < 24:
        return _BYTES[first | number]
    if number < 1 << 8:
        return _BYTES[first | 24] + _BYTES[number]
    if number < 1 << 16:
        return _BYTES[first | 25] + number.to_bytes(2, "big")
    if number < 1 << 32:
        return _BYTES[first | 26] + number.to_bytes(4, "big")
    if number < 1 << 64:
        return _BYTES[first | 27] + number.to_bytes(8, "big")
    raise ValueError("an integer beyond 64 bits")


def _write_key(key: Any) -> bytes:
    if type(key) not in {int, bytes, str}:
        raise TypeError(f"a map key of type {type(key).__name__}")
    return write(key, 0)
