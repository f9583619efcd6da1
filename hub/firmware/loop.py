"""Brings a rollout forward: reads how the fleet fares, does what `rollout.next_step` says, and tells devices.

All of its state is in the database, so a hub that ends goes on where it was. A device is written down as told before
its command is queued: one that was written down and not queued is told again, and taking a release twice does no harm.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from hub.firmware.bundles import MirrorError
from hub.firmware.mirror import Contents, Mirror
from hub.firmware.rollout import Step, next_step
from hub.firmware.units import Said, units
from hub.health import Health, Metrics
from hub.model import AuditEntry, Device
from hub.registry.checks import RegistryError
from hub.store.errors import RegistryConflictError, StoreError
from hub.store.firmware_ports import FirmwareStore, Outcome, Rollout, RolloutState, Told
from hub.store.trust_ports import DeviceSeen
from protocol.command import COMMAND_ID_BYTES
from protocol.health import Health as DeviceHealth

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 5.0
WHO: Final = "rollout"
COMMAND_LIFE_S: Final = 300
"""Only devices that are there are told, and after a halt nobody begins for long."""
_ENDING_MS: Final = 3 * 86_400_000

Order = Callable[[bytes, bytes, int], Awaitable[None]]
"""(device, command id, release) -> the command is queued. Raises RegistryError, RegistryConflictError or StoreError."""


class LoopStore(FirmwareStore, Protocol):
    """The part of the store that is used here."""

    async def devices(self) -> tuple[Device, ...]:
        """All devices."""


class Fleet(Protocol):
    """The part of `hub.trust.fleet.Fleet` that is used here."""

    @property
    def seen(self) -> Mapping[bytes, DeviceSeen]:
        """When each was last heard."""

    @property
    def healths(self) -> Mapping[bytes, DeviceHealth]:
        """The last health of each since this process began."""

    def online(self, device: bytes) -> bool:
        """Whether it said so, and the broker has not said otherwise since."""


class Rollouts:
    """`run` it in a task."""

    def __init__(
        self,
        *,
        store: LoopStore,
        mirror: Mirror,
        fleet: Fleet,
        order: Order,
        broker_ready: Callable[[], bool],
        health: Health,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._store, self._mirror, self._fleet, self._order = store, mirror, fleet, order
        self._broker_ready, self._health, self._metrics, self._now_ms = broker_ready, health, metrics, now_ms
        self._listening_ms: int | None = None

    async def run(self) -> None:
        """Look, do, wait, again; ends only by cancellation or an error of ours."""
        while True:
            self._health.beat("firmware")
            try:
                await self.step()
            except StoreError as error:  # The next look will do.
                _LOG.error("rollout_failed", extra={"what": str(error)})
            await asyncio.sleep(_LOOK_S)

    async def step(self) -> None:
        """One look. Raises StoreError; nothing is half done then that the next look does not mend."""
        now_ms = self._now_ms()
        if not self._broker_ready():
            self._listening_ms = None
        elif self._listening_ms is None:
            self._listening_ms = now_ms
        contents = self._contents(now_ms)
        rollout = await self._store.newest_rollout()
        if rollout is None or rollout.state is RolloutState.CANCELLED:
            return
        members = units(
            await self._store.devices(),
            place_id=rollout.place_id,
            rings=await self._store.rings(),
            seen=self._fleet.seen,
            online={device: self._fleet.online(device) for device in self._fleet.seen},
            said={
                device: Said(failed=said.update_failed, failure=said.update_failure)
                for device, said in self._fleet.healths.items()
            },
            now_ms=now_ms,
        )
        step = next_step(
            rollout,
            members,
            await self._store.told_devices(rollout.rollout_id),
            listening_ms=self._listening_ms,
            fetchable=contents is not None and bool(contents.of(rollout.release)) and contents.expires_ms > now_ms,
            now_ms=now_ms,
        )
        await self._do(rollout, step, now_ms=now_ms)

    async def _do(self, before: Rollout, step: Step, *, now_ms: int) -> None:
        new = tuple(
            Told(
                device_id=each.device_id,
                command_id=secrets.token_bytes(COMMAND_ID_BYTES),
                tries=each.tries,
                was_failing=each.was_failing,
                told_ms=now_ms,
                outcome_ms=now_ms,
            )
            for each in step.tell
        )
        if step.rollout == before and not step.marks and not new:
            return
        audit = [AuditEntry(at_ms=now_ms, who=WHO, action=action, detail=what) for action, what in step.happened]
        told = (*step.marks, *new)
        if not await self._store.move_rollout(step.rollout, expected=before.state, told=told, audit=audit):
            return  # An operator was faster: the next look sees what is so now.
        for mark in step.marks:
            self._metrics.updates.labels(mark.outcome).inc()
        for action, what in step.happened:
            _LOG.info("rollout", extra={"action": action, "what": what})
        for each in new:
            try:
                await self._order(each.device_id, each.command_id, before.release)
                self._metrics.updates.labels(Outcome.TOLD).inc()
            except (RegistryError, RegistryConflictError) as error:  # It is told again at the next look.
                _LOG.warning("rollout_untold", extra={"device": each.device_id.hex(), "what": str(error)})

    def _contents(self, now_ms: int) -> Contents | None:
        """What the mirror has; what is wrong with it is a warning of the hub's."""
        try:
            contents = self._mirror.contents()
        except MirrorError as error:
            self._health.warn("firmware", str(error))
            return None
        ends = contents is not None and contents.expires_ms - now_ms < _ENDING_MS
        what = "the mirror's metadata end within three days, or have: import them anew" if ends else None
        self._health.warn("firmware", what)
        return contents
