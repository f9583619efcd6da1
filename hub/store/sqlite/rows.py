"""SQLite: a row of `checkin` as reports read it."""

import json
from typing import Any, Final

from hub.model import StoredCheckIn
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Verdict

CHECKIN_COLUMNS: Final = (
    "id, device, epoch, seq, hash, at_ms, received_ms, place, gate, direction, colour, verdict, reason, clock,"
    " code, iif(?1, subject, NULL), iif(?1, masked, NULL)"
)
"""What `stored_checkin` takes. `?1`: with the personal fields."""


def stored_checkin(row: tuple[Any, ...]) -> StoredCheckIn:
    """A row of `CHECKIN_COLUMNS`."""
    row_id, device_id, epoch, seq, hash_, at_ms, received_ms, place_id, gate_id, *rest = row
    direction, colour, verdict, reason, clock, code, subject, masked = rest
    return StoredCheckIn(
        row_id=row_id,
        device_id=device_id,
        epoch=epoch,
        seq=seq,
        hash=hash_,
        at_ms=at_ms,
        received_ms=received_ms,
        place_id=place_id,
        gate_id=gate_id,
        direction=Direction(direction),
        colour=Colour(colour),
        verdict=Verdict(verdict),
        reason=Reason(reason),
        clock=Clock(clock),
        code=code,
        subject=subject,
        masked=None if masked is None else tuple(json.loads(masked)),
    )
