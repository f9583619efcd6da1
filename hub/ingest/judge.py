"""(what is known, verified message) -> Outcome. Stage 3 of ingest. Pure: it decides, the loop acts.

Each entry of a message stands at a seq: `first`, `first + 1` and so on. With the head at seq h:

    stands at    and                                              then
    <= h         its hash is the known one, or it is poison       duplicate: changes nothing
    <= h         genuine, and another hash is known               FORK
    <= h         genuine, but in a gap, or poison stood there     quarantine: it came too late to be a row
    h + 1        genuine, its prev is the head's hash             row; head moves on
    h + 1        genuine, prev differs, but h was poison          row; head moves on
    h + 1        genuine, prev differs                            FORK
    h + 1        genuine, of another place or gate                quarantine; head moves on
    h + 1        poison                                           quarantine; head moves on over its bytes' hash
    > h + 1      the message begins at the oldest the device has  gap noted; goes on as h + 1 with any prev
    > h + 1      otherwise                                        stop: the receipt at h makes the device go back
    elsewhere    genuine, its own epoch or seq says otherwise     stop, likewise
    > 2**63 - 1  whatever it is                                   stop, likewise: no number is left for it

A FORK ends the message: the entry goes to quarantine, the device is stopped, no receipt.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from hub.ingest.verify import Genuine, Part, Poison
from hub.model import Gap, QuarantineEntry
from protocol.checkin import CheckIn, SealedCheckIn
from protocol.limits import INT64_MAX
from protocol.record import record

FORK: Final = "fork"
WRONG_PLACE: Final = "wrong_place"
LATE: Final = "late"


@record
class Standing:
    """What the hub knows about a device and the spool (epoch) that a message belongs to."""

    device_id: bytes
    place_id: str
    gate_id: str
    epoch: bytes
    seq: int
    """The head: stored up to here. 0: nothing is."""
    hash: bytes
    """The hash of what stands at `seq`, 32 bytes; zeros at 0."""
    hashes: Mapping[int, bytes]
    """Of those seqs that `needed_hashes` names, the hashes of the rows found."""
    gaps: Sequence[Gap] = ()
    """Those noted in this epoch: there are no rows for them."""
    oldest_seq: int | None
    """The lowest seq that the device says it still holds in this epoch; None if it has not said."""


@record
class Outcome:
    """What one message changes. A receipt at (`seq`, `hash`) is due unless it is a fork."""

    seq: int
    hash: bytes
    rows: tuple[SealedCheckIn, ...]
    duplicates: int
    quarantine: tuple[QuarantineEntry, ...]
    gap: Gap | None
    fork: bool
    stopped: bool
    """Entries were left out because they do not follow the head."""


def find_place(parts: Sequence[Part], *, current_epoch: bytes | None) -> tuple[bytes, int] | None:
    """(epoch, seq of the first entry) as the first genuine entry says, or else a claim on the current epoch.

    None: nothing in the message says where it stands.
    """
    for index, part in enumerate(parts):
        if isinstance(part, Genuine):
            return part.sealed.checkin.epoch, part.sealed.checkin.seq - index
    for index, part in enumerate(parts):
        claimed = part.claimed if isinstance(part, Poison) else None
        if claimed is not None and claimed.epoch == current_epoch:
            return claimed.epoch, claimed.seq - index
    return None


def needed_hashes(parts: Sequence[Part], *, first: int, seq: int, hash_: bytes) -> tuple[int, ...]:
    """The seqs up to the head whose stored hash `judge` has to know: in a sound message at most one.

    An old entry that the next one names by its hash is proved with it. The head's own row is needed when what
    follows the head has another prev: no row means that the head was poison.
    """
    needed = []
    for index, part in enumerate(parts[: max(0, seq - first)]):
        if not isinstance(part, Genuine):
            continue
        after = parts[index + 1] if index + 1 < len(parts) else None
        if not isinstance(after, Genuine) or after.sealed.checkin.prev != part.sealed.hash:
            needed.append(first + index)
    index = seq + 1 - first
    if seq and 0 <= index < len(parts):
        follower = parts[index]
        if isinstance(follower, Genuine) and follower.sealed.checkin.prev != hash_:
            needed.append(seq)
    return tuple(needed)


def judge(parts: Sequence[Part], *, first: int, standing: Standing) -> Outcome:
    """The table above, entry by entry. `first` is the seq at which the message begins."""
    seq, hash_ = standing.seq, standing.hash
    any_prev = seq > 0 and seq not in standing.hashes
    # Of use for what is not new only.
    needed = needed_hashes(parts, first=first, seq=seq, hash_=hash_) if first <= seq else ()
    rows: list[SealedCheckIn] = []
    quarantine: list[QuarantineEntry] = []
    duplicates = 0
    gap: Gap | None = None
    fork = stopped = False
    if first > seq + 1:
        gap = _gap(parts, first=first, standing=standing)
        seq, any_prev, stopped = (first - 1, True, False) if gap else (seq, any_prev, True)
    for at, part in enumerate(() if stopped else parts, first):
        if at > INT64_MAX:
            stopped = True
            break
        if isinstance(part, Poison):
            if at <= seq:
                duplicates += 1
                continue
            quarantine.append(_entry(standing, at, part.data, part.reason, part.detail))
            seq, hash_, any_prev = at, part.hash, True
            continue
        sealed, checkin = part.sealed, part.sealed.checkin
        if checkin.seq != at or checkin.epoch != standing.epoch:
            stopped = True
            break
        if at <= seq:
            known = hash_ if at == seq else _known(standing, at, needed=at in needed, otherwise=sealed.hash)
            if known is None:
                wrong_place = _wrong_place(standing, checkin)
                reason, detail = (WRONG_PLACE, wrong_place) if wrong_place else (LATE, "the head had passed it")
                quarantine.append(_entry(standing, at, sealed.data, reason, detail))
                continue
            if sealed.hash != known:
                fork = True
                quarantine.append(_entry(standing, at, sealed.data, FORK, f"stored with hash {known.hex()}"))
                break
            duplicates += 1
            continue
        if checkin.prev != hash_ and not any_prev:
            fork = True
            detail = f"continues {checkin.prev.hex()} and not the stored {hash_.hex()}"
            quarantine.append(_entry(standing, at, sealed.data, FORK, detail))
            break
        wrong_place = _wrong_place(standing, checkin)
        if wrong_place is None:
            rows.append(sealed)
        else:
            quarantine.append(_entry(standing, at, sealed.data, WRONG_PLACE, wrong_place))
        seq, hash_, any_prev = at, sealed.hash, False
    return Outcome(
        seq=seq,
        hash=hash_,
        rows=tuple(rows),
        duplicates=duplicates,
        quarantine=tuple(quarantine),
        gap=gap,
        fork=fork,
        stopped=stopped,
    )


def _wrong_place(standing: Standing, checkin: CheckIn) -> str | None:
    if (checkin.place, checkin.gate) == (standing.place_id, standing.gate_id):
        return None
    return f"made for {checkin.place}/{checkin.gate}"


def _known(standing: Standing, seq: int, *, needed: bool, otherwise: bytes) -> bytes | None:
    """The hash of the row at `seq` below the head; `otherwise` where the next entry proves it; None: no row."""
    if any(gap.from_seq <= seq <= gap.to_seq for gap in standing.gaps):
        return None
    return standing.hashes.get(seq) if needed else otherwise


def _gap(parts: Sequence[Part], *, first: int, standing: Standing) -> Gap | None:
    """What lies between head and message, if it is gone for good. Bytes that nobody signed never make a gap."""
    if standing.oldest_seq != first or not any(isinstance(part, Genuine) for part in parts):
        return None
    return Gap(
        device_id=standing.device_id,
        epoch=standing.epoch,
        from_seq=standing.seq + 1,
        to_seq=first - 1,
        why="the device no longer holds them",
    )


def _entry(standing: Standing, seq: int, data: bytes, reason: str, detail: str) -> QuarantineEntry:
    return QuarantineEntry(
        device_id=standing.device_id, epoch=standing.epoch, seq=seq, reason=reason, detail=detail, data=data
    )
