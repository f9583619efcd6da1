"""The folder of what this gate believes, as it was signed: so that a restart without the network knows it too."""

import logging
from pathlib import Path

from device import durable

_LOG = logging.getLogger(__name__)


class Believed:
    """Small files that are replaced as a whole. A disk that fails is counted and logged, and never stops the gate:
    what is in memory stays in force.

    Args:
        folder: made where it is absent.

    Attributes:
        folder: as given.
        failures: how often the disk did not do what was asked.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failures = 0
        self.make_folder(folder)

    def make_folder(self, path: Path) -> bool:
        """A folder in it; False when the disk did not allow it."""
        try:
            durable.make_folder(path)
        except OSError as error:
            self.failed(f"{path.name} was not made", error)
            return False
        return True

    def read(self, path: Path, *, limit: int) -> bytes | None:
        """The file's first `limit` + 1 bytes, so that one which is too long is still seen to be; None without one."""
        try:
            with path.open("rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.failed(f"{path.name} was not read", error)
            return None

    def write(self, path: Path, data: bytes) -> bool:
        """Replaces the file; False when the disk did not allow it."""
        try:
            durable.write_atomic(path, data)
        except OSError as error:
            self.failed(f"{path.name} was not written", error)
            return False
        return True

    def set_aside(self, path: Path, why: Exception) -> None:
        """Keeps a file that cannot be believed for whoever wants to know what happened, under another name."""
        _LOG.error("believed: %s is not to be believed and was set aside: %s", path.name, why)
        try:
            durable.set_aside(path)
        except OSError as error:
            self.failed(f"{path.name} was not set aside", error)

    def failed(self, what: str, error: OSError) -> None:
        """Counts and logs that the disk did not do something."""
        self.failures += 1
        _LOG.error("believed: %s: %s", what, error.strerror or error)
