"""What the uplink tells about itself, and what it must be told for the presence."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What this device has in force; 0 is none. `lists` has each status list's version by its id of 8 bytes."""

    trust: int
    policy: int
    lists: Mapping[bytes, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class UplinkStatus:
    """Counters since the start; whoever asks gets a copy. `last_receipt_ms` is since 1970, 0 for never.

    `oversized` and `missed` came down and were dropped unread; `unsent` is what the outbox gave up.
    """

    connected: bool = False
    hub_online: bool = False
    connects: int = 0
    sent: int = 0
    messages: int = 0
    receipts: int = 0
    rewinds: int = 0
    bad_receipts: int = 0
    refused_messages: int = 0
    refused_subscriptions: int = 0
    oversized: int = 0
    missed: int = 0
    unsent: int = 0
    storage_faults: int = 0
    last_receipt_ms: int = 0
