"""Outbox rows -> those whose own signature is wrong. Pure; runs in a thread, as it takes 60 µs a row.

At ingest the last signature of a message covered the others. The platform checks each one, so does the hub
before it vouches for them with a batch.
"""

from collections.abc import Callable, Iterable, Sequence

from hub.model import OutboxRow, SkippedRow
from protocol import envelope
from protocol.errors import ProtocolError, UnknownKeyError
from protocol.keys import VerifyKey
from protocol.limits import CHECKIN_BYTES

KeyOf = Callable[[bytes, bytes], VerifyKey | None]
"""(device, kid) -> the key with which that device signs, or has signed."""


def wrong_rows(rows: Iterable[OutboxRow], *, key_of: KeyOf) -> tuple[SkippedRow, ...]:
    """Rows to be left out of a batch, in order, each with its reason (`bad_signature`, `unknown_key`)."""
    skipped = []
    for row in rows:
        try:
            sealed = envelope.parse(row.sealed, what="check-in", limit=CHECKIN_BYTES)
            key = key_of(row.device_id, sealed.kid)
            if key is None:
                raise UnknownKeyError("check-in", f"{sealed.kid.hex()} is no key of device {row.device_id.hex()}")
            envelope.verify(sealed, key=key, aad=envelope.AAD_CHECKIN)
        except ProtocolError as error:
            skipped.append(SkippedRow(row_id=row.row_id, reason=error.reason, detail=str(error)))
    return tuple(skipped)


def announced_part(
    rows: Sequence[OutboxRow], *, key_of: KeyOf, announced: Callable[[bytes], bool]
) -> Sequence[OutboxRow]:
    """The rows before the first whose key the platform does not know yet: it would refuse that one.

    A row without a readable key of its device is not waited for; `wrong_rows` leaves it out.
    """
    for at, row in enumerate(rows):
        try:
            kid = envelope.parse(row.sealed, what="check-in", limit=CHECKIN_BYTES).kid
        except ProtocolError:
            continue
        if key_of(row.device_id, kid) is not None and not announced(kid):
            return rows[:at]
    return rows
