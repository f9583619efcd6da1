"""The stand-in platform's TOML file -> a frozen value. An unknown key is an error."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.keys import VerifyKey, decode_key


class PlatformConfigError(Exception):
    """The configuration cannot be used, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """The HTTPS side, which hubs talk to with a client certificate."""

    host: str
    port: int
    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesConfig:
    """The plain HTTP side on loopback: pages to inspect what arrived, and the sandbox's phones."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformConfig:
    """All of it. `hubs` is id -> registered key; what devices there are, the hubs tell."""

    authority: Path
    database: Path
    api: ApiConfig
    pages: PagesConfig
    hubs: dict[bytes, VerifyKey]


def read_config(path: Path) -> PlatformConfig:
    """Reads the file and every key it names.

    Raises:
        PlatformConfigError: with the key that is wrong.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        _only(raw, {"authority", "database", "api", "pages", "hubs"}, "the file")
        api, pages = raw["api"], raw["pages"]
        _only(api, {"host", "port", "ca", "cert", "key"}, "[api]")
        _only(pages, {"host", "port"}, "[pages]")
        return PlatformConfig(
            authority=Path(raw["authority"]),
            database=Path(raw["database"]),
            api=ApiConfig(
                host=str(api["host"]),
                port=int(api["port"]),
                ca=Path(api["ca"]),
                cert=Path(api["cert"]),
                key=Path(api["key"]),
            ),
            pages=PagesConfig(host=str(pages["host"]), port=int(pages["port"])),
            hubs=_keys(raw["hubs"]),
        )
    except KeyError as error:
        raise PlatformConfigError(f"{path}: {error.args[0]} is missing") from error
    except (OSError, ValueError, TypeError) as error:
        raise PlatformConfigError(f"{path}: {error}") from error


def _keys(table: dict[str, Any]) -> dict[bytes, VerifyKey]:
    return {bytes.fromhex(name): decode_key(Path(file).read_bytes()) for name, file in table.items()}


def _only(table: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"{where} has unknown keys: {', '.join(unknown)}")
