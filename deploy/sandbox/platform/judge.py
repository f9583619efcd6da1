"""Sealed check-in -> Arrival. The platform's own proof of each one; it trusts no hub.

1. it parses, or is rejected as malformed;
2. its device is registered, or it is rejected;
3. its signature is that of one of the device's registered keys, or it is rejected;
4. the same check-in seen before is noted as "again"; a different one under a known number is a fork,
   kept as evidence;
5. it names the hash of the one before, and the one after names its hash, or the break is noted and the
   check-in kept. A neighbour that is not here yet is no break: a hub may try a batch again later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from protocol.checkin import GENESIS, SealedCheckIn, parse_checkin, verify_checkin
from protocol.errors import ProtocolError, SignatureError
from protocol.keys import VerifyKey
from protocol.reasons import Reason


class Fault(StrEnum):
    """What was wrong with one check-in of a batch."""

    MALFORMED = "malformed"
    UNKNOWN_DEVICE = "unknown_device"
    BAD_SIGNATURE = "bad_signature"
    FORK = "fork"
    CHAIN_BREAK = "chain_break"


REJECTIONS = {
    Fault.MALFORMED: Reason.MALFORMED,
    Fault.UNKNOWN_DEVICE: Reason.UNKNOWN_ISSUER,
    Fault.BAD_SIGNATURE: Reason.BAD_SIGNATURE,
}
"""Faults that the batch receipt names. A fork or a break is our evidence, and counts as stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What ties a stored check-in into its chain."""

    prev: bytes
    hash: bytes


class Ledger(Protocol):
    """What is already stored."""

    def link_at(self, device: bytes, epoch: bytes, seq: int) -> Link | None:
        """The check-in under this number, if it is here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One check-in of a batch, judged. `sealed` is None when it did not parse."""

    data: bytes
    sealed: SealedCheckIn | None
    fault: Fault | None = None
    detail: str = ""
    again: bool = False


Devices = Mapping[bytes, Mapping[bytes, VerifyKey]]
"""Device -> key id -> key. A device has several when it changed its key."""


def judge(data: bytes, *, devices: Devices, ledger: Ledger) -> Arrival:
    """Judges one sealed check-in by the five steps above. Never raises for what is in `data`."""
    # 1
    try:
        sealed = parse_checkin(data)
    except ProtocolError as error:
        return Arrival(data=data, sealed=None, fault=Fault.MALFORMED, detail=error.reason)
    checkin = sealed.checkin
    # 2
    keys = devices.get(checkin.device)
    if keys is None:
        return Arrival(data=data, sealed=sealed, fault=Fault.UNKNOWN_DEVICE)
    # 3
    try:
        key = keys.get(sealed.kid)
        if key is None:
            raise SignatureError("check-in", "sealed with another key than its device's")
        verify_checkin(sealed, key=key)
    except ProtocolError as error:
        return Arrival(data=data, sealed=sealed, fault=Fault.BAD_SIGNATURE, detail=error.what)
    # 4
    known = ledger.link_at(checkin.device, checkin.epoch, checkin.seq)
    if known is not None and known.hash == sealed.hash:
        return Arrival(data=data, sealed=sealed, again=True)
    if known is not None:
        detail = f"seq {checkin.seq} is already {known.hash.hex()}"
        return Arrival(data=data, sealed=sealed, fault=Fault.FORK, detail=detail)
    # 5
    before = ledger.link_at(checkin.device, checkin.epoch, checkin.seq - 1)
    after = ledger.link_at(checkin.device, checkin.epoch, checkin.seq + 1)
    named = GENESIS if checkin.seq == 1 else before.hash if before is not None else checkin.prev
    if checkin.prev != named:
        detail = f"seq {checkin.seq} does not name the one before"
        return Arrival(data=data, sealed=sealed, fault=Fault.CHAIN_BREAK, detail=detail)
    if after is not None and after.prev != sealed.hash:
        detail = f"seq {checkin.seq} is not what the one after names"
        return Arrival(data=data, sealed=sealed, fault=Fault.CHAIN_BREAK, detail=detail)
    return Arrival(data=data, sealed=sealed)
