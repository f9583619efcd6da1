"""The proof that the jail holds: try what code smuggled in by a picture would want, and say what stopped it."""

import errno
import mmap
import os
import socket
from collections.abc import Callable

from device.scan.decoder.jail import MEMORY_OVER_BYTES


def escape_attempts(*, frames_fd: int) -> dict[str, str | None]:
    """Name of each attempt -> the error that stopped it ("EPERM", "ENOMEM", ...), or None: it got out."""
    attempts: dict[str, Callable[[], object]] = {
        "read_a_file": lambda: os.open("/etc/hostname", os.O_RDONLY),
        "write_a_file": lambda: os.open("/tmp/gatelight-escape", os.O_WRONLY | os.O_CREAT, 0o600),  # noqa: S108 -- must fail, in a folder that exists.
        "write_the_frame": lambda: os.pwrite(frames_fd, b"x", 0),
        "map_the_frame_writable": lambda: mmap.mmap(frames_fd, mmap.PAGESIZE),
        "open_a_socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "fork": _fork,
        "run_a_program": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 -- must fail.
        "signal_the_parent": lambda: os.kill(os.getppid(), 0),
        "make_code_of_data": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "take_all_memory": lambda: bytearray(2 * MEMORY_OVER_BYTES),
    }
    return {name: _stopped_by(attempt) for name, attempt in attempts.items()}


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _stopped_by(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "OSError")
    except MemoryError:
        return "ENOMEM"
    return None
