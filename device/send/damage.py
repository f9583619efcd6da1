"""A spool that cannot be read: set aside, never deleted, and every check-in that can still be found saved beside it."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cbor2

from device.send.database import sync_directory
from protocol.checkin import parse_checkin
from protocol.errors import ProtocolError
from protocol.limits import CHECKIN_BYTES

_BEGINNING = re.compile(rb"\xd2\x84\x4d\xa2\x01[\x26\x27]\x04\x48")
"""Tag 18, array of 4, protected header `{1: EdDSA or ES256, 4: kid of 8 bytes}`: how a sealed check-in begins."""

_BLOCK_BYTES = 4096
"""A page of SQLite and a sector of most disks: what one bad spot may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What was found at open, for the device to shout about.

    `aside` is the damaged file under its new name. `rows` holds what could be found: sealed check-ins one after
    the other, which is a CBOR sequence (RFC 8742), in no order and perhaps with some that a receipt had already
    let go; None when it could not be written. `saved` is their number.
    """

    reason: str
    aside: Path
    rows: Path | None
    saved: int


def set_aside(path: Path, *, reason: str, now_ms: int) -> Damage:
    """Renames the spool at `path` with its journal to `<name>.damaged-<ms>`, and saves the check-ins in them.

    The bytes are searched without SQLite, since whatever is broken in its pages, a sealed check-in tells by
    itself where it begins and ends and whether it is whole.

    Raises:
        OSError: the directory does not allow it.
    """
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    # The journal keeps the name of its file, for SQLite finds it by that.
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    sync_directory(path)
    rows, seen = aside.with_name(aside.name + ".rows"), set[bytes]()
    try:
        with rows.open("xb") as file:
            for source in (aside, aside.with_name(aside.name + "-wal")):
                for digest, data in _find(source):
                    if digest not in seen:
                        file.write(data)
                        seen.add(digest)
    except OSError:
        # On a full disk the damaged file itself is still there to search.
        rows.unlink(missing_ok=True)
        return Damage(reason=reason, aside=aside, rows=None, saved=0)
    return Damage(reason=reason, aside=aside, rows=rows, saved=len(seen))


def _find(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Each whole check-in in a file with its hash; one that lies there twice comes twice."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        for offset in range(0, os.fstat(descriptor).st_size, _BLOCK_BYTES):
            try:
                # As much more as a check-in that begins at the end of the block may need.
                block = os.pread(descriptor, _BLOCK_BYTES + CHECKIN_BYTES, offset)
            except OSError:
                continue  # A bad spot; what lies behind it may be sound.
            for found in _BEGINNING.finditer(block):
                if found.start() < _BLOCK_BYTES:
                    with suppress(ProtocolError, cbor2.CBORError, ValueError):
                        sealed = parse_checkin(_first_item(block[found.start() :][:CHECKIN_BYTES]))
                        yield sealed.hash, sealed.data
    finally:
        os.close(descriptor)


def _first_item(data: bytes) -> bytes:
    """The first CBOR item of `data`, as the bytes that it is made of.

    Raises:
        cbor2.CBORError: there is no whole one.
    """
    source = BytesIO(data)
    cbor2.CBORDecoder(source, read_size=1).decode()
    return data[: source.tell()]
