"""The parent's handle on one decode child: shared memory for pictures, one socket for messages, and its end."""

import fcntl
import json
import mmap
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.scan.decoder.wire import (
    MESSAGE_BYTES_MAX,
    Answer,
    Hello,
    Request,
    WireError,
    pack_request,
    parse_answer,
    parse_hello,
)

if TYPE_CHECKING:
    # The first child starts before anything as large as numpy is imported (`begin`).
    from device.scan.decoder.enhance import Luma

# linux/fcntl.h: from now on nobody maps it writable; the mapping that exists stays. Python has no name for it.
_F_SEAL_FUTURE_WRITE = 0x0010

# Isolated mode keeps the environment and the working directory out of the module search. The root of this program then
# comes right behind the standard library's three places: parent and child are of one version, whatever is installed.
FIND = "import sys; sys.path.insert(3, sys.argv[1])"
BOOT = f"{FIND}; from device.scan.decoder import child; child.main(sys.argv[2:])"
_ROOT = str(Path(__file__).resolve().parents[3])

_ENVIRONMENT = {
    # ctypes looks libzbar up with ldconfig.
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    # numpy starts a thread a core, and their stacks, for linear algebra that decoding never does.
    "OPENBLAS_NUM_THREADS": "1",
    # A picture's worth of memory is kept and used again: mapping and clearing it anew takes a third of the second look.
    "MALLOC_MMAP_THRESHOLD_": str(16 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
_LAST_WORDS_BYTES = 2048

# Starting takes 0.3 s on a PC, so some 1.5 s on a Pi; at boot, when everything starts, several times that.
START_S = 20.0


class ChildFailedError(Exception):
    """The child died, fell silent or spoke nonsense. It is of no more use."""


class FrameMemory:
    """Memory that the parent writes pictures to and children can only read. Holds `frame_px_max` bytes."""

    def __init__(self, *, frame_px_max: int) -> None:
        self.fd = os.memfd_create("gatelight-frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, frame_px_max)
        self._map = mmap.mmap(self.fd, frame_px_max)
        # A child that shrank it would kill the parent with SIGBUS at the next picture.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _F_SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)

    def write(self, luma: "Luma") -> None:
        """Copy a picture in, its rows packed."""
        packed = luma if luma.flags.c_contiguous else luma.copy()
        self._map[: packed.size] = packed.data.cast("B")

    def close(self) -> None:
        """Give the memory back. May be called twice."""
        if self._map.closed:
            return
        self._map.close()
        os.close(self.fd)


class ChildProcess:
    """One child, from start to SIGKILL; `engine` is a name in `engines.ENGINES`.

    The kernel kills it when the thread that built this object ends, so build it in one that lasts.

    Raises:
        ChildFailedError: no process can be started.
    """

    def __init__(self, *, engine: str, frames: FrameMemory, boot: str = BOOT, extra: tuple[str, ...] = ()) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._stderr, their_stderr = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            control_fd, frames_fd = theirs.fileno(), frames.fd
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-c", boot, _ROOT, f"--engine={engine}"),
                    *(f"--control-fd={control_fd}", f"--frames-fd={frames_fd}", *extra),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=their_stderr,
                pass_fds=(control_fd, frames_fd),
                env=_ENVIRONMENT,
                cwd="/",
            )
        except OSError as error:
            self._control.close()
            os.close(self._stderr)
            raise ChildFailedError(f"does not start: {error}") from error
        finally:
            theirs.close()
            os.close(their_stderr)
        self.pid = self._process.pid

    def await_hello(self, *, timeout_s: float) -> Hello:
        """Wait until the child is ready. Raises ChildFailedError."""
        data = self.receive(timeout_s=timeout_s)
        try:
            return parse_hello(data)
        except WireError as error:
            raise ChildFailedError(f"speaks nonsense: {error}") from error

    def ask(self, request: Request, *, timeout_s: float) -> Answer:
        """Have the picture in the memory read. Raises ChildFailedError."""
        try:
            self._control.send(pack_request(request))
        except OSError as error:
            raise ChildFailedError(f"does not listen: {error}") from error
        data = self.receive(timeout_s=timeout_s)
        try:
            return parse_answer(data, seq=request.seq)
        except WireError as error:
            raise ChildFailedError(f"speaks nonsense: {error}") from error

    def receive(self, *, timeout_s: float) -> bytes:
        """The child's next message. Raises ChildFailedError at its end, or after `timeout_s`."""
        try:
            self._control.settimeout(timeout_s)
            # One byte more than allowed, so that a longer message fails to parse and is not cut to fit.
            data = self._control.recv(MESSAGE_BYTES_MAX + 1)
        except TimeoutError as error:
            raise ChildFailedError(f"no answer in {timeout_s} s") from error
        except OSError as error:
            raise ChildFailedError(f"cannot be heard: {error}") from error
        if not data:
            raise ChildFailedError("has died")
        return data

    def kill(self) -> str:
        """End it now, once. Returns how it had ended if it was dead already, and the last it wrote on stderr."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        try:
            words = os.read(self._stderr, 1 << 16)[-_LAST_WORDS_BYTES:]
        except BlockingIOError:
            words = b""
        os.close(self._stderr)
        return f"exit {self._process.returncode} {words.decode('ascii', 'backslashreplace')!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A child on its way, and the memory that it reads."""

    child: ChildProcess
    frames: FrameMemory


def begin(*, engine: str, frame_px_max: int) -> Begun:
    """Start a child long before it is needed: it takes as long as the rest of a gate, on another core.

    Raises:
        ChildFailedError: no process can be started.
    """
    frames = FrameMemory(frame_px_max=frame_px_max)
    return Begun(child=ChildProcess(engine=engine, frames=frames), frames=frames)


def probe_jail(*, engine: str) -> dict[str, str | None]:
    """Start a child that tries to break out. Name of each attempt -> the error that stopped it, None if nothing did.

    Raises ChildFailedError when it does not get that far.
    """
    frames = FrameMemory(frame_px_max=mmap.PAGESIZE)
    child = ChildProcess(engine=engine, frames=frames, extra=("--self-test",))
    try:
        outcome: dict[str, str | None] = json.loads(child.receive(timeout_s=START_S))
        return outcome
    finally:
        child.kill()
        frames.close()
