"""One part of the site as a child process: started, watched, restarted as systemd would, ended for good.

No orphan is left. `setpriv` asks the kernel to kill a child whose parent dies, however it dies (doing that
in Python between fork and exec is not safe beside threads); and when a child dies, whatever it started
itself is killed with it, as systemd does for a unit. Linux only, as the gates are.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

RESTART_S = 1.0
STOP_S = 8.0
LINE_BYTES = 64 * 1024
_TAIL_BYTES = 2_000


class Process:
    """A supervised process.

    Args:
        name: for people.
        command: program and arguments.
        log_file: gets stderr, and stdout lines too.
        on_line: called with every line of stdout.
    """

    def __init__(
        self,
        *,
        name: str,
        command: list[str],
        log_file: Path,
        on_line: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.name = name
        self.kills = 0
        self.deaths = 0
        self._command = command
        self._log_file = log_file
        self._on_line = on_line
        self._child: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._may_live = asyncio.Event()
        self._may_live.set()
        self._dead = asyncio.Event()
        self._dead.set()
        self._killed = False

    @property
    def pid(self) -> int | None:
        """The running child's id."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Starts it, and from then on keeps it running.

        Raises:
            OSError: it cannot be executed.
        """
        self._stopping.clear()
        self._watch = asyncio.create_task(self._supervise(self._spawn()), name=self.name)

    def kill(self) -> None:
        """SIGKILL, as a power cut would; the supervisor brings it back. Between two lives it does nothing."""
        if self._child is not None:
            self.kills += 1
            self._killed = True
            self._child.kill()

    def restart(self) -> None:
        """SIGTERM, as `systemctl try-restart` would; the supervisor brings it back. Between two lives nothing."""
        if self._child is not None:
            self._killed = True
            self._child.terminate()

    async def hold(self) -> None:
        """SIGKILL, and it stays dead until `release`. Returns when it and what it started are gone."""
        self._may_live.clear()
        self.kill()
        await self._dead.wait()

    def release(self) -> None:
        """Lets it come back after a `hold`, at once."""
        self._may_live.set()

    async def stop(self) -> None:
        """SIGTERM, patience, SIGKILL. Does nothing when it was never started."""
        self._stopping.set()
        self._may_live.set()
        if self._watch is None:
            return
        if self._child is not None:
            self._child.terminate()
        done, _ = await asyncio.wait({self._watch}, timeout=STOP_S)
        if not done and self._child is not None:
            self._child.kill()
        await asyncio.gather(self._watch, return_exceptions=True)
        self._watch = None

    def tail(self) -> str:
        """The end of the log, for an error message."""
        try:
            data = self._log_file.read_bytes()
        except OSError:
            return ""
        return data[-_TAIL_BYTES:].decode("utf-8", "replace")

    async def _supervise(self, child: subprocess.Popen[bytes]) -> None:
        while True:
            await self._live(child)
            if self._stopping.is_set():
                return
            if not self._killed:
                self.deaths += 1
            self._killed = False
            if self._may_live.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RESTART_S):
                        await self._stopping.wait()
            # It may have been held while it was dead already.
            await self._may_live.wait()
            if self._stopping.is_set():
                return
            child = self._spawn()

    async def _live(self, child: subprocess.Popen[bytes]) -> None:
        """Reads its lines until it is dead, and takes everything that it started along."""
        loop = asyncio.get_running_loop()
        exited = asyncio.Event()
        watch_fd = os.pidfd_open(child.pid)
        loop.add_reader(watch_fd, exited.set)
        reading = asyncio.create_task(self._pump(child))
        try:
            await exited.wait()
        finally:
            loop.remove_reader(watch_fd)
            os.close(watch_fd)
            self._child = None
            # Not reaped yet, so that its id, which is also its group's, cannot be another's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            self._dead.set()
        await reading

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._dead.clear()
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv is not None else []
        with self._log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*guard, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                # A Ctrl-C in the terminal is for the sandbox, which then ends the parts in order.
                start_new_session=True,
            )
        return self._child

    async def _pump(self, child: subprocess.Popen[bytes]) -> None:
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), child.stdout
        )
        with contextlib.closing(transport), self._log_file.open("ab") as log:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    # A line over the limit is no line of ours; the reader has dropped it.
                    continue
                if not line:
                    return
                log.write(line)
                log.flush()
                self._on_line(line.decode("utf-8", "replace").rstrip("\n"))
