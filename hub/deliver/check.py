"""Outbox rows -> those whose own signature is wrong. Pure; runs in a thread, as it takes 60 µs a row.

At ingest the last signature of a message covered the others. The platform checks each one, so does the hub
before it vouches for them with a batch.
"""

from collections.abc import Callable, Iterable

from hub.model import OutboxRow, SkippedRow
from protocol import envelope
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey
from protocol.limits import CHECKIN_BYTES

KeyOf = Callable[[bytes], VerifyKey | None]


def wrong_rows(rows: Iterable[OutboxRow], *, key_of: KeyOf) -> tuple[SkippedRow, ...]:
    """Rows to be left out of a batch, in order, each with its reason (`bad_signature`, `unknown_device`)."""
    skipped = []
    for row in rows:
        key = key_of(row.device_id)
        if key is None:
            skipped.append(SkippedRow(row_id=row.row_id, reason="unknown_device", detail=row.device_id.hex()))
            continue
        try:
            sealed = envelope.parse(row.sealed, what="check-in", limit=CHECKIN_BYTES)
            envelope.verify(sealed, key=key, aad=envelope.AAD_CHECKIN)
        except ProtocolError as error:
            skipped.append(SkippedRow(row_id=row.row_id, reason=error.reason, detail=str(error)))
    return tuple(skipped)
