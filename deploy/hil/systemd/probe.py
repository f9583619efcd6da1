"""Runs as a unit's program, in that unit's walls: tries what it should and should not be able to do, answers JSON.

`python probe.py FOLDER...` looks into each folder, and tries to write there and to run what it wrote. Null is success,
a name is the error that stopped it.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from device.scan.decoder.process import probe_jail
from device.trust.clock import kernel_synchronised

_TIMEX_BYTES = 512
_SET_TIME_BYTES = 16


def _stopped_by(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "OSError")
    return None


def _write(folder: str) -> None:
    path = Path(folder) / ".gatelight-probe"
    path.write_bytes(b"x")
    path.unlink()


def _seen(folder: str) -> list[str]:
    try:
        return sorted(path.name for path in Path(folder).iterdir())
    except OSError:
        return []


def _run_from(folder: str) -> None:
    """A program there, as one would put it that got in."""
    path = Path(folder) / ".gatelight-probe"
    path.write_text("#!/bin/sh\n", encoding="ascii")
    path.chmod(0o700)
    try:
        os.posix_spawn(str(path), [str(path)], {})
    finally:
        path.unlink()


def _libc(call: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), call)


def _namespace() -> None:
    _libc("unshare", 0x10000000)


def main(folders: list[str]) -> None:
    """Try everything once."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    clock = ctypes.create_string_buffer(_TIMEX_BYTES)
    answer = {
        "user": os.geteuid(),
        "groups": sorted(os.getgroups()),
        "status": {key: status[key] for key in ("CapBnd", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp")},
        "limits": Path("/proc/self/limits").read_text(encoding="ascii"),
        "sees_the_first_process": Path("/proc/1").exists(),
        "see": {folder: _seen(folder) for folder in folders},
        "write": {folder: _stopped_by(partial(_write, folder)) for folder in folders},
        "run_from": {folder: _stopped_by(partial(_run_from, folder)) for folder in folders},
        "network": _stopped_by(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()),
        "packets": _stopped_by(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()),
        "ask_the_clock": _stopped_by(lambda: _libc("adjtimex", clock)),
        "synchronised": kernel_synchronised(),
        "set_the_clock": _stopped_by(lambda: _libc("clock_settime", 0, ctypes.create_string_buffer(_SET_TIME_BYTES))),
        "make_code_of_data": _stopped_by(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC).close()),
        "make_a_namespace": _stopped_by(_namespace),
        "mount": _stopped_by(lambda: _libc("mount", b"none", b"/mnt", b"tmpfs", 0, None)),
        "load_a_module": _stopped_by(lambda: _libc("syscall", 175, None, 0, None)),
        "jail": probe_jail(engine="zxing"),
    }
    print(json.dumps(answer), flush=True)  # noqa: T201 - this is the answer


if __name__ == "__main__":
    main(sys.argv[1:])
