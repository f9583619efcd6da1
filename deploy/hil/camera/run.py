"""A gate in the root with libcamera: provisioned as by hand, without a network, run until it is ended."""

import contextlib
import datetime as dt
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from deploy.hil.camera.root import STAGE, inside
from deploy.sandbox import configs
from deploy.sandbox.pki import SiteAuthority, make_signing_key
from deploy.sandbox.platform.authority import bundle_file, create_authority, load_authority, root_file
from deploy.sandbox.platform.statuses import Statuses
from deploy.sandbox.platform.wallet import Wallet
from device.trust.believed import Believed
from device.trust.clock import GateClock
from device.trust.issuers import Issuers
from device.trust.lists import StatusLists
from protocol.keys import decode_key
from protocol.statuslist import list_id
from protocol.terms import Colour

GREEN, RED = 1, 3
"""People's numbers: what the status lists say of them."""

_END_S: Final = 15.0
_POLL_S: Final = 0.02
_PORTS: Final = configs.Ports(
    broker=8883, platform_api=9443, platform_pages=9080, hub_http=8080, hub_enrolment=8444, console=8445, stand=9081
)
"""Nobody listens there: the gate decides alone."""


class RunError(Exception):
    """The gate did not do what was waited for; with the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A folder that the gate sees as /srv/site, and whoever makes codes for it."""

    folder: Path
    wallet: Wallet

    @property
    def stall(self) -> Path:
        """While it is there the camera takes wishes for frames, and gives none."""
        return self.folder / "stall"

    def wedge(self, *, buffers: int, timeout_s: float) -> None:
        """Lose all the camera's buffers, and no more: it gives no frames until it is opened anew, and then it does.

        Raises:
            RunError: it did not ask for that many frames.
        """
        self.stall.touch()
        end_s = time.monotonic() + timeout_s
        while (lost := self.stall.stat().st_size) < buffers:
            if time.monotonic() > end_s:
                raise RunError(f"the camera lost {lost} of {buffers} buffers in {timeout_s:.0f} s")
            time.sleep(_POLL_S)
        self.stall.unlink()


def lay_out(folder: Path, *, width_px: int, height_px: int, now: dt.datetime) -> Site:
    """Keys, trust, status lists and configuration of a gate whose camera gives frames of this size."""
    authority_folder = folder / "authority"
    create_authority(authority_folder, now_s=int(now.timestamp()))
    authority = load_authority(authority_folder)
    statuses = Statuses(folder / "statuses.db", keys=authority.issuers)
    statuses.change({RED: Colour.RED, GREEN: Colour.GREEN}, now_s=int(now.timestamp()))
    device_id = os.urandom(8)
    certificates = SiteAuthority(folder / "pki", now=now)
    trust = configs.TrustFiles(root=root_file(authority_folder), bundle=bundle_file(authority_folder))
    machine = {
        "state_dir": folder / "state",
        "camera": {"kind": "pi", "width_px": width_px, "height_px": height_px},
        "hardware": {"kind": "sim"},
        # A root without a time service; this machine's clock is right.
        "clock": {"source": "assume"},
    }
    site = configs.site_config(
        device_id=device_id,
        place="jiangbei-mall",
        gate="G1",
        direction="in",
        hosts=configs.LOOPBACK,
        ports=_PORTS,
        key=make_signing_key(folder / "keys", name=device_id.hex()),
        hub_key=make_signing_key(folder / "keys", name="hub").public,
        trust=trust,
        broker=certificates.client(device_id.hex()),
    )
    text = configs.toml(machine | site).replace(str(folder), "/srv/site")
    (folder / "device.toml").write_text(text, encoding="utf-8")
    _believe(folder / "state/believed", statuses=statuses, trust=trust, now_s=int(now.timestamp()))
    statuses.close()
    _describe(folder / "virtual.yaml", sizes=((2 * width_px, 2 * height_px), (width_px, height_px)))
    return Site(folder=folder, wallet=Wallet(authority, reference=statuses.reference))


def _believe(folder: Path, *, statuses: Statuses, trust: configs.TrustFiles, now_s: int) -> None:
    """The gate has heard its lists, as from its hub, before the network went."""
    believed = Believed(folder)
    clock = GateClock(synchronised=lambda: True, assume=True, believed=believed)
    root = decode_key(trust.root.read_bytes())
    issuers = Issuers(root=root, provisioned=trust.bundle, believed=believed, clock=clock)
    lists = StatusLists(believed=believed, issuers=issuers, clock=clock)
    for uri in statuses.uris:
        found = statuses.snapshot(list_id(uri), now_s=now_s)
        if found is not None:
            lists.offer_snapshot(found[1])


def _describe(path: Path, *, sizes: tuple[tuple[int, int], ...]) -> None:
    """The virtual camera: every size that is asked for, and the folder of its pictures."""
    lines = ["%YAML 1.1", "---", '"imx708":', "  supported_formats:"]
    for width_px, height_px in sizes:
        lines += [f"  - width: {width_px}", f"    height: {height_px}", "    frame_rates:", "    - 30"]
    lines += ["  frames:", '    path: "/srv/site/film/"']
    lines += ['  location: "CameraLocationBack"', '  model: "imx708_virtual"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Run:
    """A gate that runs. Built by `running`."""

    def __init__(self, process: "subprocess.Popen[str]", log: IO[str]) -> None:
        self._process, self._log = process, log
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._seen: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def wait(self, what: str, fits: Callable[[dict[str, Any]], bool], *, timeout_s: float) -> dict[str, Any]:
        """The next line that fits.

        Raises:
            RunError: none came in time, or the gate has ended.
        """
        end_s = time.monotonic() + timeout_s
        while (left_s := end_s - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=min(left_s, 0.5))
                if fits(line):
                    return line
                continue
            if self._process.poll() is not None and self._lines.empty():
                raise RunError(f"{what}: the gate ended with {self._process.returncode}:\n{self._tail()}")
        raise RunError(f"{what}: not in {timeout_s:.0f} s:\n{self._tail()}")

    def event(self, name: str, *, timeout_s: float) -> dict[str, Any]:
        """The next line of the gate's log with this event."""
        return self.wait(name, lambda line: line.get("event") == name, timeout_s=timeout_s)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it, or waits until it has ended; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.ended(timeout_s=_END_S)

    def ended(self, *, timeout_s: float) -> int:
        """Its exit code, once it has ended by itself.

        Raises:
            RunError: it lives.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise RunError(f"the gate has not ended in {timeout_s:.0f} s:\n{self._tail()}") from error

    def close(self) -> None:
        """After its end: everything that it said is in the log."""
        for reader in self._readers:
            reader.join()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for text in stream:
                self._log.write(text)
                self._seen.append(text)
                with contextlib.suppress(ValueError):
                    line = json.loads(text)
                    if isinstance(line, dict):
                        self._lines.put(line)

    def _tail(self) -> str:
        return "".join(self._seen[-40:])


@contextmanager
def running(root: Path, site: Site, *, fps: float, log: Path) -> Iterator[Run]:
    """A gate, its camera at this pace (0: as fast as it can); it has ended when this does."""
    program = ["/usr/bin/python3", f"{STAGE}/stage.py", "run", "--config", "/srv/site/device.toml"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", buffering=1) as file:
        process = subprocess.Popen(
            inside(root, site=site.folder, fps=fps, command=program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        gate = Run(process, file)
        try:
            yield gate
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            gate.close()
