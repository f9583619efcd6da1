"""The TOML files of platform, hub and gates, as an operator would write them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.sandbox.pki import CertificateFiles, KeyFiles

HOST = "127.0.0.1"
# What a Camera Module's low-resolution stream gives a gate.
CAMERA = {"kind": "people", "width_px": 640, "height_px": 480}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Every TCP port of the site."""

    broker: int
    platform_api: int
    platform_pages: int
    hub_http: int
    hub_enrolment: int
    console: int
    stand: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The address of each server: this machine's own, unless every part has a network of its own."""

    broker: str = HOST
    platform: str = HOST
    hub: str = HOST


LOOPBACK = Hosts()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFiles:
    """What the platform hands out: its root key and the signed bundle."""

    root: Path
    bundle: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityFiles:
    """The hub's certificate authority."""

    cert: Path
    key: Path


def enrolment_url(hosts: Hosts, ports: Ports) -> str:
    """Where devices enrol and renew."""
    return f"https://{hosts.hub}:{ports.hub_enrolment}"


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
    hosts: Hosts,
    ports: Ports,
    certificates: CertificateFiles,
    hub: tuple[bytes, KeyFiles],
) -> str:
    """The stand-in platform's file: which hub may send."""
    hub_id, hub_key = hub
    return toml(
        {
            "authority": authority,
            "database": folder / "platform.sqlite",
            "api": {"host": hosts.platform, "port": ports.platform_api, **_tls(certificates)},
            "pages": {"host": hosts.platform, "port": ports.platform_pages},
            "hubs": {hub_id.hex(): hub_key.public},
        }
    )


def hub_config(
    *,
    folder: Path,
    hub_id: bytes,
    hosts: Hosts,
    ports: Ports,
    key: KeyFiles,
    trust: TrustFiles,
    authority: AuthorityFiles,
    broker: CertificateFiles,
    platform: CertificateFiles,
    console: bool,
    mirror: Path | None = None,
) -> str:
    """The hub's file, with a console or without one, with a mirror of the firmware or without one."""
    # Plain HTTP is for this machine only.
    url = f"http://{HOST}:{ports.console}"
    shown = {"console": {"host": HOST, "port": ports.console, "url": url, "name": "Gatelight 演示 Demo"}}
    return toml(
        {
            "hub_id": hub_id.hex(),
            "database": folder / "hub.sqlite",
            "keys": {"signing": key.signing, "root": trust.root},
            "trust": {"bundle": trust.bundle},
            "broker": {"host": hosts.broker, "port": ports.broker, **_tls(broker)},
            "platform": {"url": f"https://{hosts.platform}:{ports.platform_api}", **_tls(platform)},
            "http": {"host": hosts.hub, "port": ports.hub_http},
            "ca": {"cert": authority.cert, "key": authority.key},
            "enrolment": {"host": hosts.hub, "port": ports.hub_enrolment, "url": enrolment_url(hosts, ports)},
            "retention": {"personal_h": 24},
            # A container has no time service of its own; its host's clock is right.
            "clock": {"source": "assume"},
            **(shown if console else {}),
            **({} if mirror is None else {"firmware": {"dir": mirror}}),
        }
    )


def machine_config(*, folder: Path, camera_socket: Path, frames_per_s: float, lights: Path | None) -> dict[str, Any]:
    """The machine's half of a gate's file, which is all that a gate as from the box has.

    Rendered frames and simulated light, buzzer, relay, screen and voice; all else is the product's. Into the file
    `lights` goes every change of any of them.
    """
    return {
        "state_dir": folder / "state",
        "camera": {**CAMERA, "socket": camera_socket, "fps": frames_per_s},
        "decoder": {"engine": "zxing"},
        "hardware": {"kind": "sim"} if lights is None else {"kind": "sim", "journal": lights},
        "thermometer": {"kind": "sim"},
        "screen": {"kind": "sim"},
        "voice": {"kind": "sim"},
        "enrolment": {"boot_file": folder / "boot" / "enrol.json"},
        # A container has no time service of its own; its host's clock is right.
        "clock": {"source": "assume"},
    }


def update_config(*, root: Path, firmware_dir: Path) -> dict[str, Any]:
    """`[update]` of a gate, which waits no longer than a sandbox takes."""
    return {"update": {"root": root, "platform": "sandbox", "firmware_dir": firmware_dir, "trial_s": 30, "fetch_s": 30}}


def site_config(
    *,
    device_id: bytes,
    place: str,
    gate: str,
    direction: str,
    hosts: Hosts,
    ports: Ports,
    key: KeyFiles,
    hub_key: Path,
    trust: TrustFiles,
    broker: CertificateFiles,
) -> dict[str, Any]:
    """The site's half, as one writes it who provisions a gate by hand."""
    return {
        "device_id": device_id.hex(),
        "place": place,
        "gate": gate,
        "direction": direction,
        "keys": {"signing": key.signing, "hub": hub_key, "root": trust.root},
        "trust": {"bundle": trust.bundle},
        "broker": {"host": hosts.broker, "port": ports.broker, **_tls(broker)},
        "hub": {"url": enrolment_url(hosts, ports), "ca": broker.ca},
    }


def _tls(files: CertificateFiles) -> dict[str, Path]:
    return {"ca": files.ca, "cert": files.cert, "key": files.key}


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)
