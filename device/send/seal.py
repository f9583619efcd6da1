"""Draft -> sealed check-in. Stage 1 of the way to the hub. Pure: key and place in the chain are passed in."""

from device.model import Draft
from protocol.checkin import CheckIn, seal_checkin
from protocol.keys import SigningKey


def seal(draft: Draft, *, device: bytes, epoch: bytes, seq: int, prev: bytes, key: SigningKey) -> bytes:
    """Gives a draft its place in the chain and signs it; these bytes never change again (PROTOCOL §5).

    Args:
        draft: what happened at the gate.
        device: this device's id, 8 bytes.
        epoch: the spool's epoch, 8 bytes.
        seq: one more than the last check-in of the spool, from 1.
        prev: SHA-256 of the last sealed check-in, 32 bytes; zeros for seq 1.
        key: the device's signing key.

    Raises:
        MalformedError: the draft has a value that the wire does not allow: a mistake of ours.
    """
    checkin = CheckIn(
        device=device,
        epoch=epoch,
        seq=seq,
        prev=prev,
        at_ms=draft.at_ms,
        clock=draft.clock,
        place=draft.place,
        gate=draft.gate,
        direction=draft.direction,
        colour=draft.colour,
        verdict=draft.verdict,
        reason=draft.reason,
        code=draft.code,
        scheme=draft.scheme,
        subject=draft.subject,
        masked=draft.masked,
        evidence=draft.evidence,
        temperature_cc=draft.temperature_cc,
    )
    return seal_checkin(checkin, key=key)
