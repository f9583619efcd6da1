"""When each device was last heard, and what it said then: in memory at once, in the database once a minute."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from hub.health import Health as HubHealth
from hub.store.errors import StoreError
from hub.store.fleet_ports import SLOT_MS, SLOTS_KEPT, DeviceHealth, DeviceSample
from hub.store.trust_ports import DeviceSeen
from hub.trust.fares import Fares
from hub.trust.ports import Clock
from hub.trust.refusals import Refusals
from protocol.health import Health
from protocol.presence import DevicePresence

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 5.0
_KEEP_MS: Final = 60_000


class SeenStore(Protocol):
    """The part of `hub.store.trust_ports.TrustStore` that is used here."""

    async def devices_seen(self) -> tuple[DeviceSeen, ...]:
        """When each device was last heard."""

    async def keep_seen(self, seen: tuple[DeviceSeen, ...]) -> None:
        """Put these in the place of what was known."""

    async def keep_fares(
        self, healths: tuple[DeviceHealth, ...], samples: tuple[DeviceSample, ...], *, forget_before_slot: int
    ) -> None:
        """Put healths in the place of older ones, add samples, and erase older ones."""


class Fleet:
    """Tell it what devices say, registered ones only; `run` it in a task."""

    def __init__(self, *, store: SeenStore, refusals: Refusals, health: HubHealth, now_ms: Clock) -> None:
        self._store, self._refusals, self._health, self._now_ms = store, refusals, health, now_ms
        self._seen: dict[bytes, DeviceSeen] = {}
        self._presences: dict[bytes, DevicePresence] = {}
        self._healths: dict[bytes, Health] = {}
        self._kept: dict[bytes, DeviceSeen] = {}
        self._fares = Fares()

    @property
    def seen(self) -> Mapping[bytes, DeviceSeen]:
        """Every device that was heard since this process began, or is known from before."""
        return self._seen

    @property
    def presences(self) -> Mapping[bytes, DevicePresence]:
        """The last presence of each device since this process began."""
        return self._presences

    @property
    def healths(self) -> Mapping[bytes, Health]:
        """The last health of each device since this process began."""
        return self._healths

    def online(self, device: bytes) -> bool:
        """Whether it said so to this process and the broker has not said otherwise since."""
        presence = self._presences.get(device)
        return presence is not None and presence.online

    def present(self, device: bytes, presence: DevicePresence) -> None:
        """It came, or it is gone. The broker keeps this message, so `seen` may be earlier than it looks."""
        self._presences[device] = presence
        last = self._seen.get(device)
        fresh = DeviceSeen(
            device_id=device,
            seen_ms=self._now_ms(),
            online=presence.online,
            firmware=presence.firmware,
            trust_version=presence.trust_version,
            policy_version=presence.policy_version,
        )
        if last is not None:
            # A last will says nothing about when the device was still there.
            seen_ms = fresh.seen_ms if presence.online else last.seen_ms
            fresh = replace(
                fresh, seen_ms=seen_ms, state=last.state, clock_trusted=last.clock_trusted, spool=last.spool
            )
        self._seen[device] = fresh

    def fares(self, device: bytes, health: Health) -> None:
        """How it is. Before its first presence nothing is noted."""
        self._note_attempts(device, self._healths.get(device), health)
        self._healths[device] = health
        last = self._seen.get(device)
        if last is not None:
            presence = self._presences.get(device)
            lists = len(presence.lists) if presence is not None else 0
            self._fares.heard(device, health, lists=lists, now_ms=self._now_ms())
            self._seen[device] = replace(
                last,
                seen_ms=self._now_ms(),
                state=health.state,
                clock_trusted=health.clock_trusted,
                spool=health.spool,
            )

    def _note_attempts(self, device: bytes, last: Health | None, health: Health) -> None:
        """What somebody tried at a gate belongs into the audit log. Counts begin anew when its process does."""
        for kind, before, now in (
            ("object refused by gate", last.refused if last else 0, health.refused),
            ("provisioning code shown to gate", last.provisioning if last else 0, health.provisioning),
        ):
            if now and now != before:
                self._refusals.refused_for(kind, "device", f"{device.hex()} counts {now} since it started")

    async def load(self) -> None:
        """What was known before this process began. Raises StoreError."""
        self._kept = {seen.device_id: seen for seen in await self._store.devices_seen()}
        self._seen = dict(self._kept) | self._seen

    async def run(self) -> None:
        """Write, wait, again; ends only by cancellation."""
        while True:
            self._health.beat("fleet")
            try:
                await self.step()
            except StoreError as error:
                _LOG.error("fleet_not_kept", extra={"what": str(error)})
            await asyncio.sleep(_LOOK_S)

    async def step(self) -> None:
        """Write those that changed and were not written for a minute. Raises StoreError."""
        due = []
        for device, seen in self._seen.items():
            kept = self._kept.get(device)
            if kept is None or (seen != kept and seen.seen_ms - kept.seen_ms >= _KEEP_MS) or self._left(kept, seen):
                due.append(seen)
        if due:
            await self._store.keep_seen(tuple(due))
            self._kept.update((seen.device_id, seen) for seen in due)
        now_ms = self._now_ms()
        healths, samples = self._fares.due(), self._fares.samples(now_ms=now_ms)
        if healths or samples:
            await self._store.keep_fares(healths, samples, forget_before_slot=now_ms // SLOT_MS - SLOTS_KEPT)
            self._fares.kept(healths)
            self._fares.sampled(samples)

    @staticmethod
    def _left(kept: DeviceSeen, seen: DeviceSeen) -> bool:
        """It is gone: nothing later would make this be written."""
        return kept.online and not seen.online
