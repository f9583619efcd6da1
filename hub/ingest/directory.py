"""Who the devices are: the registry in memory, seen again soon after another process changed it."""

import logging
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hub.model import Device, DeviceState
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey, decode_key

_LOG: Final = logging.getLogger(__name__)


class DeviceSource(Protocol):
    """The part of `hub.store.ports.RegistryStore` that is used here."""

    async def registry_version(self) -> int:
        """Differs when another process has written since."""

    async def devices(self) -> tuple[Device, ...]:
        """All devices in every state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """A registered device with its key opened."""

    device: Device
    key: VerifyKey


class Directory:
    """Devices by id. Call `refresh` at least once, then every time when a change should be seen."""

    def __init__(self, source: DeviceSource) -> None:
        self._source = source
        self._version: int | None = None
        self._devices: dict[bytes, KnownDevice] = {}

    def find(self, device_id: bytes) -> KnownDevice | None:
        """The device, in whatever state; None if it is not registered."""
        return self._devices.get(device_id)

    def key_of(self, device_id: bytes) -> VerifyKey | None:
        """The device's key, whatever its state: what it signed before it was revoked stays signed."""
        known = self._devices.get(device_id)
        return None if known is None else known.key

    def quarantine(self, device_id: bytes, reason: str) -> None:
        """What the hub itself decided, before it is committed with the batch."""
        known = self._devices[device_id]
        device = replace(known.device, state=DeviceState.QUARANTINED, reason=reason)
        self._devices[device_id] = replace(known, device=device)

    async def refresh(self) -> None:
        """Load all devices again if the registry may have changed. Raises what the store raises."""
        version = await self._source.registry_version()
        if version == self._version:
            return
        loaded: dict[bytes, KnownDevice] = {}
        for device in await self._source.devices():
            try:
                loaded[device.device_id] = KnownDevice(device=device, key=decode_key(device.cose_key))
            except ProtocolError as error:  # One damaged row must not stop the other gates.
                _LOG.error("device_key_unusable", extra={"device": device.device_id.hex(), "what": str(error)})
        self._devices = loaded
        self._version = version
