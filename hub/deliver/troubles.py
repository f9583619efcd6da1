"""What is known of scanners and of the hub itself -> what is wrong. Pure: rules over frozen values.

Whoever knows more of a scanner fills in more of its facts; a fact that is None is not known, and raises nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.store.live_ports import NewAlert

OFFLINE_MS: Final = 120_000
"""Health comes every 30 s: four in a row are missing."""
CAMERA_MS: Final = 120_000
SPOOL_MS: Final = 600_000
CLOCK_MS: Final = 300_000
"""A gate that has just started is told the time within a minute."""
CERTIFICATE_MS: Final = 14 * 86_400_000
"""A device renews when a third is left, 30 days of 90: it has failed to for half of them."""
BROKER_MS: Final = 60_000
PLATFORM_MS: Final = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What is known of one scanner now. Times are those since when it is so; None: it is not so, or not known."""

    device_id: bytes
    name: str
    place_id: str
    gate_id: str
    heard_ms: int | None
    """When it was last heard; None: never, so it is not missed yet."""
    online: bool | None
    """What the broker last said; None: nothing yet."""
    camera_still_ms: int | None = None
    """Since when no new frame came of its camera."""
    spool_stuck_ms: int | None = None
    """Since when it has something to send and nothing came."""
    clock_wrong_ms: int | None = None
    storage_failed: bool = False
    update_failed: bool = False
    """A release that it was to take has failed there."""
    certificate_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """What is known of the hub itself now."""

    started_ms: int
    broker_lost_ms: int | None
    """Since when the broker is out of reach."""
    outbox_oldest_ms: int | None
    """When the oldest check-in was received that the platform has not signed for."""
    rollout_halted_ms: int | None = None
    """Since when a rollout of firmware is halted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """All that is wrong now, and the kinds of which nothing is known: what stands of those goes on standing."""

    found: tuple[NewAlert, ...]
    unknown: frozenset[str]


def troubles(devices: Iterable[DeviceFacts], site: SiteFacts, *, now_ms: int) -> Troubles:
    """Facts -> what is wrong, in a fixed order."""
    heard_by_us = max(site.started_ms, site.broker_lost_ms or 0)
    # Without a broker nobody is heard; just after it, not everybody has been heard again.
    deaf = site.broker_lost_ms is not None or now_ms - heard_by_us < OFFLINE_MS
    found = [*_of_site(site, now_ms=now_ms)]
    for device in devices:
        found += _of_device(device, deaf=deaf, now_ms=now_ms)
    return Troubles(found=tuple(found), unknown=frozenset(_HEARD_KINDS if deaf else ()))


_HEARD_KINDS: Final = (
    "device.offline",
    "device.camera",
    "device.spool",
    "device.clock",
    "device.storage",
    "device.update",
)


def _of_site(site: SiteFacts, *, now_ms: int) -> Iterable[NewAlert]:
    if _longer(site.broker_lost_ms, BROKER_MS, now_ms=now_ms):
        yield NewAlert(kind="site.broker", about="site", at_ms=site.broker_lost_ms or now_ms)
    if _longer(site.outbox_oldest_ms, PLATFORM_MS, now_ms=now_ms):
        yield NewAlert(kind="site.platform", about="site", at_ms=site.outbox_oldest_ms or now_ms)
    if site.rollout_halted_ms is not None:
        yield NewAlert(kind="site.rollout", about="site", at_ms=site.rollout_halted_ms)


def _of_device(device: DeviceFacts, *, deaf: bool, now_ms: int) -> Iterable[NewAlert]:
    def trouble(kind: str, since_ms: int | None) -> NewAlert:
        return NewAlert(
            kind=kind,
            about=device.device_id.hex(),
            place_id=device.place_id,
            gate_id=device.gate_id,
            device_id=device.device_id,
            detail=device.name,
            at_ms=now_ms if since_ms is None else since_ms,
        )

    until_ms = device.certificate_until_ms
    if until_ms is not None and until_ms - now_ms < CERTIFICATE_MS:
        yield trouble("device.certificate", None)
    if deaf or device.heard_ms is None:
        return
    if device.online is False or now_ms - device.heard_ms > OFFLINE_MS:
        # What it said before it went says nothing about now.
        if now_ms - device.heard_ms > OFFLINE_MS:
            yield trouble("device.offline", device.heard_ms)
        return
    for kind, since_ms, patience_ms in (
        ("device.camera", device.camera_still_ms, CAMERA_MS),
        ("device.spool", device.spool_stuck_ms, SPOOL_MS),
        ("device.clock", device.clock_wrong_ms, CLOCK_MS),
    ):
        if _longer(since_ms, patience_ms, now_ms=now_ms):
            yield trouble(kind, since_ms)
    if device.storage_failed:
        yield trouble("device.storage", None)
    if device.update_failed:
        yield trouble("device.update", None)


def _longer(since_ms: int | None, patience_ms: int, *, now_ms: int) -> bool:
    return since_ms is not None and now_ms - since_ms > patience_ms
