"""The hub's configuration: a TOML file -> frozen values, every one checked.

Each setting's meaning stands beside it; `gatelight-hub check-config` prints what is in force. An unknown key is an
error that names it and its table. Relative paths are relative to the file. Durations carry their unit.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Host = Annotated[str, Meta(min_length=1, max_length=253)]
Port = Annotated[int, Meta(ge=1, le=65535)]


FILE_LIMIT_BYTES = 64 * 1024
"""Every setting with a long comment each is a tenth of this."""


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file, the table and the key."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Keys(_Table, frozen=True, kw_only=True):
    """`[keys]`: files. `signing` is the hub's own private key; `root` is the platform's public COSE_Key."""

    signing: Path
    root: Path


class Trust(_Table, frozen=True, kw_only=True):
    """`[trust]`: the issuers' bundle, signed by the root key."""

    bundle: Path


class Broker(_Table, frozen=True, kw_only=True):
    """`[broker]`: MQTT over TLS 1.3. `ca` signs the broker, `cert` and `key` are this hub's, CN = `hub`."""

    host: Host
    ca: Path
    cert: Path
    key: Path
    port: Port = 8883


class Platform(_Table, frozen=True, kw_only=True):
    """`[platform]`: where check-ins go, over HTTPS with this hub's certificate."""

    url: Annotated[str, Meta(pattern=r"^https://[^\s/?#]+(/[^\s?#]*)?$", max_length=1024)]
    ca: Path
    cert: Path
    key: Path


class Http(_Table, frozen=True, kw_only=True):
    """`[http]`: where health and metrics answer. They ask for no password: keep them on an inner network."""

    host: Host = "127.0.0.1"
    port: Port = 8080


class Retention(_Table, frozen=True, kw_only=True):
    """`[retention]`: how long personal data stay.

    `personal_h` counts from the arrival of a check-in, and never ends before the platform's receipt.
    `quarantine_h` is for the bytes of what could not be stored: evidence, which the platform never gets.
    """

    personal_h: Annotated[int, Meta(ge=0, le=24 * 366)] = 24
    quarantine_h: Annotated[int, Meta(ge=1, le=24 * 366)] = 720


class HubConfig(_Table, frozen=True, kw_only=True):
    """The whole file. `hub_id` is 16 hex digits; `database` must lie on a disk that keeps what it has synced."""

    hub_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    database: Path
    keys: Keys
    trust: Trust
    broker: Broker
    platform: Platform
    http: Http = Http()
    retention: Retention = Retention()

    @property
    def hub(self) -> bytes:
        """The hub id, 8 bytes."""
        return bytes.fromhex(self.hub_id)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file, but for the database, that must be there when the hub starts."""
        tls = (self.broker, self.platform)
        return (
            self.keys.signing,
            self.keys.root,
            self.trust.bundle,
            *(path for table in tls for path in (table.ca, table.cert, table.key)),
        )


def load(path: Path) -> HubConfig:
    """The file `path` -> configuration.

    Raises:
        ConfigError: it cannot be read, is not TOML, or a key is unknown, missing or out of its range.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
        if len(data) > FILE_LIMIT_BYTES:
            raise ConfigError(f"{path}: over {FILE_LIMIT_BYTES} bytes, no configuration is that long")
        table = tomllib.loads(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from error

    def resolve(kind: type, value: Any) -> Any:
        if kind is Path and isinstance(value, str):
            return path.parent / value
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")

    try:
        return msgspec.convert(table, HubConfig, dec_hook=resolve)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def in_force(config: HubConfig) -> str:
    """Every setting with its value, defaults included, as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(config, enc_hook=str), indent=2).decode()
