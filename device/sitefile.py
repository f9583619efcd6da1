"""Where this gate stands, whom it trusts and who it is there: `site.toml`, or the same tables inside `device.toml`.

An enrolled device has a folder of its own for them, `state_dir/site/current`; a gate that was provisioned by hand
has them in `device.toml`. A gate of the second kind that renewed its certificate has both: then the folder holds
only what renewal changes, and says by a hash which provisioning it continues.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from device import tomlfile
from device.tomlfile import ConfigError, Table
from protocol.limits import NAME_CHARS

Name = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9._-]{{1,{NAME_CHARS}}}\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:_-]{1,253}\Z")]
HttpsUrl = Annotated[str, Meta(pattern=r"^https://[\x21-\x7e]{1,248}\Z")]
KeyName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]

CURRENT = "site/current"
"""Below `state_dir`: the link to the folder in force."""

FILE = "site.toml"


class Keys(Table, frozen=True, kw_only=True):
    """`[keys]`: this device's own key, as a file (`signing`) or by its name in the key store (`stored`).

    `hub` and `root` are public COSE_Keys that it trusts; `hub` may hold an array of them.
    """

    hub: Path
    root: Path
    signing: Path | None = None
    stored: KeyName | None = None

    def __post_init__(self) -> None:
        """Refuse two keys, or none."""
        if (self.signing is None) == (self.stored is None):
            raise ValueError("keys: either signing (a file) or stored (a name in the key store)")


class Trust(Table, frozen=True, kw_only=True):
    """`[trust]`: the issuers' bundle, signed by the root key; the gate policy that the hub signed at enrolment."""

    bundle: Path
    policy: Path | None = None


class Broker(Table, frozen=True, kw_only=True):
    """`[broker]`: MQTT over TLS 1.3. `ca` signs the broker, `cert` and `key` are this device's, CN = device id."""

    host: Host
    ca: Path
    cert: Path
    key: Path
    port: Port = 8883


class HubAddress(Table, frozen=True, kw_only=True):
    """`[hub]`: where certificates are renewed; `ca` signs that server. Without it nothing is renewed."""

    url: HttpsUrl
    ca: Path


class SiteConfig(Table, frozen=True, kw_only=True):
    """The whole of it. `device_id` is 16 hex digits; `renews` is the hash of the certificate that this continues."""

    device_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    place: Name
    gate: Name
    keys: Keys
    trust: Trust
    broker: Broker
    hub: HubAddress | None = None
    direction: Literal["in", "out"] = "in"
    renews: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None

    @property
    def device(self) -> bytes:
        """The device id, 8 bytes."""
        return bytes.fromhex(self.device_id)


def load_site(folder: Path) -> SiteConfig:
    """The site in a folder.

    Raises:
        ConfigError: there is none, or a key is unknown, missing or out of its range.
    """
    path = folder / FILE
    return tomlfile.convert(tomlfile.read(path), SiteConfig, path=path)


def load_current(state_dir: Path) -> SiteConfig:
    """The site in force. Its paths lead into its own folder, not over the link: a switch does not change what runs.

    Raises:
        ConfigError: as `load_site`.
    """
    return load_site((state_dir / CURRENT).resolve())


def provisioned_hash(cert: Path) -> str:
    """What names one provisioning: the hash of its certificate file.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        with cert.open("rb") as file:
            return hashlib.sha256(file.read(tomlfile.FILE_LIMIT_BYTES)).hexdigest()
    except OSError as error:
        raise ConfigError(f"{cert}: {error.strerror}") from error


def renewed(given: SiteConfig, state_dir: Path) -> SiteConfig:
    """The site of `device.toml` with what renewals of just this provisioning changed since.

    Somebody who provisions the gate again, by a new certificate file, ends what renewals did to the old one.

    Raises:
        ConfigError: the folder of renewals cannot be read.
    """
    if not (state_dir / CURRENT / FILE).is_file():
        return given
    kept = load_current(state_dir)
    if kept.renews is None or kept.device_id != given.device_id or kept.renews != provisioned_hash(given.broker.cert):
        return given
    broker = replace(given.broker, cert=kept.broker.cert, key=kept.broker.key)
    keys = replace(given.keys, signing=kept.keys.signing, stored=kept.keys.stored)
    return replace(given, broker=broker, keys=keys, renews=kept.renews)
