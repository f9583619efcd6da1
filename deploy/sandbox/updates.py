"""Updates of a sandbox gate: what the shipped units do beside it, done here without systemd.

gatelight-device.service         `start_command`: counts a trial's starts, then becomes the release in force
gatelight-update.path            `PathUnits`: the updater runs when a release is wanted
gatelight-update-restart.path    likewise: the gate starts anew when the updater asks for it
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.sandbox.gate import GatePlan

BECOME = Path(__file__).parents[1] / "device" / "units" / "gatelight-run"
"""The shipped one."""

_LOOK_S = 0.05
_START = '"$0" -m device.update.cli before-start --config "$1"; exec "$2" run --config "$1"'


def firmware_dir(plan: GatePlan) -> Path:
    """Where its slots lie."""
    return plan.config.parent / "firmware"


def start_command(plan: GatePlan) -> list[str]:
    """What starts the release in force; the installed one is this environment's."""
    settings = {
        "GATELIGHT_FIRMWARE": firmware_dir(plan),
        "GATELIGHT_INSTALLED": Path(sys.executable).with_name("gatelight-device"),
        "GATELIGHT_PYTHON": sys.executable,
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    return ["env", *given, "sh", "-c", _START, sys.executable, str(plan.config), str(BECOME)]


class PathUnits:
    """Of one gate; `run` it in a task.

    Args:
        plan: the gate.
        restart: ends the gate's process, which is then started anew.
        log_file: gets what the updater says.
    """

    def __init__(self, plan: GatePlan, *, restart: Callable[[], None], log_file: Path) -> None:
        self._plan, self._restart, self._log_file = plan, restart, log_file
        self._wanted = plan.config.parent / "state" / "update" / "wanted.json"
        self._asked = firmware_dir(plan) / "restart"

    async def run(self) -> None:
        """Until it is cancelled; the updater ends with it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch(self._asked, self._start_anew))
            await _watch(self._wanted, self._update)

    async def _start_anew(self) -> None:
        self._restart()

    async def _update(self) -> None:
        command = ["-m", "device.update.cli", "run", "--config", str(self._plan.config)]
        with self._log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *command, "--restart", f"touch {self._asked}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _watch(path: Path, changed: Callable[[], Awaitable[None]]) -> None:
    """Like systemd: what changes while something is under way is seen afterwards."""
    seen = _state_of(path)
    while True:
        await asyncio.sleep(_LOOK_S)
        now = _state_of(path)
        if now != seen:
            seen = now
            await changed()


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
