"""FleetRow -> what is wrong with a scanner, the worst first. Pure."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from hub.model import DeviceState
from hub.store.fleet_ports import DeviceHealth, FleetRow
from protocol.health import State, Supply

SILENT_MS: Final = 150_000
"""A device speaks every 30 s, and the hub writes it down once a minute."""
UNSENT_S: Final = 300
"""A check-in that waits longer than a hub takes to start again."""
BOARD_CC: Final = 8_000
"""A Raspberry Pi slows down from 80 °C on."""
DISK_FREE_MIB: Final = 500
"""A week of check-ins without a hub, and the journal."""
CERTIFICATE_DAYS: Final = 14
"""Devices renew theirs with a third of its time left, 30 days of 90: this one has failed to for two weeks."""
TRUST_DAYS: Final = 3
DECODE_US: Final = 150_000
"""Slower, and people wait: a tenth of it is usual."""
_DAY_MS: Final = 86_400_000


class Trouble(StrEnum):
    """Stable names, the worst first."""

    QUARANTINED = "quarantined"
    STORAGE_FAILED = "storage_failed"
    OFFLINE = "offline"
    NEVER_SEEN = "never_seen"
    CAMERA_STALLED = "camera_stalled"
    CLOCK_UNTRUSTED = "clock_untrusted"
    SPOOL_OLD = "spool_old"
    CERTIFICATE_ENDS = "certificate_ends"
    SUPPLY_LOW = "supply_low"
    DISK_FULL = "disk_full"
    HOT = "hot"
    UPDATE_FAILED = "update_failed"
    LISTS_STALE = "lists_stale"
    TRUST_ENDS = "trust_ends"
    THERMOMETER_FAILED = "thermometer_failed"
    DECODE_SLOW = "decode_slow"
    SUPPLY_WAS_LOW = "supply_was_low"


WEIGHT: Final = {trouble: len(Trouble) - place for place, trouble in enumerate(Trouble)}


class Standing(StrEnum):
    """What a scanner does, in one word."""

    WORKING = "working"
    OUT_OF_SERVICE = "out_of_service"
    STORAGE_FAILED = "storage_failed"
    OFFLINE = "offline"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


def online(row: FleetRow, *, now_ms: int) -> bool:
    """Whether it was heard just now, and has not said farewell."""
    return row.seen is not None and row.seen.online and now_ms - row.seen.seen_ms < SILENT_MS


def standing(row: FleetRow, *, now_ms: int) -> Standing:
    """What it does now."""
    match row.device.state:
        case DeviceState.REVOKED:
            return Standing.REVOKED
        case DeviceState.QUARANTINED:
            return Standing.QUARANTINED
        case _ if not online(row, now_ms=now_ms):
            return Standing.OFFLINE
        case _ if row.health is None or row.health.state is State.IN_SERVICE:
            return Standing.WORKING
        case _ if row.health.state is State.STORAGE_FAILED:
            return Standing.STORAGE_FAILED
        case _:
            return Standing.OUT_OF_SERVICE


def troubles(row: FleetRow, *, now_ms: int) -> tuple[Trouble, ...]:
    """What somebody should look at; nothing of a revoked one. Of one that is gone, old figures say nothing."""
    if row.device.state is DeviceState.REVOKED:
        return ()
    found = set[Trouble]()
    if row.device.state is DeviceState.QUARANTINED:
        found.add(Trouble.QUARANTINED)
    if row.seen is None:
        found.add(Trouble.NEVER_SEEN)
    elif not online(row, now_ms=now_ms):
        found.add(Trouble.OFFLINE)
    elif row.health is not None:
        found |= set(_of(row.health))
    if row.certificate_ms is not None and row.certificate_ms - now_ms < CERTIFICATE_DAYS * _DAY_MS:
        found.add(Trouble.CERTIFICATE_ENDS)
    return tuple(trouble for trouble in Trouble if trouble in found)


def _of(health: DeviceHealth) -> Iterator[Trouble]:
    said = {
        Trouble.STORAGE_FAILED: health.state is State.STORAGE_FAILED,
        Trouble.CAMERA_STALLED: health.frame_rate_c == 0,
        Trouble.CLOCK_UNTRUSTED: not health.clock_trusted,
        Trouble.SPOOL_OLD: (health.unsent_s or 0) > UNSENT_S,
        Trouble.SUPPLY_LOW: health.supply is Supply.LOW,
        Trouble.SUPPLY_WAS_LOW: health.supply is Supply.WAS_LOW,
        Trouble.DISK_FULL: health.disk_free_mib is not None and health.disk_free_mib < DISK_FREE_MIB,
        Trouble.HOT: (health.board_cc or 0) >= BOARD_CC,
        Trouble.UPDATE_FAILED: health.update_failed is not None,
        Trouble.LISTS_STALE: bool(health.lists_stale),
        Trouble.TRUST_ENDS: health.trust_days is not None and health.trust_days < TRUST_DAYS,
        Trouble.THERMOMETER_FAILED: health.thermometer_ok is False,
        Trouble.DECODE_SLOW: (health.decode_us or 0) > DECODE_US,
    }
    return (trouble for trouble, holds in said.items() if holds)
