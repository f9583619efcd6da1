"""Deterministic CBOR, in and out (RFC 8949 §4.2.1).

The wire has unsigned and negative integers up to 64 bits, byte strings, text strings, arrays, maps and
booleans; no floats, tags, null or undefined. There is one encoding of each value, and decoding refuses
every other one.
"""

import re
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar

from protocol import deterministic
from protocol.errors import LimitError, MalformedError
from protocol.limits import CBOR_DEPTH, INT64_MAX, NAME_CHARS, TIME_MAX_MS, UINT64_MAX

Member = TypeVar("Member", bound=IntEnum)
TIME_MAX_S = TIME_MAX_MS // 1000
_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_CHARS}}}", re.ASCII)


def encode(value: Any) -> bytes:
    """Value -> its one encoding.

    Raises:
        TypeError: for a value that this wire does not have: a mistake of ours.
        ValueError: for an integer beyond 64 bits or nesting deeper than `CBOR_DEPTH`.
    """
    return deterministic.write(value, CBOR_DEPTH)


def decode(data: bytes, *, what: str, limit: int) -> Any:
    """Bytes -> value, refusing all but the one deterministic encoding.

    1. The length is within `limit`, before anything is looked at.
    2. One value in its deterministic encoding, nested at most `CBOR_DEPTH` deep, and nothing after it.

    Args:
        data: the bytes as received.
        what: names the object in errors, e.g. `check-in`.
        limit: largest length in bytes.

    Raises:
        LimitError: over `limit`.
        MalformedError: anything else that is not the deterministic encoding of a value of this wire.
    """
    # 1.
    if len(data) > limit:
        raise LimitError(what, f"{len(data)} bytes, at most {limit} are allowed")
    # 2.
    try:
        return deterministic.read(data, CBOR_DEPTH)
    except IndexError as error:
        raise MalformedError(what, "cut short") from error
    except ValueError as error:
        raise MalformedError(what, f"not deterministic CBOR: {error}") from error


def fields(value: Any, *, what: str, known: frozenset[int]) -> dict[int, Any]:
    """A decoded map with integer keys, without those that are left for later versions.

    Unknown keys above 64, and below -65536 (private use in CWT, RFC 8392 §9.1), are ignored, so that either
    side may be updated first.

    Raises:
        MalformedError: not a map, a key that is no integer, or an unknown key that may not be ignored.
    """
    if type(value) is not dict:
        raise MalformedError(what, "not a map")
    if value.keys() <= known:
        return value
    kept = {}
    for key, item in value.items():
        if key in known:
            kept[key] = item
        elif type(key) is not int or -65536 <= key <= 64:
            raise MalformedError(what, f"unknown key {key!r:.40}")
    return kept


def uint(value: Any, where: str, *, least: int = 0) -> int:
    """An unsigned integer of at least `least`.

    Raises:
        MalformedError: anything else.
    """
    return _integer(value, where, least, UINT64_MAX, "64 bits")


def integer(value: Any, where: str, least: int, most: int) -> int:
    """An integer of `least` to `most`, both included; no boolean.

    Raises:
        MalformedError: anything else.
    """
    if type(value) is not int or not least <= value <= most:
        raise MalformedError(where, "missing" if value is None else f"not an integer of {least} to {most}")
    return value


def seq(value: Any, where: str, *, least: int = 1) -> int:
    """A sequence number, which fits the signed 64-bit integers of databases.

    Raises:
        MalformedError: anything else.
    """
    return _integer(value, where, least, INT64_MAX, "2^63 - 1")


def time_ms(value: Any, where: str) -> int:
    """Milliseconds since 1970, up to the year 9999.

    Raises:
        MalformedError: anything else.
    """
    return _integer(value, where, 0, TIME_MAX_MS, "the year 9999")


def time_s(value: Any, where: str) -> int:
    """Seconds since 1970, up to the year 9999.

    Raises:
        MalformedError: anything else.
    """
    return _integer(value, where, 0, TIME_MAX_S, "the year 9999")


def sized_bytes(value: Any, where: str, least: int, most: int | None = None) -> bytes:
    """A byte string of `least` to `most` bytes; of exactly `least` where `most` is not given.

    Raises:
        MalformedError: anything else.
    """
    most = least if most is None else most
    if type(value) is not bytes or not least <= len(value) <= most:
        sizes = f"{least}" if least == most else f"{least} to {most}"
        raise MalformedError(where, "missing" if value is None else f"not a byte string of {sizes} bytes")
    return value


def text(value: Any, where: str, least: int, most: int) -> str:
    """A text string of `least` to `most` characters.

    Raises:
        MalformedError: anything else.
    """
    if type(value) is not str or not least <= len(value) <= most:
        raise MalformedError(where, "missing" if value is None else f"not a text of {least} to {most} characters")
    return value


def boolean(value: Any, where: str) -> bool:
    """True or false.

    Raises:
        MalformedError: anything else.
    """
    if type(value) is not bool:
        raise MalformedError(where, "not true or false" if value is not None else "missing")
    return value


def name(value: Any, where: str) -> str:
    """A place or gate id: 1 to 32 characters of `A-Z a-z 0-9 . _ -`, safe in a topic, a path and a log.

    Raises:
        MalformedError: anything else.
    """
    if type(value) is not str or not _NAME.fullmatch(value):
        raise MalformedError(where, f"not an id of 1 to {NAME_CHARS} characters A-Z a-z 0-9 . _ -")
    return value


def member(value: Any, where: str, kind: type[Member]) -> Member:
    """An integer that stands for a member of the enumeration `kind`.

    Raises:
        MalformedError: anything else.
    """
    found: Member | None = _members(kind).get(value) if type(value) is int else None
    if found is None:
        raise MalformedError(where, "missing" if value is None else f"{value!r:.40} is no {kind.__name__.lower()}")
    return found


@cache
def _members(kind: type[Member]) -> dict[int, Member]:
    """The members by number: a third of the cost of calling the enumeration."""
    return {member.value: member for member in kind}


def _integer(value: Any, where: str, least: int, most: int, most_text: str) -> int:
    if type(value) is int and least <= value <= most:
        return value
    if value is None:
        raise MalformedError(where, "missing")
    if type(value) is not int or value < least:
        raise MalformedError(where, f"not an integer of at least {least}")
    raise MalformedError(where, f"beyond {most_text}")
