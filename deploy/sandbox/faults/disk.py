"""A disk of its own for each part: ext4, journal and all, on a loop device. It can be full, and it can lose power.

A power cut is ext4's own `EXT4_IOC_SHUTDOWN` without flushing its log, which the kernel's file system tests use for the
same (xfstests, `godown -f`): from that instant nothing reaches the block device any more. What was written and not
synced is in the page cache only, and is gone when the file system is mounted again from the device, through the
replay of its journal.

What it does not do: a block that the file system has handed over stays. A drive that lies about flushing, or tears a
sector, needs dm-log-writes or LazyFS below, which this kernel and its distribution do not have.
"""

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DISK_BYTES = 40 * 1024 * 1024
BALLAST = ".ballast"
CANARY = ".canary"
CANARY_BYTES = 64 * 1024

_EXT4_IOC_SHUTDOWN = 0x8004587D
_GOING_NOLOGFLUSH = 2
_UNMOUNT_S = 5.0
_STEPS = (1024 * 1024, 64 * 1024, 4096, 1024)


class DiskError(Exception):
    """A program that makes or mounts disks failed; the message has its words."""


class Disk:
    """One mounted disk. Make it with `adopt`; everything is for root, in a mount namespace of its own.

    Args:
        image: the file behind it.
        folder: where it is mounted.
    """

    def __init__(self, *, image: Path, folder: Path) -> None:
        self.folder = folder
        self._image = image

    @classmethod
    def adopt(cls, folder: Path, *, image: Path) -> "Disk":
        """Moves a folder, with what is in it, onto a new disk that is mounted in its place.

        Raises:
            DiskError: it cannot be made or mounted.
        """
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        # Nothing kept back for root, who the parts here are.
        run("mkfs.ext4", "-q", "-m", "0", str(image))
        disk = cls(image=image, folder=folder)
        kept = folder.with_name(folder.name + ".kept")
        shutil.copytree(folder, kept)
        disk.mount()
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        shutil.rmtree(kept)
        os.sync()
        return disk

    def mount(self) -> None:
        """Mounts it, replaying its journal where that is needed."""
        run("mount", "-o", "loop", str(self._image), str(self.folder))

    def unmount(self) -> None:
        """Unmounts it; a program that just died may hold it for a moment."""
        give_up_s = time.monotonic() + _UNMOUNT_S
        while True:
            try:
                run("umount", str(self.folder))
                return
            except DiskError:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(0.05)

    def cut_power(self) -> None:
        """From now on nothing reaches the disk any more."""
        here = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(here, _EXT4_IOC_SHUTDOWN, struct.pack("I", _GOING_NOLOGFLUSH))
        finally:
            os.close(here)

    def write_canary(self) -> None:
        """A file that nobody syncs: a power cut that was one takes it away."""
        (self.folder / CANARY).write_bytes(os.urandom(CANARY_BYTES))

    def canary_lost_bytes(self) -> int:
        """How much of it is gone; removes the rest."""
        path = self.folder / CANARY
        left = path.read_bytes().strip(b"\0") if path.exists() else b""
        path.unlink(missing_ok=True)
        return CANARY_BYTES - len(left)

    def contents(self) -> dict[str, bytes]:
        """Every file, as programs see it now, by its name."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found if path.name != CANARY}

    def fill(self) -> int:
        """Fills it to the last block; returns how many bytes that took. May be called again, for what was freed."""
        path = self.folder / BALLAST
        taken = 0
        with path.open("ab") as ballast:
            for size in _STEPS:
                for _ in _until_full(ballast.fileno(), size):
                    taken += size
        return taken

    def is_full(self) -> bool:
        """Whether a new file of one block is refused for want of room."""
        probe = self.folder / ".probe"
        try:
            with probe.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _STEPS[-1])
        except OSError as error:
            return error.errno == errno.ENOSPC
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
        return False

    def free(self) -> None:
        """Takes the ballast away."""
        (self.folder / BALLAST).unlink(missing_ok=True)


def run(*command: str) -> None:
    """Runs a program to its end.

    Raises:
        DiskError: it failed.
    """
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise DiskError(f"{' '.join(command)}: {done.stderr.decode('utf-8', 'replace').strip()}")


def _until_full(descriptor: int, size: int) -> Iterator[None]:
    while True:
        end = os.fstat(descriptor).st_size
        try:
            os.posix_fallocate(descriptor, end, size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
        yield
