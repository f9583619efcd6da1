"""The audit log as a chain: an entry's hash covers the hash before it, so that a changed or missing entry shows. Pure.

The database makes the links by a trigger that calls `audit_link`. Whoever can write the file can also make the whole
chain anew: it proves something to those who kept an older hash, such as the last line of an export.
"""

import hashlib
from typing import Final

from protocol import cbor

GENESIS: Final = bytes(32)
FUNCTION: Final = "audit_link"
ARGUMENTS: Final = 6


def link(  # noqa: PLR0917 - SQLite hands them over by position
    before: bytes, row_id: int, at_ms: int, who: str, action: str, detail: str
) -> bytes:
    """SHA-256 over the deterministic CBOR array of these six."""
    return hashlib.sha256(cbor.encode([before, row_id, at_ms, who, action, detail])).digest()
