"""The TOML files of platform, hub and gates, as an operator would write them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.sandbox.pki import CertificateFiles, KeyFiles

HOST = "127.0.0.1"
# What a Camera Module's low-resolution stream gives a gate.
CAMERA = {"kind": "people", "width_px": 640, "height_px": 480, "fps": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Every TCP port of the site, all on loopback."""

    broker: int
    platform_api: int
    platform_pages: int
    hub_http: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFiles:
    """What the platform hands out: its root key and the signed bundle."""

    root: Path
    bundle: Path


def toml(document: dict[str, Any]) -> str:
    """A document of scalars and one level of tables. JSON's strings are TOML's basic strings."""
    tables = {name: value for name, value in document.items() if isinstance(value, dict)}
    lines = [f"{name} = {_scalar(value)}" for name, value in document.items() if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_scalar(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def platform_config(
    *,
    folder: Path,
    authority: Path,
    ports: Ports,
    certificates: CertificateFiles,
    hub: tuple[bytes, KeyFiles],
    devices: dict[bytes, KeyFiles],
) -> str:
    """The stand-in platform's file: who may send, and whose signatures count."""
    hub_id, hub_key = hub
    return toml(
        {
            "authority": authority,
            "database": folder / "platform.sqlite",
            "api": {"host": HOST, "port": ports.platform_api, **_tls(certificates)},
            "pages": {"host": HOST, "port": ports.platform_pages},
            "hubs": {hub_id.hex(): hub_key.public},
            "devices": {device.hex(): key.public for device, key in devices.items()},
        }
    )


def hub_config(
    *,
    folder: Path,
    hub_id: bytes,
    ports: Ports,
    key: KeyFiles,
    trust: TrustFiles,
    broker: CertificateFiles,
    platform: CertificateFiles,
) -> str:
    """The hub's file."""
    return toml(
        {
            "hub_id": hub_id.hex(),
            "database": folder / "hub.sqlite",
            "keys": {"signing": key.signing, "root": trust.root},
            "trust": {"bundle": trust.bundle},
            "broker": {"host": HOST, "port": ports.broker, **_tls(broker)},
            "platform": {"url": f"https://{HOST}:{ports.platform_api}", **_tls(platform)},
            "http": {"host": HOST, "port": ports.hub_http},
            "retention": {"personal_h": 24},
        }
    )


def device_config(
    *,
    folder: Path,
    device_id: bytes,
    place: str,
    gate: str,
    direction: str,
    ports: Ports,
    key: KeyFiles,
    hub_key: Path,
    trust: TrustFiles,
    broker: CertificateFiles,
    camera_socket: Path,
) -> str:
    """One gate's file: rendered frames and simulated light, buzzer and relay; all else is the product's."""
    return toml(
        {
            "device_id": device_id.hex(),
            "place": place,
            "gate": gate,
            "direction": direction,
            "state_dir": folder / "state",
            "keys": {"signing": key.signing, "hub": hub_key, "root": trust.root},
            "trust": {"bundle": trust.bundle},
            "broker": {"host": HOST, "port": ports.broker, **_tls(broker)},
            "camera": {**CAMERA, "socket": camera_socket},
            "decoder": {"engine": "zxing"},
            "hardware": {"kind": "sim"},
            # A container has no time service of its own; its host's clock is right.
            "clock": {"source": "assume"},
        }
    )


def _tls(files: CertificateFiles) -> dict[str, Path]:
    return {"ca": files.ca, "cert": files.cert, "key": files.key}


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)
