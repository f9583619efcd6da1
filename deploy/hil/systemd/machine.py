"""One boot of a root: commands inside, its journal, and its end. Everything it was is gone afterwards but the log."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_BOOT_S: Final = 60.0
_POWEROFF_S: Final = 20.0
_COMMAND_S: Final = 30.0
_POLL_S: Final = 0.1
_REBOOT: Final = 133
"""systemd-nspawn's exit code with --keep-unit, by which its own service would start it again."""
_HIERARCHIES: Final = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


class MachineError(Exception):
    """It did not boot, or what was waited for did not come."""


class Machine:
    """A root that is running. Built by `booted`.

    Args:
        root: its files, as this machine sees them.
        process: systemd-nspawn.
        leader: the id of its first process here.
    """

    def __init__(self, root: Path, *, process: subprocess.Popen[bytes], leader: int) -> None:
        self.root, self._process, self._leader = root, process, leader

    def wait_end(self) -> bool:
        """Until it has gone down by itself. Returns whether it wanted to come up again.

        Raises:
            MachineError: it stays.
        """
        try:
            return self._process.wait(_BOOT_S) == _REBOOT
        except subprocess.TimeoutExpired as error:
            raise MachineError(f"it has not gone down in {_BOOT_S:.0f} s") from error

    def run(self, *command: str, stdin: str | None = None, fails: bool = False) -> str:
        """What a command prints there, as root and outside of every unit.

        Raises:
            MachineError: it failed, which `fails` allows.
        """
        enter = ("nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "--")
        done = subprocess.run(
            [*enter, *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_S,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "PYTHONPATH": ""},
        )
        if done.returncode and not fails:
            raise MachineError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit, as systemd has them."""
        text = self.run("systemctl", "show", unit, *(f"--property={name}" for name in properties))
        return dict(line.split("=", 1) for line in text.splitlines())

    def journal(self, unit: str) -> list[str]:
        """What a unit and systemd said about it, oldest first."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit).splitlines()

    def events(self, unit: str) -> list[dict[str, Any]]:
        """The events of our own log in it."""
        lines = (line for line in self.journal(unit) if line.startswith("{"))
        return [fields for fields in map(json.loads, lines) if "event" in fields]

    def wait(self, what: str, holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
        """Until something holds.

        Raises:
            MachineError: it does not in time.
        """
        until_s = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > until_s:
                raise MachineError(f"after {within_s:.0f} s still not: {what}")
            time.sleep(_POLL_S)

    def wait_active(self, unit: str, *, within_s: float = 30.0) -> None:
        """Until a unit is active.

        Raises:
            MachineError: as `wait`.
        """
        self.wait(
            f"{unit} active", lambda: self.show(unit, "ActiveState")["ActiveState"] == "active", within_s=within_s
        )


@contextlib.contextmanager
def booted(root: Path, *, binds: Mapping[str, Path], log: Path) -> Iterator[Machine]:
    """`root`, booted until this ends; then its whole journal lies in `log`. Needs root.

    Raises:
        MachineError: it does not boot.
    """
    groups = _groups()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.with_suffix(".console").open("wb") as console:
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind(str(root.parent / "notify"))
        process = subprocess.Popen(
            _command(root, binds=binds, groups=groups),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": told.getsockname()},
        )
        try:
            # It goes on telling; ten messages that nobody reads would make its first process wait for ever.
            with told:
                leader = _leader(told, process)
            machine = Machine(root, process=process, leader=leader)
            try:
                yield machine
            finally:
                with contextlib.suppress(MachineError, subprocess.TimeoutExpired):
                    machine.run("systemctl", "poweroff", "--no-block")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POWEROFF_S)
        finally:
            # With it ends whatever is left inside: it holds their namespace's first process.
            process.kill()
            process.wait()
            _remove(groups)
            _write_journal(root, log)


def _command(root: Path, *, binds: Mapping[str, Path], groups: Sequence[Path]) -> list[str]:
    """In control groups of its own, so that none is left behind and another machine does not meet them."""
    nspawn = [
        *("systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--register=no", "--keep-unit"),
        *("--private-network", "--console=pipe", "--notify-ready=yes", "--machine=gatelight-hil"),
        # A real machine's processes may ask how the clock is set; a container's may not.
        "--system-call-filter=adjtimex clock_adjtime",
        *(f"--bind-ro={path}:{inside}:norbind" for inside, path in binds.items()),
    ]
    enter = "".join(f'echo $$ >"{group}/cgroup.procs"; ' for group in groups)
    # However this process dies, the kernel ends the machine.
    return ["sh", "-c", f'{enter}exec setpriv --pdeathsig KILL "$@"', "sh", *nspawn]


def _leader(told: socket.socket, process: subprocess.Popen[bytes]) -> int:
    """Wait until it has booted; the id of its first process, as nspawn tells it (sd_notify(3))."""
    leader, until_s = 0, time.monotonic() + _BOOT_S
    told.settimeout(_POLL_S)
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(TimeoutError):
            for line in told.recv(4096).decode().splitlines():
                key, _, value = line.partition("=")
                leader = int(value) if key == "X_NSPAWN_LEADER_PID" else leader
                if key == "READY" and leader:
                    return leader
    raise MachineError(f"it has not booted in {_BOOT_S:.0f} s; systemd-nspawn's exit code: {process.poll()}")


def _groups() -> list[Path]:
    """New control groups, one in each hierarchy in which systemd keeps its own."""
    name = f"gatelight-hil-{os.getpid()}"
    groups = [Path(base) / name for base in _HIERARCHIES if (Path(base) / "cgroup.procs").exists()]
    for group in groups:
        _remove([group])
        group.mkdir()
    return groups


def _remove(groups: Sequence[Path]) -> None:
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def _write_journal(root: Path, log: Path) -> None:
    program = shutil.which("journalctl")
    if program is None:
        return
    with log.open("wb") as file:
        subprocess.run(
            [program, "-D", str(root / "var/log/journal"), "-o", "short-monotonic", "--no-pager", "--no-hostname"],
            stdout=file,
            stderr=subprocess.DEVNULL,
            check=False,
        )
