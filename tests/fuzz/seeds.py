"""Where a run begins: the golden vectors, good and bad, and the borrowed test data."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from protocol import base45, envelope
from protocol.codes import PREFIX
from protocol.envelope import TYP_STATUS_LIST
from protocol.errors import ProtocolError

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "protocol/vectors"
DATA = ROOT / "tests/data"
LONGEST_BYTES = 4096
"""Vectors that show a limit are longer, and would make every execution slow."""


def vectors(*names: str) -> Iterator[dict[str, Any]]:
    """The vectors of some files."""
    for name in names:
        yield from json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["vectors"]


def wholes(*names: str) -> Callable[[], Iterator[bytes]]:
    """The bytes of the vectors."""

    def read() -> Iterator[bytes]:
        for vector in vectors(*names):
            data = bytes.fromhex(vector["input"].get("hex", ""))
            if 0 < len(data) <= LONGEST_BYTES:
                yield data

    return read


def payloads(*names: str) -> Callable[[], Iterator[bytes]]:
    """What lies inside the envelopes of the vectors, where there is one."""

    def read() -> Iterator[bytes]:
        for data in wholes(*names)():
            for typ in (None, TYP_STATUS_LIST):
                try:
                    yield envelope.parse(data, what="seed", limit=LONGEST_BYTES, typ=typ).payload
                except ProtocolError:
                    continue

    return read


def codes() -> Iterator[bytes]:
    """The COSE bytes of the codes that the vectors show as text."""
    for vector in vectors("codes"):
        try:
            yield base45.decode(vector["input"]["text"].removeprefix(PREFIX))
        except ProtocolError:
            continue


def claims() -> Iterator[bytes]:
    """What lies inside those codes."""
    for data in codes():
        try:
            yield envelope.parse(data, what="seed", limit=LONGEST_BYTES).payload
        except ProtocolError:
            continue


def texts(*names: str, field: str = "text") -> Callable[[], Iterator[bytes]]:
    """The texts of the vectors."""
    return lambda: (vector["input"][field].encode(errors="surrogatepass") for vector in vectors(*names))


def borrowed(pattern: str, *fields: str) -> Callable[[], Iterator[bytes]]:
    """Hexadecimal fields of borrowed JSON files, wherever in them they stand."""

    def read() -> Iterator[bytes]:
        for path in sorted(DATA.glob(pattern)):
            for value in _fields(json.loads(path.read_text(encoding="utf-8-sig")), fields):
                data = bytes.fromhex(value) if _is_hex(value) else value.encode()
                if 0 < len(data) <= LONGEST_BYTES:
                    yield data

    return read


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True


def _fields(value: Any, names: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in names and isinstance(item, str):
                yield item
            else:
                yield from _fields(item, names)
    elif isinstance(value, list):
        for item in value:
            yield from _fields(item, names)
