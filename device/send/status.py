"""What the uplink tells about itself, and what it must be told for the presence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What this device has in force; 0 is none."""

    trust: int
    policy: int


@dataclass(slots=True, kw_only=True)
class UplinkStatus:
    """Counters since the start; whoever asks gets a copy. `last_receipt_ms` is since 1970, 0 for never."""

    connected: bool = False
    hub_online: bool = False
    connects: int = 0
    sent: int = 0
    messages: int = 0
    receipts: int = 0
    rewinds: int = 0
    bad_receipts: int = 0
    refused_messages: int = 0
    oversized: int = 0
    storage_faults: int = 0
    last_receipt_ms: int = 0
