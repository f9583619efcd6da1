"""What an installer and an operator put on a gate and on a hub, here both on one machine: units, users, keys, files.

The units are the shipped files. Only the places differ that a machine without camera and pins forces: pictures
instead of a camera, simulated parts instead of pins, in `device.toml`.
"""

import datetime as dt
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from deploy.hil.mirror import ROOT, run
from deploy.hil.systemd.machine import Machine
from deploy.sandbox import broker, configs
from deploy.sandbox.configs import AuthorityFiles, Ports, TrustFiles
from deploy.sandbox.pki import CertificateAuthority, KeyFiles, SiteAuthority, make_signing_key
from deploy.sandbox.platform.authority import bundle_file, create_authority, root_file
from deploy.sandbox.publisher import Publisher

DEVICE_UNITS: Final = ROOT / "deploy/device/units"
HUB_UNITS: Final = ROOT / "deploy/hub/units"
ENABLED: Final = (
    "gatelight-device.service",
    "gatelight-update.service",
    "gatelight-update.path",
    "gatelight-update-restart.path",
)
"""The gate's, which start when the machine boots; the hub's are for who has told it of a gate (`register`)."""

HUB_ENABLED: Final = ("mosquitto.service", "gatelight-hub.service", "gatelight-hub-backup.timer")
PORTS: Final = Ports(
    broker=8883, platform_api=9443, platform_pages=9080, hub_http=8080, hub_enrolment=8444, console=8445, stand=9081
)
"""Nobody listens to the platform's: hub and gate must do without."""

PICTURES: Final = "/srv/pictures"
KEYS: Final = "/srv/keys"
PLACE: Final = "jiangbei-mall"
GATE: Final = "G1"
_FRAME_PX: Final = (480, 640)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What tests must know of it. The paths are those of the root as this machine sees it."""

    device_id: str
    device_key: Path
    pictures: tuple[Path, Path]
    publisher: Publisher


def install(root: Path) -> Installed:
    """Write everything into a root that is not running.

    Raises:
        MirrorError: a tool of systemd's refused what it was given.
    """
    for folder in ("var/log/journal", "srv/pictures", "etc/gatelight", "etc/gatelight-hub"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _install_units(DEVICE_UNITS, root)
    _install_units(HUB_UNITS, root)
    shutil.copy(DEVICE_UNITS / "gatelight-run", root / "opt/gatelight/bin/gatelight-run")
    run(["systemd-sysusers", f"--root={root}"])
    run(["systemctl", f"--root={root}", "--quiet", "enable", *ENABLED])
    # Its package enables it; here it has no list yet of who may do what.
    run(["systemctl", f"--root={root}", "--quiet", "disable", "mosquitto.service"])
    pictures = tuple(root / PICTURES[1:] / f"{number}.png" for number in (1, 2))
    for seed, path in enumerate(pictures):
        draw(path, seed=seed)
    return _configure(root, (pictures[0], pictures[1]))


def draw(path: Path, *, seed: int) -> None:
    """A picture without a code, in one step: who looks at it meanwhile sees the old one or the new."""
    noise = np.random.default_rng(seed).integers(0, 256, _FRAME_PX, dtype=np.uint8)
    begun = path.with_suffix(".begun")
    Image.fromarray(noise).save(begun, format="PNG")
    begun.replace(path)


def _install_units(units: Path, root: Path) -> None:
    """Each file to where systemd looks for its kind."""
    system = root / "etc/systemd/system"
    for path in sorted(units.iterdir()):
        if path.is_dir():
            shutil.copytree(path, system / path.name)
        elif path.suffix in {".service", ".path", ".timer"}:
            shutil.copy(path, system)
        elif path.suffix in {".sysusers", ".tmpfiles"}:
            folder = root / "etc" / f"{path.suffix[1:]}.d"
            folder.mkdir(exist_ok=True)
            shutil.copy(path, folder / f"{path.stem}.conf")


def _configure(root: Path, pictures: tuple[Path, Path]) -> Installed:
    """Keys, certificates and configuration, as the sandbox makes them for a site."""
    now = dt.datetime.now(dt.UTC)
    keys = root / KEYS[1:]
    authority, platform = SiteAuthority(keys / "site", now=now), keys / "platform"
    create_authority(platform / "authority", now_s=int(now.timestamp()))
    trust = TrustFiles(root=root_file(platform / "authority"), bundle=bundle_file(platform / "authority"))
    hub_id, device_id = os.urandom(8), os.urandom(8)
    hub_key = make_signing_key(keys / "signing", name="hub")
    device_key = make_signing_key(keys / "signing", name=device_id.hex())
    hub = configs.hub_config(
        folder=root / "var/lib/gatelight-hub",
        hub_id=hub_id,
        hosts=configs.LOOPBACK,
        ports=PORTS,
        key=hub_key,
        trust=trust,
        authority=AuthorityFiles(cert=authority.certificate_file, key=authority.key_file),
        broker=authority.client("hub"),
        platform=CertificateAuthority(keys / "platform-tls", name="Gatelight HIL platform", now=now).client(
            hub_id.hex()
        ),
        console=True,
        mirror=root / "var/lib/gatelight-hub/firmware",
    )
    publisher = Publisher(keys / "publisher")
    publisher.repository().begin()
    device = configs.toml(
        _machine(root)
        | configs.update_config(root=publisher.root, firmware_dir=root / "var/lib/gatelight-firmware")
        | configs.site_config(
            device_id=device_id,
            place=PLACE,
            gate=GATE,
            direction="in",
            hosts=configs.LOOPBACK,
            ports=PORTS,
            key=device_key,
            hub_key=hub_key.public,
            trust=trust,
            broker=authority.client(device_id.hex()),
        )
    )
    mosquitto = broker.configuration(
        host=configs.HOST,
        port=PORTS.broker,
        certificates=authority.server("broker"),
        plugin=broker.find_plugin(),
        security=Path("/var/lib/mosquitto") / broker.SECURITY_FILE,
        user="mosquitto",
    )
    for path, text in (
        ("etc/gatelight-hub/hub.toml", hub),
        ("etc/gatelight/device.toml", device),
        ("etc/mosquitto/mosquitto.conf", mosquitto),
    ):
        # Paths as they are seen from inside.
        (root / path).write_text(text.replace(str(root), ""), encoding="utf-8")
    _give(root, keys, device_id=device_id, keys_of=(hub_key, device_key))
    return Installed(device_id=device_id.hex(), device_key=device_key.public, pictures=pictures, publisher=publisher)


def _machine(root: Path) -> dict[str, Any]:
    return {
        "state_dir": root / "var/lib/gatelight",
        "camera": {"kind": "pictures", "path": root / PICTURES[1:], "frames_each": 1, "fps": 10, "loop": True},
        "hardware": {"kind": "sim"},
        # As on a gate: the kernel's word counts.
        "clock": {"source": "kernel"},
    }


def _give(root: Path, keys: Path, *, device_id: bytes, keys_of: tuple[KeyFiles, KeyFiles]) -> None:
    """Each private key to whom it belongs; what is public to everybody. The platform's own stay root's."""
    hub_key, device_key = keys_of
    owners = {
        hub_key.signing: "gatelight-hub",
        keys / "site/hub.key": "gatelight-hub",
        keys / "site/ca.key": "gatelight-hub",
        device_key.signing: "gatelight",
        keys / f"site/{device_id.hex()}.key": "gatelight",
        keys / "site/broker.key": "mosquitto",
        **dict.fromkeys((keys / "platform-tls").glob("*.key"), "gatelight-hub"),
    }
    users = _users(root)
    for path, name in owners.items():
        os.chown(path, *users[name])
    for path in (keys, *keys.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        elif path.suffix not in {".key", ".signing", ".pem"}:
            path.chmod(0o644)


def _users(root: Path) -> dict[str, tuple[int, int]]:
    """Name -> user id and group id, in the root (passwd(5))."""
    lines = [line.split(":") for line in (root / "etc/passwd").read_text(encoding="utf-8").splitlines()]
    return {fields[0]: (int(fields[2]), int(fields[3])) for fields in lines}


def register(machine: Machine, installed: Installed) -> None:
    """What an operator does before the hub runs: makes it, tells it of the gate, and the broker of both.

    Raises:
        MachineError: the hub's command refused.
    """
    user = ("gatelight-hub", "-g", "gatelight-hub")
    machine.run("install", "-d", "-m", "700", "-o", *user, "/var/lib/gatelight-hub")
    as_hub = ("runuser", "-u", "gatelight-hub", "--")
    config = ("--config", "/etc/gatelight-hub/hub.toml")
    key = f"/{installed.device_key.relative_to(machine.root)}"
    commands = (
        ("init",),
        ("place", "add", "--id", PLACE, "--name", "江北商场 Jiangbei Mall"),
        ("gate", "add", "--place", PLACE, "--id", GATE, "--name", GATE),
        (
            *("device", "add", "--id", installed.device_id, "--key", key),
            *("--place", PLACE, "--gate", GATE, "--direction", "in"),
        ),
    )
    lines = "".join(json.dumps([*command, *config]) + "\n" for command in commands)
    machine.run(*as_hub, "/opt/gatelight-hub/bin/python3", "-m", "deploy.sandbox.commands", "hub.cli", stdin=lines)
    access = machine.run(*as_hub, "/opt/gatelight-hub/bin/gatelight-hub", "broker-security", *config)
    security = f"/var/lib/mosquitto/{broker.SECURITY_FILE}"
    machine.run("install", "-m", "600", "-o", "mosquitto", "-g", "mosquitto", "/dev/stdin", security, stdin=access)
