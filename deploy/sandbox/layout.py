"""An empty folder -> every key, certificate and configuration file of a site.

Files only; `site.py` starts what they describe.
"""

import datetime as dt
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox import broker, configs
from deploy.sandbox.gate import GatePlan
from deploy.sandbox.pki import CertificateAuthority, KeyFiles, make_signing_key
from deploy.sandbox.platform.authority import bundle_file, create_authority, root_file
from deploy.sandbox.ports import free_ports

# sun_path has 108 bytes (unix(7)), the last of them zero.
SOCKET_PATH_BYTES = 107
PLACES = (("jiangbei-mall", "江北商场 Jiangbei Mall"), ("north-station", "火车北站 North Station"))
GATES_A_PLACE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One gate as the hub's operator enters it."""

    plan: GatePlan
    key: KeyFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything of a site lies, and the commands that run its parts."""

    folder: Path
    logs: Path
    sockets: Path
    ports: configs.Ports
    hub_config: Path
    broker_command: list[str]
    platform_command: list[str]
    hub_command: list[str]
    gates: tuple[Registration, ...]

    @property
    def pages_url(self) -> str:
        """The platform's pages."""
        return f"http://{configs.HOST}:{self.ports.platform_pages}"

    @property
    def hub_url(self) -> str:
        """The hub's health and metrics."""
        return f"http://{configs.HOST}:{self.ports.hub_http}"

    def log(self, name: str) -> Path:
        """The log of one part."""
        return self.logs / f"{name}.log"


def lay_out(folder: Path, *, gates: int, now: dt.datetime) -> Layout:
    """Writes all files of a new site with `gates` gates.

    Raises:
        broker.BrokerMissingError: there is no Mosquitto.
        FileExistsError: the folder is not empty; what is in it may be somebody's evidence.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    pki, logs = folder / "pki", folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    numbers = free_ports(4, rng=random.SystemRandom())
    ports = configs.Ports(broker=numbers[0], platform_api=numbers[1], platform_pages=numbers[2], hub_http=numbers[3])
    site_ca = CertificateAuthority(pki / "site", name="Gatelight sandbox site CA", now=now)
    platform_ca = CertificateAuthority(pki / "platform", name="Gatelight sandbox platform CA", now=now)
    authority = folder / "platform" / "authority"
    create_authority(authority, now_s=int(now.timestamp()))
    trust = configs.TrustFiles(root=root_file(authority), bundle=bundle_file(authority))
    hub_id, hub_key = os.urandom(8), make_signing_key(pki / "keys", name="hub")
    sockets = _sockets_folder(folder)
    registrations = []
    for number in range(1, gates + 1):
        place, place_name = PLACES[(number - 1) // GATES_A_PLACE % len(PLACES)]
        device_id = os.urandom(8)
        home = folder / f"gate-{number}"
        home.mkdir()
        # The second gate signs as one with a TPM would, so that a site shows both algorithms.
        key = make_signing_key(pki / "keys", name=device_id.hex(), p256=number == 2)
        plan = GatePlan(
            device_id=device_id,
            place=place,
            place_name=place_name,
            gate=f"G{number}",
            direction="in",
            config=home / "device.toml",
            camera_socket=sockets / f"camera-{number}.sock",
        )
        plan.config.write_text(
            configs.device_config(
                folder=home,
                device_id=device_id,
                place=place,
                gate=plan.gate,
                direction=plan.direction,
                ports=ports,
                key=key,
                hub_key=hub_key.public,
                trust=trust,
                broker=site_ca.client(device_id.hex()),
                camera_socket=plan.camera_socket,
            ),
            encoding="utf-8",
        )
        registrations.append(Registration(plan=plan, key=key))
    hub_home, platform_home = folder / "hub", folder / "platform"
    hub_home.mkdir()
    (hub_home / "hub.toml").write_text(
        configs.hub_config(
            folder=hub_home,
            hub_id=hub_id,
            ports=ports,
            key=hub_key,
            trust=trust,
            broker=site_ca.client("hub"),
            platform=platform_ca.client(hub_id.hex()),
        ),
        encoding="utf-8",
    )
    (platform_home / "platform.toml").write_text(
        configs.platform_config(
            folder=platform_home,
            authority=authority,
            ports=ports,
            certificates=platform_ca.server("platform"),
            hub=(hub_id, hub_key),
            devices={entry.plan.device_id: entry.key for entry in registrations},
        ),
        encoding="utf-8",
    )
    allowed = [broker.AllowedDevice(device_id=entry.plan.device_id, place=entry.plan.place) for entry in registrations]
    return Layout(
        folder=folder,
        logs=logs,
        sockets=sockets,
        ports=ports,
        hub_config=hub_home / "hub.toml",
        broker_command=broker.prepare(
            folder / "broker", port=ports.broker, certificates=site_ca.server("broker"), devices=allowed
        ),
        platform_command=_python("deploy.sandbox.platform", "--config", platform_home / "platform.toml"),
        hub_command=_python("hub.cli", "run", "--config", hub_home / "hub.toml"),
        gates=tuple(registrations),
    )


def device_command(plan: GatePlan, command: str, *options: str) -> list[str]:
    """A command of one gate's firmware."""
    return _python("device.cli", command, "--config", plan.config, *options)


def _python(module: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


def _sockets_folder(folder: Path) -> Path:
    """The site's folder, unless its name is too long for a socket's address."""
    if len(os.fsencode(folder / "camera-9999.sock")) <= SOCKET_PATH_BYTES:
        return folder
    return Path(tempfile.mkdtemp(prefix="gatelight-"))
