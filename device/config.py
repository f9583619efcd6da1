"""The device's configuration: TOML files -> frozen values, every one checked.

`device.toml` describes the machine. Where it stands and whom it trusts comes from its enrolment (`sitefile.py`), or
from the same file, for a gate that is provisioned by hand. Without either the device is un-enrolled.

Each setting's meaning stands beside it; `gatelight-device check-config` prints what is in force. An unknown key is
an error that names it and its table. Relative paths are relative to the file. Durations and sizes carry their unit.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import asdict

from device import sitefile, tomlfile
from device.machinefile import (
    AlsaVoiceConfig,
    CameraConfig,
    ClockConfig,
    DecoderConfig,
    EnrolmentConfig,
    FileKeys,
    KeyStoreConfig,
    MachineConfig,
    Mlx90614Thermometer,
    NoScreen,
    NoThermometer,
    NoVoice,
    OledScreenConfig,
    PeopleCameraConfig,
    PiCameraConfig,
    PicturesCameraConfig,
    PiHardware,
    Pkcs11Keys,
    Policy,
    ScreenConfig,
    SimHardware,
    SimScreen,
    SimThermometer,
    SimVoice,
    ThermometerConfig,
    TpmKeys,
    VideoCameraConfig,
    VoiceConfig,
)
from device.sitefile import SiteConfig
from device.tomlfile import ConfigError

__all__ = [
    "AlsaVoiceConfig",
    "CameraConfig",
    "ClockConfig",
    "ConfigError",
    "DecoderConfig",
    "DeviceConfig",
    "EnrolmentConfig",
    "FileKeys",
    "KeyStoreConfig",
    "MachineConfig",
    "Mlx90614Thermometer",
    "NoScreen",
    "NoThermometer",
    "NoVoice",
    "NotEnrolledError",
    "OledScreenConfig",
    "PeopleCameraConfig",
    "PiCameraConfig",
    "PiHardware",
    "PicturesCameraConfig",
    "Pkcs11Keys",
    "Policy",
    "ScreenConfig",
    "SimHardware",
    "SimScreen",
    "SimThermometer",
    "SimVoice",
    "ThermometerConfig",
    "TpmKeys",
    "VideoCameraConfig",
    "VoiceConfig",
    "in_force",
    "is_enrolled",
    "is_provisioned",
    "load",
    "load_machine",
    "provisioned_site",
]

_OF_THE_SITE = frozenset(SiteConfig.__struct_fields__) - {"renews"}


class NotEnrolledError(ConfigError):
    """The machine is described, but belongs to no site yet."""


class DeviceConfig(MachineConfig, frozen=True, kw_only=True):
    """The machine and its `site`, whose tables are reached as if they stood in one file."""

    site: SiteConfig

    @property
    def device(self) -> bytes:
        """The device id, 8 bytes."""
        return self.site.device

    @property
    def device_id(self) -> str:
        """The device id, 16 hex digits."""
        return self.site.device_id

    @property
    def place(self) -> str:
        """The place id."""
        return self.site.place

    @property
    def gate(self) -> str:
        """The gate id."""
        return self.site.gate

    @property
    def direction(self) -> Literal["in", "out"]:
        """Which way people pass."""
        return self.site.direction

    @property
    def keys(self) -> sitefile.Keys:
        """`[keys]`."""
        return self.site.keys

    @property
    def trust(self) -> sitefile.Trust:
        """`[trust]`."""
        return self.site.trust

    @property
    def broker(self) -> sitefile.Broker:
        """`[broker]`."""
        return self.site.broker

    @property
    def hub(self) -> sitefile.HubAddress | None:
        """`[hub]`."""
        return self.site.hub


def load_machine(path: Path) -> MachineConfig:
    """The machine that the file `path` describes, wherever it stands.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or a key is unknown, missing or out of its range.
    """
    return _split(path)[0]


def load(path: Path) -> DeviceConfig:
    """The file `path`, with the site that it or the enrolment names.

    Raises:
        NotEnrolledError: neither names one.
        ConfigError: a file cannot be read, is not TOML, or a key is unknown, missing or out of its range.
    """
    machine, given = _split(path)
    if given is not None:
        site = sitefile.renewed(given, machine.state_dir)
    elif is_enrolled(machine):
        site = sitefile.load_current(machine.state_dir)
    else:
        raise NotEnrolledError(f"{path}: this device is not enrolled")
    return DeviceConfig(**asdict(machine), site=site)


def is_enrolled(machine: MachineConfig) -> bool:
    """Whether an enrolment has written a site. A gate that is provisioned by hand has none until it renews."""
    return (machine.state_dir / sitefile.CURRENT / sitefile.FILE).is_file()


def is_provisioned(path: Path) -> bool:
    """Whether the file itself names the site, so that no enrolment is asked for.

    Raises:
        ConfigError: as `load_machine`.
    """
    return _split(path)[1] is not None


def provisioned_site(path: Path) -> SiteConfig | None:
    """The site that the file itself names, as somebody wrote it; None where the enrolment does.

    Raises:
        ConfigError: as `load`.
    """
    return _split(path)[1]


def _split(path: Path) -> tuple[MachineConfig, SiteConfig | None]:
    tables = tomlfile.read(path)
    of_site = {name: tables.pop(name) for name in _OF_THE_SITE & tables.keys()}
    machine = tomlfile.convert(tables, MachineConfig, path=path)
    return machine, tomlfile.convert(of_site, SiteConfig, path=path) if of_site else None


def in_force(config: MachineConfig) -> str:
    """Every setting with its value, defaults included, as indented JSON."""
    shown: dict[str, Any] = asdict(config)
    site = shown.pop("site", None)
    shown = {**(asdict(site) if site is not None else {}), **shown}
    return msgspec.json.format(msgspec.json.encode(shown, enc_hook=str), indent=2).decode()
