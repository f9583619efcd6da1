"""A TOML file -> frozen tables, every value checked; and frozen tables -> a TOML file.

An unknown key is an error that names it and its table. Relative paths are relative to the file.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

FILE_LIMIT_BYTES = 64 * 1024
"""Every setting with a long comment each is a tenth of this."""

LINE_LIMIT_BYTES = 4096
"""A key of thousands of parts takes Python's reader gigabytes: both grow with the square of the line."""


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file, the table and the key."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a file."""


Kind = TypeVar("Kind", bound=Table)


def read(path: Path) -> dict[str, Any]:
    """The file `path` -> tables as TOML has them.

    Raises:
        ConfigError: it cannot be read, is too long, or is not TOML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
        if len(data) > FILE_LIMIT_BYTES:
            raise ConfigError(f"{path}: over {FILE_LIMIT_BYTES} bytes, no configuration is that long")
        for number, line in enumerate(data.splitlines(), 1):
            if len(line) > LINE_LIMIT_BYTES:
                raise ConfigError(
                    f"{path}: line {number} has {len(line)} bytes, at most {LINE_LIMIT_BYTES} are allowed"
                )
        return tomllib.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not TOML, or an integer of more digits than Python reads.
        raise ConfigError(f"{path}: {error}") from error


def convert(tables: dict[str, Any], kind: type[Kind], *, path: Path) -> Kind:
    """Tables -> the frozen type, its paths made relative to the folder of the file `path`.

    Raises:
        ConfigError: a key is unknown, missing or out of its range.
    """

    def resolve(wanted: type, value: Any) -> Any:
        if wanted is Path and isinstance(value, str):
            return path.parent / value
        raise TypeError(f"expected {wanted.__name__}, got {type(value).__name__}")

    try:
        return msgspec.convert(tables, kind, dec_hook=resolve)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def dump(table: Table, *, folder: Path) -> bytes:
    """A table with tables of scalars -> a file in `folder`. Paths below that become relative, None is left out."""
    own, inner = [], []
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, Table):
            inner += ["", f"[{name}]", *_lines(value, folder)]
        elif value is not None:
            own.append(f"{name} = {_scalar(value, folder)}")
    return ("\n".join([*own, *inner]) + "\n").encode()


def _lines(table: Table, folder: Path) -> list[str]:
    values = {name: getattr(table, name) for name in table.__struct_fields__}
    return [f"{name} = {_scalar(value, folder)}" for name, value in values.items() if value is not None]


def _scalar(value: Any, folder: Path) -> str:
    if isinstance(value, Path):
        value = str(value.relative_to(folder) if value.is_relative_to(folder) else value.absolute())
    # JSON's strings, integers and booleans are TOML's, but for one character that TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
