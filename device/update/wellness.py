"""Says once in a process's life that this release is well: it sees, it can record, and it has reached the hub."""

import time
from collections.abc import Callable
from pathlib import Path

from device import durable
from device.update import notes
from device.update.notes import Healthy

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Wellness:
    """Kept by the gate's watch.

    Args:
        state_dir: where the gate writes.
        version: of this firmware.
        complain: told once why it cannot be written down.
    """

    def __init__(self, state_dir: Path, *, version: str, complain: Callable[[str], None]) -> None:
        self._path = notes.healthy_file(state_dir)
        self._version = version
        self._complain = complain
        self._decoded = self._hub = self._said = self._complained = False

    def begin(self) -> None:
        """What the process before said no longer holds."""
        try:
            durable.make_folder(self._path.parent)
            durable.remove_tree(self._path)
        except OSError as error:
            # The updater knows a note that it saw before the trial; the gate goes on.
            self._trouble(error)

    def look(self, *, decoded: bool, recording: bool, hub_online: bool) -> None:
        """How it is now. What was once true of sight and hub stays true; the disk must be well at that moment."""
        if self._said:
            return
        self._decoded |= decoded
        self._hub |= hub_online
        if not (self._decoded and self._hub and recording):
            return
        try:
            notes.write(self._path, Healthy(version=self._version, boot=_boot(), mono_ns=time.monotonic_ns()))
        except OSError as error:
            self._trouble(error)
        else:
            self._said = True

    def _trouble(self, error: OSError) -> None:
        if not self._complained:
            self._complain(str(error))
        self._complained = True


def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
