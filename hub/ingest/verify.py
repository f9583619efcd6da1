"""CheckIns -> Genuine | Poison, each entry. Stage 2 of ingest. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.ingest.receive import Unreadable
from protocol.checkin import CheckIn, SealedCheckIn, hash_of, verify_checkin
from protocol.errors import SignatureError
from protocol.keys import VerifyKey
from protocol.record import record


@record
class Genuine:
    """A check-in that this device's key signed, or that the signed one after it names by its hash.

    Built by `verify` only. An own signature that was covered is checked before the check-in is forwarded.
    """

    sealed: SealedCheckIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """An entry that can never be stored. `claimed` is what it says, unproved; None if it cannot be read."""

    data: bytes
    hash: bytes
    reason: str
    detail: str
    claimed: CheckIn | None


Part = Genuine | Poison


def verify(
    entries: Sequence[SealedCheckIn | Unreadable],
    *,
    device_id: bytes,
    keys: Mapping[bytes, VerifyKey],
    ended: frozenset[bytes] = frozenset(),
    vouched: bytes | None = None,
) -> tuple[Part, ...]:
    """What is believed of a message, in its order, with as few signature checks as its chain allows.

    `ended` are those of the keys that sign nothing new; `vouched` is the hash that something genuine after the message
    names: `vouched_before` of the same device's next.

    From the last entry back to the first:

    1. It can be read, else it is poison (`malformed`, `limit`, `unsupported`).
    2. It names one of the keys, and the id, of the device whose topic it came by (`unknown_key`, `wrong_device`).
    3. The genuine entry after it names it by its hash, or else its own signature is right (`bad_signature`). What an
       ended key has signed vouches for nothing: whoever still has that key could claim a newer one.

    So a run of sound messages costs one signature check, and after a wrong one the next entry stands for itself.
    """
    parts: list[Part] = []
    for entry in reversed(entries):
        part = _verify_one(entry, device_id=device_id, keys=keys, vouched=vouched)
        vouched = vouched_before((part,), ended=ended)
        parts.append(part)
    parts.reverse()
    return tuple(parts)


def vouched_before(parts: Sequence[Part], *, ended: frozenset[bytes] = frozenset()) -> bytes | None:
    """The hash of the check-in before these, if the first is genuine and by no ended key, and so vouches for it."""
    first = parts[0] if parts else None
    return first.sealed.checkin.prev if isinstance(first, Genuine) and first.sealed.kid not in ended else None


def without_ended(parts: Sequence[Part], *, ended: frozenset[bytes], epoch: bytes, seq: int) -> tuple[Part, ...]:
    """The parts, with those beyond the head at `seq` that an ended key has signed as poison (`ended_key`).

    A device's check-ins come in order: whatever an older key signed is stored before the first by its successor. So
    what that key signs later is not the device's, whatever time it claims.
    """
    if not ended:
        return tuple(parts)
    return tuple(
        _poison(part.sealed, "ended_key", f"signed by key {part.sealed.kid.hex()}")
        if isinstance(part, Genuine)
        and part.sealed.kid in ended
        and (part.sealed.checkin.epoch != epoch or part.sealed.checkin.seq > seq)
        else part
        for part in parts
    )


def _verify_one(
    entry: SealedCheckIn | Unreadable, *, device_id: bytes, keys: Mapping[bytes, VerifyKey], vouched: bytes | None
) -> Part:
    # 1.
    if isinstance(entry, Unreadable):
        return Poison(
            data=entry.data,
            hash=hash_of(entry.data),
            reason=entry.reason,
            detail=entry.detail,
            claimed=None,
        )
    # 2.
    key = keys.get(entry.kid)
    if key is None:
        return _poison(entry, "unknown_key", f"signed by key {entry.kid.hex()}")
    if entry.checkin.device != device_id:
        return _poison(entry, "wrong_device", f"of device {entry.checkin.device.hex()}")
    # 3.
    if entry.hash != vouched:
        try:
            verify_checkin(entry, key=key)
        except SignatureError as error:
            return _poison(entry, error.reason, str(error))
    return Genuine(sealed=entry)


def _poison(entry: SealedCheckIn, reason: str, detail: str) -> Poison:
    return Poison(data=entry.data, hash=entry.hash, reason=reason, detail=detail, claimed=entry.checkin)
