"""The PIN of a token, from a file that only its owner can read."""

import os
import stat
from pathlib import Path

from device.keystore.ports import KeyStoreError

PIN_BYTES = 255
"""Tokens take 4 to 255; anything longer is some other file."""


def read_pin(path: Path) -> str:
    """The first and only line of the file.

    Raises:
        KeyStoreError: missing, readable by others, somebody else's, or no PIN.
    """
    try:
        # A pipe under this name must not stop the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            state = os.fstat(descriptor)
            data = os.read(descriptor, PIN_BYTES + 2) if stat.S_ISREG(state.st_mode) else b""
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KeyStoreError(f"{path}: {error.strerror}") from error
    if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyStoreError(f"{path}: a PIN that others may read; chmod 600 it")
    if state.st_uid not in {0, os.geteuid()}:
        raise KeyStoreError(f"{path}: a PIN that belongs to somebody else; chown it")
    try:
        pin = data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise KeyStoreError(f"{path}: a PIN is text") from error
    if not pin or len(pin.encode()) > PIN_BYTES or not pin.isprintable():
        raise KeyStoreError(f"{path}: a PIN is one line of 1 to {PIN_BYTES} bytes")
    return pin
