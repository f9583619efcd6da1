"""The operator's switch: whether this gate serves people. A file, so that it stays as it was put."""

from pathlib import Path

from device.durable import erase, write_atomic


class Switch:
    """Off while the file is there. Read by the scan thread at every scan, so it asks no disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._on = not path.exists()

    @property
    def on(self) -> bool:
        """Whether the gate may serve people."""
        return self._on

    def off(self) -> None:
        """Out of service, at once and after every restart.

        Raises:
            OSError: the disk did not allow it: it is off, but perhaps on again after a restart.
        """
        self._on = False
        write_atomic(self._path, b"An operator disabled this gate.\n")

    def back_on(self) -> None:
        """In service again.

        Raises:
            OSError: the disk did not allow it: it stays off.
        """
        erase(self._path)
        self._on = True
