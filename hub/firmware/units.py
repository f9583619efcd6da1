"""Devices as they are registered and heard -> the units of a rollout, and how it fares ring by ring. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hub.firmware.outcome import Unit, is_due, is_under_way
from hub.model import Device, DeviceState
from hub.store.firmware_ports import RING_PLAIN, RINGS, Outcome, Rollout, Told
from hub.store.fleet_ports import FleetRow
from hub.store.trust_ports import DeviceSeen
from protocol.errors import MalformedError
from protocol.health import UpdateFailure
from protocol.release import release_of

SILENT_MS: Final = 150_000
"""A device speaks every 30 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a device says of the release that it was to take and does not run."""

    failed: int | None = None
    failure: UpdateFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RingCount:
    """One ring: what its devices run, and how those fare that a rollout concerns."""

    ring: int
    devices: int
    versions: tuple[tuple[str, int], ...]
    """The most common one first; empty text: never heard."""
    running: int
    """They run the release, or a newer one."""
    under_way: int
    waiting: int
    """They are there, and will be told."""
    away: int
    """They are not there, and will be told when they come."""
    failed: int
    unable: int


def unit_of(device: Device, *, ring: int, seen: DeviceSeen | None, online: bool, said: Said, now_ms: int) -> Unit:
    """One device. `online`: whether it, or the broker for it, has said so last."""
    failure = "" if said.failure is None else UpdateFailure(said.failure).name.lower()
    return Unit(
        device_id=device.device_id,
        ring=ring,
        release=None if seen is None else running_release(seen.firmware),
        online=online and seen is not None and now_ms - seen.seen_ms < SILENT_MS,
        heard_ms=None if seen is None else seen.seen_ms,
        failed=said.failed,
        failure=failure,
    )


def units(
    devices: Iterable[Device],
    *,
    place_id: str,
    rings: Mapping[bytes, int],
    seen: Mapping[bytes, DeviceSeen],
    online: Mapping[bytes, bool],
    said: Mapping[bytes, Said],
    now_ms: int,
) -> tuple[Unit, ...]:
    """Those that count: at the place, neither revoked nor in quarantine."""
    return tuple(
        unit_of(
            device,
            ring=rings.get(device.device_id, RING_PLAIN),
            seen=seen.get(device.device_id),
            online=online.get(device.device_id, False),
            said=said.get(device.device_id, Said()),
            now_ms=now_ms,
        )
        for device in devices
        if device.state is DeviceState.ACTIVE and place_id in {"", device.place_id}
    )


def counts_of(
    rows: Iterable[FleetRow], *, rollout: Rollout | None, told: Iterable[Told], now_ms: int
) -> tuple[RingCount, ...]:
    """The whole fleet as the database has it, which is up to a minute behind the running hub."""
    rows = tuple(rows)
    seen = {row.device.device_id: row.seen for row in rows if row.seen is not None}
    members = units(
        [row.device for row in rows],
        place_id="" if rollout is None else rollout.place_id,
        rings={row.device.device_id: row.ring for row in rows},
        seen=seen,
        online={device: each.online for device, each in seen.items()},
        said={
            row.device.device_id: Said(failed=row.health.update_failed, failure=row.health.update_failure)
            for row in rows
            if row.health is not None
        },
        now_ms=now_ms,
    )
    versions = {device: each.firmware for device, each in seen.items()}
    return ring_counts(members, versions, rollout=rollout, told=told)


def running_release(firmware: str) -> int | None:
    """A version as a device says it -> its release; None for what is none, such as a developer's."""
    try:
        return release_of(firmware)
    except MalformedError:
        return None


def ring_counts(
    members: Iterable[Unit], versions: Mapping[bytes, str], *, rollout: Rollout | None, told: Iterable[Told]
) -> tuple[RingCount, ...]:
    """Every ring that has somebody in it.

    Args:
        members: the units.
        versions: what each says that it runs.
        rollout: the one that is looked at; None: only devices and versions are counted.
        told: who was told in it.
    """
    known = {each.device_id: each for each in told}
    by_ring = [list[Unit]() for _ in range(RINGS)]
    for unit in members:
        by_ring[unit.ring].append(unit)
    return tuple(_count(ring, own, versions, rollout, known) for ring, own in enumerate(by_ring) if own)


def _count(
    ring: int, own: list[Unit], versions: Mapping[bytes, str], rollout: Rollout | None, known: Mapping[bytes, Told]
) -> RingCount:
    ran = Counter(versions.get(unit.device_id, "") for unit in own)
    stands = Counter(_stands(unit, known.get(unit.device_id), rollout) for unit in own)
    return RingCount(
        ring=ring,
        devices=len(own),
        versions=tuple(sorted(ran.items(), key=lambda each: (-each[1], each[0]))),
        running=stands["running"],
        under_way=stands["under_way"],
        waiting=stands["waiting"],
        away=stands["away"],
        failed=stands[Outcome.FAILED],
        unable=stands[Outcome.UNABLE],
    )


def _stands(unit: Unit, told: Told | None, rollout: Rollout | None) -> str:
    if rollout is None:
        return ""
    if told is not None and told.outcome in {Outcome.FAILED, Outcome.UNABLE}:
        return told.outcome
    if unit.release is not None and unit.release >= rollout.release:
        return "running"
    if is_under_way(unit, told):
        return "under_way"
    if unit.release is None:
        # It was never heard, or runs what is no release: nobody tells it.
        return Outcome.UNABLE if unit.heard_ms is not None else "away"
    if is_due(unit, told, rollout.release):
        return "waiting" if unit.online else "away"
    return "under_way"
