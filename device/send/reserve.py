"""A file of nothing beside the spool, so that a full disk still has room for the record which says so."""

import fcntl
import os
from io import FileIO
from pathlib import Path
from typing import Self

from device.model import StorageError


class Reserve:
    """Disk space that is kept back, given up when the disk is full, and taken again when there is room.

    The same file is the lock of the spool: while one process holds it, no other may open that spool.
    """

    def __init__(self, file: FileIO, size_bytes: int) -> None:
        self._file = file
        self._size_bytes = size_bytes

    @classmethod
    def open(cls, path: Path, *, size_bytes: int) -> Self:
        """Opens or makes the file at `path`; being without room for it is no error, see `held`.

        Raises:
            StorageError: the file cannot be made, or another process has the spool.
        """
        try:
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise StorageError(f"{path}: another process has this spool") from error
        reserve = cls(file, size_bytes)
        reserve.take()
        return reserve

    @property
    def held(self) -> bool:
        """Whether the space is kept back at this moment."""
        return os.fstat(self._file.fileno()).st_size >= self._size_bytes

    def take(self) -> bool:
        """Takes the space unless it is held already; True when it is held afterwards."""
        if self.held:
            return True
        try:
            os.posix_fallocate(self._file.fileno(), 0, self._size_bytes)
        except OSError:
            # A part that was taken on the way would only be missing elsewhere.
            self._file.truncate(0)
            return False
        return True

    def give_up(self) -> bool:
        """Gives the space to the disk; False when there was none to give."""
        had_some = os.fstat(self._file.fileno()).st_size > 0
        self._file.truncate(0)
        return had_some

    def close(self) -> None:
        """Ends the lock. The file stays, and with it the space."""
        self._file.close()
