"""Store and what scanners last said -> facts for `troubles`. Remembers since when what is wrong is so."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hub.deliver.troubles import DeviceFacts, SiteFacts
from hub.model import Device, DeviceState, Head, StoreStatus
from hub.store.firmware_ports import Rollout, RolloutState
from hub.store.trust_ports import DeviceSeen
from protocol.health import Health, State


class FactStore(Protocol):
    """The part of the store that is used here."""

    async def devices(self) -> tuple[Device, ...]:
        """All devices."""

    async def devices_seen(self) -> tuple[DeviceSeen, ...]:
        """When each was last heard."""

    async def heads(self) -> tuple[Head, ...]:
        """How far each spool is stored."""

    async def status(self) -> StoreStatus:
        """The outbox's age."""

    async def newest_rollout(self) -> Rollout | None:
        """The one staged last."""

    async def certificates_until(self) -> dict[bytes, int]:
        """By device: when its last certificate ends, ms."""


@dataclass(frozen=True, slots=True)
class _Lasting:
    """What a scanner said last, and since when it is so; None: it is not so."""

    at_ms: int
    frames: int
    still_ms: int | None
    spool_ms: int | None
    clock_ms: int | None


class Facts:
    """Ask it every few seconds: it learns what has lasted by being asked.

    Args:
        store: what is kept.
        seen: when each device was last heard, newer than the store has it.
        healths: the last health of each device since the hub began.
        broker_ready: whether the broker is connected.
        now_ms: the hub's clock.
    """

    def __init__(
        self,
        *,
        store: FactStore,
        seen: Callable[[], Mapping[bytes, DeviceSeen]],
        healths: Callable[[], Mapping[bytes, Health]],
        broker_ready: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._store, self._seen, self._healths = store, seen, healths
        self._broker_ready, self._now_ms = broker_ready, now_ms
        self._said: dict[bytes, _Lasting] = {}
        self._started_ms = now_ms()
        self._broker_lost_ms: int | None = None

    async def look(self) -> tuple[tuple[DeviceFacts, ...], SiteFacts]:
        """What is known now. Raises StoreError."""
        now_ms = self._now_ms()
        if self._broker_ready():
            if self._broker_lost_ms is not None:
                # Scanners are heard anew from here on.
                self._started_ms, self._broker_lost_ms = now_ms, None
        elif self._broker_lost_ms is None:
            self._broker_lost_ms = now_ms
        stored_ms: dict[bytes, int] = {}
        for head in await self._store.heads():
            stored_ms[head.device_id] = max(head.updated_ms, stored_ms.get(head.device_id, 0))
        until_ms = await self._store.certificates_until()
        seen = {one.device_id: one for one in await self._store.devices_seen()} | dict(self._seen())
        devices = tuple(
            self._device(
                device,
                seen=seen.get(device.device_id),
                stored_ms=stored_ms.get(device.device_id, 0),
                until_ms=until_ms.get(device.device_id),
                now_ms=now_ms,
            )
            for device in await self._store.devices()
            if device.state is not DeviceState.REVOKED
        )
        status = await self._store.status()
        rollout = await self._store.newest_rollout()
        return devices, SiteFacts(
            started_ms=self._started_ms,
            broker_lost_ms=self._broker_lost_ms,
            outbox_oldest_ms=status.outbox_oldest_ms if status.outbox_rows else None,
            rollout_halted_ms=rollout.moved_ms if rollout and rollout.state is RolloutState.HALTED else None,
        )

    def _device(
        self, device: Device, *, seen: DeviceSeen | None, stored_ms: int, until_ms: int | None, now_ms: int
    ) -> DeviceFacts:
        health = self._healths().get(device.device_id)
        said = None if health is None else self._lasting(device.device_id, health, now_ms=now_ms)
        # Nothing came since it has something to send: neither before nor after counts alone.
        stuck = None if said is None or said.spool_ms is None else max(said.spool_ms, stored_ms)
        return DeviceFacts(
            device_id=device.device_id,
            name=device.name,
            place_id=device.place_id,
            gate_id=device.gate_id,
            heard_ms=None if seen is None else seen.seen_ms,
            online=None if seen is None else seen.online,
            camera_still_ms=None if said is None else said.still_ms,
            spool_stuck_ms=stuck,
            clock_wrong_ms=None if said is None else said.clock_ms,
            storage_failed=health is not None and health.state is State.STORAGE_FAILED,
            update_failed=health is not None and health.update_failed is not None,
            certificate_until_ms=until_ms,
        )

    def _lasting(self, device_id: bytes, health: Health, *, now_ms: int) -> _Lasting:
        last = self._said.get(device_id)
        if last is not None and last.at_ms == health.at_ms:
            return last  # It has said nothing new.
        still = last is not None and health.frames == last.frames
        said = _Lasting(
            at_ms=health.at_ms,
            frames=health.frames,
            still_ms=(last.still_ms or now_ms) if last is not None and still else None,
            spool_ms=((last.spool_ms if last else None) or now_ms) if health.spool else None,
            clock_ms=None if health.clock_trusted else ((last.clock_ms if last else None) or now_ms),
        )
        self._said[device_id] = said
        return said
