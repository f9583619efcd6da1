"""Decoded values as JSON has them: what a vector's `decoded` looks like, in any language."""  # noqa: INP001 - as raw.py

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any

from protocol.codes import VerifiedCode
from protocol.keys import VerifyKey, encode_key


def plain(value: Any) -> Any:
    """Bytes become hex, enumerations their lower-case names, dataclasses maps of their fields, None null."""
    if isinstance(value, VerifyKey):
        return encode_key(value).hex()
    if isinstance(value, VerifiedCode):
        return plain(value.claims) | {"issuer_kid": value.issuer_kid.hex(), "code_hash": value.code_hash.hex()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, frozenset):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
