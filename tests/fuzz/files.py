"""A file that lies nowhere: configuration is read from a path, and a run must not wait for a disk."""

from io import BytesIO
from pathlib import Path
from typing import Any


class Bytes:
    """As much of a `Path` as the readers of files use."""

    parent = Path("/etc/gatelight")

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __truediv__(self, _name: str) -> "Bytes":
        return self

    def open(self, _mode: str) -> BytesIO:
        """The bytes."""
        return BytesIO(self._data)

    def __str__(self) -> str:
        return "/etc/gatelight/file"


def path(data: bytes) -> Any:
    """Bytes -> what stands for the path of a file that holds them."""
    return Bytes(data)
