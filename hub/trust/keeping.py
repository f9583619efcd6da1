"""Beliefs -> database, behind what is already published: a hub that starts without the platform has them.

A list that changes all the time is written every 10 s only; each is a quarter of a megabyte, and check-ins share
the disk. What a crash loses of it, the platform still has.
"""

import asyncio
import logging
from typing import Final, Protocol

from hub.health import Health
from hub.store.errors import StoreError
from hub.store.trust_ports import Believed, BelievedKind, Freshness
from hub.trust.ports import Clock

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 1.0
_LIST_MS: Final = 10_000


class BelievedStore(Protocol):
    """The part of `hub.store.trust_ports.TrustStore` that is used here."""

    async def believed(self) -> tuple[Believed, ...]:
        """Everything that is believed."""

    async def keep_believed(self, believed: Believed) -> None:
        """Put it in the place of its older version."""

    async def forget_list(self, name: str) -> None:
        """The platform no longer has this list."""

    async def note_fresh(self, fresh: tuple[Freshness, ...]) -> None:
        """Put these in the place of older ones."""


class Keeping:
    """Tell it what changed; `run` it in a task. It holds one entry for each list, the newest."""

    def __init__(self, *, store: BelievedStore, health: Health, now_ms: Clock) -> None:
        self._store, self._health, self._now_ms = store, health, now_ms
        self._waiting: dict[tuple[BelievedKind, str], Believed] = {}
        self._kept_ms: dict[str, int] = {}
        self._fresh: dict[str, Freshness] = {}
        self._fresh_ms = 0
        self._gone: set[str] = set()

    async def load(self) -> tuple[Believed, ...]:
        """What was kept before this process began."""
        return await self._store.believed()

    def keep(self, kind: BelievedKind, name: str, *, version: int, issued_s: int, data: bytes) -> None:
        """This is believed now."""
        self._gone.discard(name)
        self._waiting[kind, name] = Believed(
            kind=kind, name=name, version=version, issued_s=issued_s, kept_ms=self._now_ms(), data=data
        )

    def fresh(self, name: str, *, version: int, issued_s: int) -> None:
        """The issuer says that this version is current."""
        self._fresh[name] = Freshness(name=name, version=version, issued_s=issued_s)

    def forget(self, name: str) -> None:
        """There is no such list any more."""
        self._waiting.pop((BelievedKind.LIST, name), None)
        self._fresh.pop(name, None)
        self._kept_ms.pop(name, None)
        self._gone.add(name)

    async def run(self) -> None:
        """Write, wait, again; ends only by cancellation."""
        while True:
            self._health.beat("keeping")
            try:
                await self.step()
            except StoreError as error:  # Everything still waits here.
                _LOG.error("belief_not_kept", extra={"what": str(error)})
            await asyncio.sleep(_LOOK_S)

    async def step(self) -> None:
        """Write what is due. Raises StoreError; what was not written waits on."""
        now_ms = self._now_ms()
        for name in sorted(self._gone):
            await self._store.forget_list(name)
            self._gone.discard(name)
        for key, believed in list(self._waiting.items()):
            # A clock that was set back must not stop it.
            if key[0] is BelievedKind.LIST and 0 <= now_ms - self._kept_ms.get(key[1], 0) < _LIST_MS:
                continue
            await self._store.keep_believed(believed)
            if self._waiting.get(key) is believed:
                del self._waiting[key]
            self._kept_ms[key[1]] = now_ms
        if self._fresh and not 0 <= now_ms - self._fresh_ms < _LIST_MS:
            fresh, self._fresh = self._fresh, {}
            try:
                await self._store.note_fresh(tuple(fresh.values()))
            except StoreError:
                self._fresh = fresh | self._fresh
                raise
            self._fresh_ms = now_ms
