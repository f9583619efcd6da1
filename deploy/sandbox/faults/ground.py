"""What a site stands on while faults are thrown at it: for each part a network, a disk and a clock of its own.

All of it lives in the mount and network namespaces of the process that runs the rounds (`inside`), so that the kernel
takes it away with that process, however it ends. Without root, or on a machine that lacks something, there is less
ground, and fewer kinds of fault.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.configs import LOOPBACK, Hosts
from deploy.sandbox.faults import clock
from deploy.sandbox.faults.clock import JumpingClock
from deploy.sandbox.faults.disk import Disk, DiskError, run
from deploy.sandbox.faults.wire import RUNNER, Wire, tap
from deploy.sandbox.layout import Surroundings

SERVERS = {"broker": 2, "platform": 3, "hub": 4}
FIRST_GATE = 11
_INSIDE = "GATELIGHT_SANDBOX_INSIDE"
_SYSTEM_PLACES = "/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What this machine lets us have, and the sentences that say what is left out."""

    networks: bool
    disks: bool
    clocks: bool
    missing: tuple[str, ...]


def abilities() -> Abilities:
    """Looks, changes nothing."""
    missing = []

    def can(what: str, *needs: bool) -> bool:
        if all(needs):
            return True
        missing.append(what)
        return False

    def has(*programs: str) -> bool:
        return all(shutil.which(name) or shutil.which(name, path=_SYSTEM_PLACES) for name in programs)

    root = os.geteuid() == 0 and has("unshare", "nsenter")
    return Abilities(
        networks=can(
            "cut and poor links: they need root, iproute2 and /dev/net/tun", root, has("ip"), _there("net/tun")
        ),
        disks=can(
            "full disks and power cuts: they need root, e2fsprogs and loop devices",
            root,
            has("mkfs.ext4", "mount"),
            _there("loop-control"),
        ),
        clocks=can("clock jumps: they need a C compiler", clock.compiler() is not None),
        missing=tuple(missing),
    )


def go_inside(arguments: Sequence[str]) -> None:
    """Starts this program again in namespaces of its own, where it may; returns where it is, or cannot be."""
    if os.environ.get(_INSIDE) or os.geteuid() != 0 or shutil.which("unshare") is None:
        return
    os.environ[_INSIDE] = "1"
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{_SYSTEM_PLACES}"
    program = [sys.executable, "-m", "deploy.sandbox.cli", *arguments]
    os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private", "--", *program])  # noqa: S606, S607


class Ground:
    """One site's ground. `prepare` it, let the site be laid out with `surroundings`, then `adopt` its folders.

    Args:
        folder: for images, name spaces and clocks; not the site's own.
        number: of the site, 0 to 255: its network is 10.77.number.0/24.
        gates: their names.
        has: what this machine lets us have.
        seed: of the wire's draws.
    """

    def __init__(self, folder: Path, *, number: int, gates: Sequence[str], has: Abilities, seed: int) -> None:
        self.has = has
        self.ports = {**SERVERS, **{gate: FIRST_GATE + place for place, gate in enumerate(gates)}}
        self.disks: dict[str, Disk] = {}
        self.clocks: dict[str, JumpingClock] = {}
        self.wire = Wire(seed=seed)
        self._folder = folder
        self._number = number

    @property
    def surroundings(self) -> Surroundings:
        """For the site's layout."""
        hosts = LOOPBACK
        if self.has.networks:
            hosts = Hosts(**{name: self._address(port) for name, port in SERVERS.items()})
        return Surroundings(hosts=hosts, enter=self._enter, lights=True)

    def prepare(self) -> None:
        """Makes networks and clocks. Call it within the event loop.

        Raises:
            DiskError, OSError: the machine refuses after all.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.has.clocks:
            library = clock.build(self._folder)
            for part in self.ports:
                self.clocks[part] = JumpingClock(library=library, file=self._folder / f"{part}.clock")
        if self.has.networks:
            run("ip", "link", "set", "lo", "up")
            self._plug("runner", RUNNER)
            for part, port in self.ports.items():
                space = self._space(part)
                space.touch()
                run("unshare", f"--net={space}", "--", "true")
                self._plug(part, port)

    def adopt(self, folders: dict[str, Path]) -> None:
        """Gives each part's folder a disk of its own.

        Raises:
            DiskError: the machine refuses after all.
        """
        if self.has.disks:
            for part, folder in folders.items():
                self.disks[part] = Disk.adopt(folder, image=self._folder / f"{part}.img")

    def close(self) -> None:
        """Gives everything back that the end of this process would not give back in time."""
        self.wire.close()
        for disk in self.disks.values():
            disk.unmount()
        for part in self.ports if self.has.networks else ():
            run("umount", str(self._space(part)))

    def link(self, part: str, *, up: bool) -> None:
        """Pulls or plugs a part's cable; its kernel knows at once."""
        self._ip(part, f"link set dev {self._interface(self.ports[part])} {'up' if up else 'down'}")

    def link_is_up(self, part: str) -> bool:
        """What the part's kernel says."""
        shown = subprocess.run(
            ["nsenter", f"--net={self._space(part)}", "ip", "-o", "link", "show", "up"],  # noqa: S607
            capture_output=True,
            check=False,
        )
        return self._interface(self.ports[part]).encode() in shown.stdout

    def _plug(self, part: str, port: int) -> None:
        interface = self._interface(port)
        self.wire.plug(port, tap(interface))
        if port != RUNNER:
            run("ip", "link", "set", "dev", interface, "netns", str(self._space(part)))
        self._ip(
            part,
            f"link set dev {interface} addrgenmode none address 02:00:00:00:{self._number:02x}:{port:02x}",
            f"addr add {self._address(port)}/24 dev {interface}",
            f"link set dev {interface} up",
            "link set dev lo up",
        )

    def _ip(self, part: str, *lines: str) -> None:
        within = [] if part == "runner" else ["nsenter", f"--net={self._space(part)}"]
        text = "".join(line + "\n" for line in lines)
        done = subprocess.run([*within, "ip", "-batch", "-"], input=text.encode(), capture_output=True, check=False)
        if done.returncode:
            raise DiskError(f"ip {'; '.join(lines)}: {done.stderr.decode('utf-8', 'replace').strip()}")

    def _enter(self, part: str, command: list[str]) -> list[str]:
        there: list[str] = []
        if self.has.networks:
            there += ["nsenter", f"--net={self._space(part)}", "--"]
        if part in self.clocks:
            there += ["env", *(f"{name}={value}" for name, value in self.clocks[part].environment.items())]
        return [*there, *command]

    def _address(self, port: int) -> str:
        return f"10.77.{self._number}.{port}"

    def _interface(self, port: int) -> str:
        return f"gl{self._number}-{port}"

    def _space(self, part: str) -> Path:
        return self._folder / f"{part}.net"


def _there(device: str) -> bool:
    return Path("/dev", device).exists()
