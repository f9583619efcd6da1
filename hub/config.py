"""The hub's configuration: a TOML file -> frozen values, every one checked.

Each setting's meaning stands beside it; `gatelight-hub check-config` prints what is in force. An unknown key is an
error that names it and its table. Relative paths are relative to the file. Durations carry their unit.
"""

import ipaddress
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from protocol.errors import ProtocolError
from protocol.provisioning import read_host, read_url

Host = Annotated[str, Meta(min_length=1, max_length=253)]
Port = Annotated[int, Meta(ge=1, le=65535)]


FILE_LIMIT_BYTES = 64 * 1024
"""Every setting with a long comment each is a tenth of this."""

LINE_LIMIT_BYTES = 4096
"""A key of thousands of parts takes Python's reader gigabytes: both grow with the square of the line."""


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file, the table and the key."""


def _bracketed(host: str) -> str:
    """A host as a socket takes it -> as the wire writes it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _check(read: Callable[[str, str], str], value: str, key: str) -> None:
    """What the wire refuses in `key`, as msgspec has it raised: it adds the table.

    Raises:
        ValueError: the value is refused; the sentence names the key.
    """
    try:
        read(value, key)
    except ProtocolError as error:
        raise ValueError(str(error)) from error


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
    """`[broker]`: MQTT over TLS 1.3. `ca` signs the broker, `cert` and `key` are this hub's, CN = `hub`.

    With `manages_access` the hub tells the broker which devices may do what (Mosquitto's dynamic security), and cuts
    revoked ones off; without it somebody else must.
    """

    host: Host
    ca: Path
    cert: Path
    key: Path
    port: Port = 8883
    manages_access: bool = True

    def __post_init__(self) -> None:
        _check(read_host, _bracketed(self.host), "host")


class Clock(_Table, frozen=True, kw_only=True):
    """`[clock]`: whose word is taken for our clock being set, before gates are told the time by it; `assume` is for
    machines without a time service of their own.
    """

    source: Literal["kernel", "assume"] = "kernel"


class Platform(_Table, frozen=True, kw_only=True):
    """`[platform]`: where check-ins go, over HTTPS with this hub's certificate."""

    url: Annotated[str, Meta(pattern=r"^https://[^\s/?#]+(/[^\s?#]*)?$", max_length=1024)]
    ca: Path
    cert: Path
    key: Path

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            _ = parts.port  # Raises for what is no port.
        except ValueError as error:
            raise ValueError(f"url: {error}") from error
        _check(read_host, _bracketed(parts.hostname or ""), "url")


class Http(_Table, frozen=True, kw_only=True):
    """`[http]`: where health and metrics answer. They ask for no password: keep them on an inner network."""

    host: Host = "127.0.0.1"
    port: Port = 8080

    def __post_init__(self) -> None:
        _check(read_host, _bracketed(self.host), "host")


class Retention(_Table, frozen=True, kw_only=True):
    """`[retention]`: how long personal data stay.

    `personal_h` counts from the arrival of a check-in, and never ends before the platform's receipt.
    `quarantine_h` is for the bytes of what could not be stored: evidence, which the platform never gets.
    """

    personal_h: Annotated[int, Meta(ge=0, le=24 * 366)] = 24
    quarantine_h: Annotated[int, Meta(ge=1, le=24 * 366)] = 720


class Ca(_Table, frozen=True, kw_only=True):
    """`[ca]`: the hub's own certificate authority, made by `gatelight-hub ca init`.

    `certificate_days` is how long the certificates of devices and servers are good for. Devices renew theirs when a
    third of it is left.
    """

    cert: Path
    key: Path
    certificate_days: Annotated[int, Meta(ge=1, le=825)] = 90


class Enrolment(_Table, frozen=True, kw_only=True):
    """`[enrolment]`: where devices enrol and renew, over TLS 1.3 with a certificate of `[ca]` that the hub makes.

    `url` is that address as devices reach it, without a path; `broker_host` and `broker_port` say how they reach the
    broker, where that is not how the hub does. An IPv6 address stands in brackets in `url` and `broker_host`.
    """

    url: str
    host: Host = "0.0.0.0"  # noqa: S104 -- devices come from outside; they bring a token or a certificate.
    port: Port = 8444
    broker_host: Host | None = None
    broker_port: Port | None = None

    def __post_init__(self) -> None:
        _check(read_url, self.url, "url")
        if urlsplit(self.url).path:
            raise ValueError("url: an address without a path, such as https://hub.example:8444")
        _check(read_host, _bracketed(self.host), "host")
        if self.broker_host is not None:
            _check(read_host, self.broker_host, "broker_host")

    @property
    def server_name(self) -> str:
        """The name or address in `url`, for which the server's certificate is made."""
        return urlsplit(self.url).hostname or ""


class Firmware(_Table, frozen=True, kw_only=True):
    """`[firmware]`: `dir` is the folder of the mirror, which `gatelight-hub firmware import` fills and devices read.

    With it and `[enrolment]` the hub serves the mirror, and brings releases through the fleet.
    """

    dir: Path


class Console(_Table, frozen=True, kw_only=True):
    """`[console]`: the operators' pages and the open API.

    `url` is the address as browsers reach it, without a path. With `cert` and `key` the console speaks TLS itself;
    without them a reverse proxy on this machine does, and `host` is a loopback address. Plain `http` is for a browser
    on this very machine. `name` is what the site is called; `timezone` that of the people who read the pages.
    `alerts_to_loopback` lets alerts be sent to addresses of this machine, for trying things out.
    """

    url: Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+\Z", max_length=512)]
    host: Host = "127.0.0.1"
    port: Port = 8445
    cert: Path | None = None
    key: Path | None = None
    name: Annotated[str, Meta(min_length=1, max_length=64)] = "Gatelight"
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "Asia/Shanghai"
    alerts_to_loopback: bool = False

    def __post_init__(self) -> None:
        _check(read_host, _bracketed(self.host), "host")
        try:
            parts = urlsplit(self.url)
            _ = parts.port  # Raises for what is no port.
        except ValueError as error:
            raise ValueError(f"url: {error}") from error
        _check(read_host, _bracketed(parts.hostname or ""), "url")
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` go together")
        if self.cert is not None and parts.scheme != "https":
            raise ValueError("url: https, as there is a certificate")
        if self.cert is None and not _is_loopback(self.host):
            raise ValueError("host: passwords need TLS: give `cert` and `key`, or listen on 127.0.0.1 behind a proxy")
        if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
            raise ValueError("url: plain http is for this machine only")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"timezone: there is no {self.timezone!r} on this machine") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HubConfig(_Table, frozen=True, kw_only=True):
    """The whole file. `hub_id` is 16 hex digits; `database` must lie on a disk that keeps what it has synced.

    Without `[ca]` and `[enrolment]` devices are entered by hand, with certificates of somebody else's authority.
    """

    hub_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    database: Path
    keys: Keys
    trust: Trust
    broker: Broker
    platform: Platform
    http: Http = Http()
    retention: Retention = Retention()
    clock: Clock = Clock()
    ca: Ca | None = None
    enrolment: Enrolment | None = None
    firmware: Firmware | None = None
    console: Console | None = None

    def __post_init__(self) -> None:
        if self.enrolment is not None and self.ca is None:
            raise ValueError("`enrolment` needs `ca`: who enrols gets a certificate")

    @property
    def hub(self) -> bytes:
        """The hub id, 8 bytes."""
        return bytes.fromhex(self.hub_id)

    @property
    def broker_host(self) -> str:
        """The broker's host as devices are told it."""
        told = self.enrolment.broker_host if self.enrolment is not None else None
        return told or _bracketed(self.broker.host)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file, but for the database, that must be there when the hub starts."""
        tls = (self.broker, self.platform)
        return (
            self.keys.signing,
            self.keys.root,
            self.trust.bundle,
            *(path for table in tls for path in (table.ca, table.cert, table.key)),
            *(() if self.ca is None else (self.ca.cert, self.ca.key)),
            *(path for path in (() if self.console is None else (self.console.cert, self.console.key)) if path),
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
        for number, line in enumerate(data.splitlines(), 1):
            if len(line) > LINE_LIMIT_BYTES:
                raise ConfigError(
                    f"{path}: line {number} has {len(line)} bytes, at most {LINE_LIMIT_BYTES} are allowed"
                )
        table = tomllib.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not TOML, or an integer of more digits than Python reads.
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
