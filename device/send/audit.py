"""Does the chain in the spool hold? For the command line, which only reads."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from device.model import StorageError
from device.send.database import DamagedError, check, connect_read_only
from protocol.checkin import hash_of, parse_checkin, verify_checkin
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey

_FAULTS_SHOWN = 20
"""One broken page breaks many rows; the first ones tell where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the spool holds. `oldest_seq` is `newest_seq + 1` when it is empty; `faults` is empty when all is well."""

    epoch: bytes
    depth: int
    oldest_seq: int
    newest_seq: int
    head_hash: bytes
    faults: tuple[str, ...]


def audit_file(path: Path, *, key: VerifyKey | None = None) -> Audit:
    """Checks a spool without changing it, while the device may be running.

    Raises:
        StorageError: the file is absent or cannot be read at all.
    """
    try:
        with closing(connect_read_only(path)) as connection:
            connection.execute("BEGIN")  # One moment of the file, however long the walk takes.
            check(connection)
            return audit_chain(connection, key=key)
    except (sqlite3.Error, DamagedError) as error:
        raise StorageError(f"{path}: {error}") from error


def audit_chain(connection: sqlite3.Connection, *, key: VerifyKey | None = None) -> Audit:
    """Walks every sealed check-in from the receipted head to the newest.

    1. The numbers follow each other without a gap, from the receipt to the head.
    2. Each is a check-in that names its own number and the spool's epoch.
    3. Each holds the hash of the one before it; the first one holds the receipted hash.
    4. Where `key` is given, each signature is the device's.
    5. The last one has the hash of the head.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    epoch, head_seq, head_hash, receipted_seq, expected_prev = connection.execute(
        "SELECT epoch, head_seq, head_hash, receipted_seq, receipted_hash FROM meta"
    ).fetchone()
    faults: list[str] = []
    expected_seq = receipted_seq + 1
    for seq, data in connection.execute("SELECT seq, data FROM sealed ORDER BY seq"):
        # 1.
        if seq != expected_seq:
            faults.append(f"{seq} follows where {expected_seq} was due")
        expected_seq = seq + 1
        # 2.
        try:
            sealed = parse_checkin(data)
            if (sealed.checkin.epoch, sealed.checkin.seq) != (epoch, seq):
                faults.append(f"{seq}: it names another epoch or number")
            # 3.
            if sealed.checkin.prev != expected_prev:
                faults.append(f"{seq}: it does not continue the one before it")
            # 4.
            if key is not None:
                verify_checkin(sealed, key=key)
        except ProtocolError as error:
            faults.append(f"{seq}: {error}")
        expected_prev = hash_of(data)
    # 5.
    if (expected_seq - 1, expected_prev) != (head_seq, head_hash):
        faults.append(f"the chain ends at {expected_seq - 1}, which is not the head ({head_seq})")
    return Audit(
        epoch=epoch,
        depth=head_seq - receipted_seq,
        oldest_seq=receipted_seq + 1,
        newest_seq=head_seq,
        head_hash=head_hash,
        faults=tuple(faults[:_FAULTS_SHOWN]),
    )
