"""Wall clocks that can jump: one for each part of a site, by a small library that is preloaded into it."""

import os
import shutil
import struct
from pathlib import Path

from deploy.sandbox.faults.disk import run

SOURCE = Path(__file__).with_name("clock.c")
DAY_S = 86_400


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """Compiles the library into `folder`.

    Raises:
        DiskError: the compiler refused, or there is none.
    """
    library = folder / "clock.so"
    run(compiler() or "cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", str(library), str(SOURCE))
    return library


class JumpingClock:
    """One part's clock.

    Args:
        library: what `build` made.
        file: where its offset stands; made here.
    """

    def __init__(self, *, library: Path, file: Path) -> None:
        self._library = library
        self._file = file
        file.write_bytes(struct.pack("=q", 0))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to have this clock."""
        return {"LD_PRELOAD": str(self._library), "GATELIGHT_SANDBOX_CLOCK": str(self._file)}

    def jump(self, ahead_s: int) -> None:
        """Sets it this many seconds ahead of the machine's; 0 sets it right."""
        descriptor = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(descriptor, struct.pack("=q", ahead_s), 0)
        finally:
            os.close(descriptor)
