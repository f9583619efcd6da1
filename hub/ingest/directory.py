"""Who the devices are: the registry in memory, seen again soon after it was changed.

A device has several keys over time. All of them stay: what one has signed stays signed. Once a check-in by a newer one
is stored, the older ones are written down as ended, and sign nothing new.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hub.model import AuditEntry, Device, DeviceState
from hub.store.enrol_ports import StoredKey
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey, decode_key

_LOG: Final = logging.getLogger(__name__)


class DeviceSource(Protocol):
    """The part of a store that is used here."""

    async def registry_version(self) -> int:
        """Differs when somebody has written since."""

    async def devices(self) -> tuple[Device, ...]:
        """All devices in every state."""

    async def device_keys(self, device_id: bytes | None = None) -> tuple[StoredKey, ...]:
        """The keys of one device, or of all, the oldest of a device first."""

    async def end_older_keys(self, device_id: bytes, *, kid: bytes, audit: AuditEntry) -> None:
        """The key was used: those that the device had before it sign nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """A registered device with its keys opened."""

    device: Device
    keys: Mapping[bytes, VerifyKey]
    """By kid, the oldest first."""
    ended: frozenset[bytes]
    """Those of them that sign nothing new."""


class Directory:
    """Devices by id. Call `refresh` at least once, then every time when a change should be seen."""

    def __init__(self, source: DeviceSource) -> None:
        self._source = source
        self._version: int | None = None
        self._devices: dict[bytes, KnownDevice] = {}
        self._used: dict[bytes, bytes] = {}

    def find(self, device_id: bytes) -> KnownDevice | None:
        """The device, in whatever state; None if it is not registered."""
        return self._devices.get(device_id)

    def key_of(self, device_id: bytes, kid: bytes) -> VerifyKey | None:
        """The device's key with this id, whatever the state of both: what was signed before stays signed."""
        known = self._devices.get(device_id)
        return None if known is None else known.keys.get(kid)

    def quarantine(self, device_id: bytes, reason: str) -> None:
        """What the hub itself decided, before it is committed with the batch."""
        known = self._devices[device_id]
        device = replace(known.device, state=DeviceState.QUARANTINED, reason=reason)
        self._devices[device_id] = replace(known, device=device)

    def note_use(self, device_id: bytes, kid: bytes) -> None:
        """A check-in by this key is about to be stored. Older ones end with the next `refresh`, after the commit."""
        known = self._devices[device_id]
        for older in known.keys:
            if older == kid:
                return
            if older not in known.ended:
                self._used[device_id] = kid
                return

    async def look_again(self, device_id: bytes) -> KnownDevice:
        """The device with the keys that it was given since the last `refresh`: it may use one within milliseconds.

        Nothing else is seen anew, as a batch is on its way. Raises what the store raises.
        """
        known = self._devices[device_id]
        keys = _opened(await self._source.device_keys(device_id)).get(device_id, {})
        known = self._devices[device_id] = replace(known, keys=keys)
        return known

    async def refresh(self) -> None:
        """Load all devices again if the registry may have changed. Raises what the store raises."""
        while self._used:
            device_id, kid = next(iter(self._used.items()))
            audit = AuditEntry(
                at_ms=time.time_ns() // 1_000_000,
                who="hub",
                action="device.key",
                detail=f"{device_id.hex()} signs by {kid.hex()}; its older keys have ended",
            )
            await self._source.end_older_keys(device_id, kid=kid, audit=audit)
            del self._used[device_id]
        version = await self._source.registry_version()
        if version == self._version:
            return
        devices = {device.device_id: device for device in await self._source.devices()}
        stored = await self._source.device_keys()
        ended = {key.kid for key in stored if key.until_ms is not None}
        self._devices = {
            device_id: KnownDevice(
                device=devices[device_id], keys=opened, ended=frozenset(kid for kid in opened if kid in ended)
            )
            for device_id, opened in _opened(stored).items()
            if device_id in devices
        }
        self._version = version


def _opened(stored: Iterable[StoredKey]) -> dict[bytes, dict[bytes, VerifyKey]]:
    """Device id -> its keys by kid. One damaged row must not stop the other gates."""
    keys: dict[bytes, dict[bytes, VerifyKey]] = {}
    for key in stored:
        try:
            keys.setdefault(key.device_id, {})[key.kid] = decode_key(key.cose_key)
        except ProtocolError as error:
            _LOG.error("device_key_unusable", extra={"device": key.device_id.hex(), "what": str(error)})
    return {device_id: opened for device_id, opened in keys.items() if opened}
