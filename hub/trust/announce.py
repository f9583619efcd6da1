"""Tells the platform which key each device signs with, before it gets the first check-in of that key."""

import asyncio
import logging
import random
from typing import Final, Protocol

from hub.broker.backoff import pause_s
from hub.health import Health, Metrics
from hub.store.enrol_ports import StoredKey
from hub.store.errors import StoreError
from hub.trust.ports import Clock, PlatformError, PlatformRefusedError, Source
from hub.trust.roster import Roster
from hub.trust.waiting import until_woken
from protocol.devicekey import DeviceKey, seal_device_key
from protocol.errors import ProtocolError
from protocol.keys import SigningKey, decode_key

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 5.0
_PAUSE_CAP_S: Final = 30.0
_AT_ONCE: Final = 200
_REFUSED_MS: Final = 600_000
"""A key that the platform has not wanted for so long does not hold up the others' check-ins any longer: those of its
device go too, and their refusal goes to quarantine, where somebody sees it."""


class KeyStore(Protocol):
    """The part of `hub.store.enrol_ports.EnrolStore` that is used here."""

    async def device_keys(self) -> tuple[StoredKey, ...]:
        """All keys of all devices."""

    async def keys_to_announce(self, *, limit: int) -> tuple[StoredKey, ...]:
        """Keys that the platform has not been told of, oldest first."""

    async def mark_key_announced(self, kid: bytes, *, at_ms: int) -> None:
        """The platform knows this key."""


class Announce:
    """`load` it once, then `run` it in a task; `wake` it when there may be a new key."""

    def __init__(
        self,
        *,
        store: KeyStore,
        source: Source,
        roster: Roster,
        key: SigningKey,
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
    ) -> None:
        self._store, self._source, self._roster, self._key = store, source, roster, key
        self._health, self._metrics, self._now_ms = health, metrics, now_ms
        self._announced: set[bytes] = set()
        self._refused_ms: dict[bytes, int] = {}
        """Since when the platform has answered no, without a pause."""
        self._failed: set[bytes] = set()
        """Those at which a round has ended: they come last, so that what the platform chokes on stops nobody else."""
        self._wake = asyncio.Event()

    def announced(self, kid: bytes) -> bool:
        """Whether check-ins by this key may go: the platform has said that it knows it, or for long that it does not.

        A platform that is away says nothing: what is sent before it was told of the key, it would reject for good.
        """
        if kid in self._announced:
            return True
        refused_ms = self._refused_ms.get(kid)
        return refused_ms is not None and self._now_ms() - refused_ms >= _REFUSED_MS

    def wake(self) -> None:
        """There may be a new key."""
        self._wake.set()

    async def load(self) -> None:
        """What the platform was told before this process began. Raises StoreError."""
        self._announced = {stored.kid for stored in await self._store.device_keys() if stored.announced_ms is not None}

    async def run(self) -> None:
        """Tell, wait, again; ends only by cancellation or an error of ours."""
        attempt = 0
        while True:
            self._health.beat("announce")
            self._wake.clear()
            try:
                untold = await self.step()
            except StoreError as error:
                _LOG.error("keys_not_read", extra={"what": str(error)})
                untold = 1
            if not untold:
                attempt = 0
                await until_woken(self._wake, _LOOK_S)
                continue
            attempt += 1
            # Jitter needs no secrecy. The pause is cut to pieces, so that the loop shows that it lives.
            left_s = pause_s(attempt, cap_s=_PAUSE_CAP_S, draw=random.random())  # noqa: S311
            while left_s > 0:
                self._health.beat("announce")
                await asyncio.sleep(min(left_s, _LOOK_S))
                left_s -= _LOOK_S

    async def step(self) -> int:
        """Tell of each key; returns how many the platform has not taken. Raises StoreError."""
        untold = told = 0
        waiting = sorted(
            await self._store.keys_to_announce(limit=_AT_ONCE), key=lambda stored: stored.kid in self._failed
        )
        self._failed &= {stored.kid for stored in waiting}
        for at, stored in enumerate(waiting):
            sealed = self._sealed(stored)
            if sealed is None:
                continue
            self._health.beat("announce")
            try:
                await self._source.put_device_key(stored.kid, sealed)
            except PlatformError as error:
                _LOG.warning("key_not_announced", extra={"kid": stored.kid.hex(), "what": str(error)})
                if not isinstance(error, PlatformRefusedError):
                    # Most likely it is away. Whether it refuses the others is not known any more either.
                    self._failed.add(stored.kid)
                    for other in waiting[at:]:
                        self._refused_ms.pop(other.kid, None)
                    untold += len(waiting) - at
                    break
                self._refused_ms.setdefault(stored.kid, self._now_ms())
                untold += 1
                continue
            await self._store.mark_key_announced(stored.kid, at_ms=self._now_ms())
            self._announced.add(stored.kid)
            self._refused_ms.pop(stored.kid, None)
            told += 1
            _LOG.info("key_announced", extra={"device": stored.device_id.hex(), "kid": stored.kid.hex()})
        self._metrics.keys_unannounced.set(untold)
        if told == _AT_ONCE:  # There may be more.
            self._wake.set()
        return untold

    def _sealed(self, stored: StoredKey) -> bytes | None:
        device = self._roster.find(stored.device_id)
        if device is None:  # The roster is a moment older than the key.
            return None
        try:
            says = DeviceKey(
                device=stored.device_id,
                key=decode_key(stored.cose_key),
                place=device.place_id,
                gate=device.gate_id,
                from_ms=stored.from_ms,
            )
            return seal_device_key(says, key=self._key)
        except ProtocolError as error:  # One damaged row must not stop the others.
            _LOG.error("device_key_unusable", extra={"kid": stored.kid.hex(), "what": str(error)})
            return None
