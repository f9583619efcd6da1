"""An empty folder -> every key, certificate and configuration file of a site.

Files only; `site.py` starts what they describe.
"""

import datetime as dt
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.sandbox import broker, configs, updates
from deploy.sandbox.gate import GatePlan
from deploy.sandbox.pki import CertificateAuthority, KeyFiles, SiteAuthority, make_signing_key
from deploy.sandbox.platform.authority import bundle_file, create_authority, root_file
from deploy.sandbox.ports import free_ports
from deploy.sandbox.publisher import Publisher

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
class Surroundings:
    """What a site's parts run in.

    Attributes:
        hosts: the servers' addresses.
        enter: (part's name, command) -> the command that runs it where that part belongs.
        lights: whether every gate writes down each change of its lights, into `Layout.lights`.
    """

    hosts: configs.Hosts = configs.LOOPBACK
    enter: Callable[[str, list[str]], list[str]] = lambda _name, command: command
    lights: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything of a site lies, and the commands that run its parts."""

    folder: Path
    logs: Path
    sockets: Path
    hosts: configs.Hosts
    ports: configs.Ports
    hub_config: Path
    broker_command: list[str]
    platform_command: list[str]
    hub_command: list[str]
    gates: tuple[Registration, ...]
    blanks: tuple[GatePlan, ...]
    publisher: Publisher | None

    @property
    def pages_url(self) -> str:
        """The platform's pages."""
        return f"http://{self.hosts.platform}:{self.ports.platform_pages}"

    @property
    def hub_url(self) -> str:
        """The hub's health and metrics."""
        return f"http://{self.hosts.hub}:{self.ports.hub_http}"

    def log(self, name: str) -> Path:
        """The log of one part."""
        return self.logs / f"{name}.log"

    def lights(self, gate: str) -> Path:
        """Every change of a gate's lights, sound and relay, where they are written down."""
        return _lights(self.logs, gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a site is: its gates, how many more are as from the box, how often cameras look, a console or none,
    and whether its gates take releases.
    """

    gates: int
    blank: int = 0
    frames_per_s: float = 30.0
    console: bool = False
    releases: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What every gate's files need."""

    folder: Path
    logs: Path
    sockets: Path
    around: Surroundings
    ports: configs.Ports
    authority: SiteAuthority
    keys: Path
    hub_key: Path
    trust: configs.TrustFiles
    frames_per_s: float
    publisher: Publisher | None


def lay_out(folder: Path, *, size: Size, now: dt.datetime, around: Surroundings) -> Layout:
    """Writes all files of a new site.

    Raises:
        broker.BrokerMissingError: there is no Mosquitto.
        FileExistsError: the folder is not empty; what is in it may be somebody's evidence.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    pki, logs = folder / "pki", folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    names = tuple(configs.Ports.__dataclass_fields__)
    ports = configs.Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
    site_ca = SiteAuthority(pki / "site", now=now)
    platform_ca = CertificateAuthority(pki / "platform", name="Gatelight sandbox platform CA", now=now)
    authority = folder / "platform" / "authority"
    create_authority(authority, now_s=int(now.timestamp()))
    trust = configs.TrustFiles(root=root_file(authority), bundle=bundle_file(authority))
    publisher = Publisher(folder / "publisher") if size.releases else None
    if publisher is not None:
        publisher.repository().begin()
    hub_id, hub_key = os.urandom(8), make_signing_key(pki / "keys", name="hub")
    ground = _Ground(
        folder=folder,
        logs=logs,
        sockets=_sockets_folder(folder),
        around=around,
        ports=ports,
        authority=site_ca,
        keys=pki / "keys",
        hub_key=hub_key.public,
        trust=trust,
        frames_per_s=size.frames_per_s,
        publisher=publisher,
    )
    numbers = range(1, size.gates + size.blank + 1)
    gates = tuple(_lay_gate(ground, number) for number in numbers[: size.gates])
    blanks = tuple(_lay_blank(ground, number) for number in numbers[size.gates :])
    hub_home, platform_home = folder / "hub", folder / "platform"
    hub_home.mkdir()
    (hub_home / "hub.toml").write_text(
        configs.hub_config(
            folder=hub_home,
            hub_id=hub_id,
            hosts=around.hosts,
            ports=ports,
            key=hub_key,
            trust=trust,
            authority=configs.AuthorityFiles(cert=site_ca.certificate_file, key=site_ca.key_file),
            broker=site_ca.client("hub"),
            platform=platform_ca.client(hub_id.hex()),
            console=size.console,
            mirror=None if publisher is None else hub_home / "firmware",
        ),
        encoding="utf-8",
    )
    (platform_home / "platform.toml").write_text(
        configs.platform_config(
            folder=platform_home,
            authority=authority,
            hosts=around.hosts,
            ports=ports,
            certificates=platform_ca.server("platform", host=around.hosts.platform),
            hub=(hub_id, hub_key),
        ),
        encoding="utf-8",
    )
    return Layout(
        folder=folder,
        logs=logs,
        sockets=ground.sockets,
        hosts=around.hosts,
        ports=ports,
        hub_config=hub_home / "hub.toml",
        broker_command=broker.prepare(
            folder / "broker",
            host=around.hosts.broker,
            port=ports.broker,
            certificates=site_ca.server("broker", host=around.hosts.broker),
        ),
        platform_command=_python("deploy.sandbox.platform", "--config", platform_home / "platform.toml"),
        hub_command=_python("hub.cli", "run", "--config", hub_home / "hub.toml"),
        gates=gates,
        blanks=blanks,
        publisher=publisher,
    )


def _lay_gate(ground: _Ground, number: int) -> Registration:
    """A gate that was provisioned by hand."""
    device_id = os.urandom(8)
    plan = _plan(ground, number, device_id=device_id)
    # The second gate signs as one with a TPM would, so that a site shows both algorithms.
    key = make_signing_key(ground.keys, name=device_id.hex(), p256=number == 2)
    site = configs.site_config(
        device_id=device_id,
        place=plan.place,
        gate=plan.gate,
        direction=plan.direction,
        hosts=ground.around.hosts,
        ports=ground.ports,
        key=key,
        hub_key=ground.hub_key,
        trust=ground.trust,
        broker=ground.authority.client(device_id.hex()),
    )
    plan.config.write_text(configs.toml({**_machine(ground, plan), **site}), encoding="utf-8")
    return Registration(plan=plan, key=key)


def _lay_blank(ground: _Ground, number: int) -> GatePlan:
    """A gate as from the box: a machine that knows of no site."""
    plan = _plan(ground, number, device_id=b"")
    plan.config.write_text(configs.toml(_machine(ground, plan)), encoding="utf-8")
    return plan


def _plan(ground: _Ground, number: int, *, device_id: bytes) -> GatePlan:
    place, place_name = PLACES[(number - 1) // GATES_A_PLACE % len(PLACES)]
    home = ground.folder / f"gate-{number}"
    home.mkdir()
    return GatePlan(
        device_id=device_id,
        place=place,
        place_name=place_name,
        gate=f"G{number}",
        direction="in",
        config=home / "device.toml",
        camera_socket=ground.sockets / f"camera-{number}.sock",
    )


def _machine(ground: _Ground, plan: GatePlan) -> dict[str, Any]:
    machine = configs.machine_config(
        folder=plan.config.parent,
        camera_socket=plan.camera_socket,
        frames_per_s=ground.frames_per_s,
        lights=_lights(ground.logs, plan.gate) if ground.around.lights else None,
    )
    if ground.publisher is not None:
        machine |= configs.update_config(root=ground.publisher.root, firmware_dir=updates.firmware_dir(plan))
    return machine


def _lights(logs: Path, gate: str) -> Path:
    return logs / f"{gate}.lights"


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
