"""The registered devices and their keys, as the registry has them, and word to everybody when something changed."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from hub.health import Health
from hub.model import Device, DeviceState
from hub.store.enrol_ports import StoredKey
from hub.store.errors import StoreError
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey, decode_key

_LOG: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.2
"""What an operator changes is to be in force at every gate within a second; this is a fifth of it."""


class RosterStore(Protocol):
    """The parts of the store that are used here."""

    async def change_count(self) -> int:
        """Grows with each change that gates must hear of."""

    async def devices(self) -> tuple[Device, ...]:
        """All devices in every state."""

    async def device_keys(self) -> tuple[StoredKey, ...]:
        """All keys of all devices, the oldest of a device first."""


class Roster:
    """`load` it once, then `run` it in a task. `on_change` are called, in order, after each change."""

    def __init__(self, *, store: RosterStore, health: Health) -> None:
        self._store, self._health = store, health
        self._count = -1
        self._devices: dict[bytes, Device] = {}
        self._keys: dict[bytes, dict[bytes, VerifyKey]] = {}
        self.on_change: list[Callable[[], None]] = []

    @property
    def devices(self) -> tuple[Device, ...]:
        """All devices in every state."""
        return tuple(self._devices.values())

    def find(self, device_id: bytes) -> Device | None:
        """The device, in whatever state."""
        return self._devices.get(device_id)

    def speaks(self, device_id: bytes) -> bool:
        """Whether this device may still say something: it is registered and not revoked."""
        device = self._devices.get(device_id)
        return device is not None and device.state is not DeviceState.REVOKED

    def is_revoked(self, device_id: bytes) -> bool:
        """Whether this device will never say anything again; a stranger is not revoked."""
        device = self._devices.get(device_id)
        return device is not None and device.state is DeviceState.REVOKED

    def keys_of(self, device_id: bytes) -> Mapping[bytes, VerifyKey]:
        """Every key that the device ever had, by kid."""
        return self._keys.get(device_id, {})

    async def run(self) -> None:
        """Look, wait, again; ends only by cancellation."""
        while True:
            self._health.beat("roster")
            try:
                await self.load()
            except StoreError as error:
                _LOG.error("roster_not_read", extra={"what": str(error)})
            await asyncio.sleep(_POLL_S)

    async def load(self) -> None:
        """Read everything again if something has changed. Raises StoreError."""
        count = await self._store.change_count()
        if count == self._count:
            return
        devices = {device.device_id: device for device in await self._store.devices()}
        keys: dict[bytes, dict[bytes, VerifyKey]] = {}
        for stored in await self._store.device_keys():
            try:
                keys.setdefault(stored.device_id, {})[stored.kid] = decode_key(stored.cose_key)
            except ProtocolError as error:  # One damaged row must not stop the other gates.
                _LOG.error("device_key_unusable", extra={"device": stored.device_id.hex(), "what": str(error)})
        self._devices, self._keys, self._count = devices, keys, count
        for call in self.on_change:
            call()
