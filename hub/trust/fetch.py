"""Whole status lists: fetched when they are due, verified, put on the shelf.

A list is due 1 s after a delta, so that a burst costs one fetch, and at most every 2 s; behind, it is asked for
until it comes. No more than four are on their way at a time, and none waits for another that is slow.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hub.broker.backoff import pause_s
from hub.health import Health
from hub.store.trust_ports import Believed, BelievedKind
from hub.trust.bundle import Bundle
from hub.trust.keeping import Keeping
from hub.trust.lists import HeldList, Lists
from hub.trust.ports import Board, Clock, PlatformError, Source
from hub.trust.refusals import Refusals
from protocol import cbor, topics
from protocol.errors import ProtocolError
from protocol.statuslist import open_list

_LOG: Final = logging.getLogger(__name__)
_FLIGHTS: Final = 4
_SETTLE_S: Final = 1.0
_EVERY_S: Final = 2.0
_PAUSE_CAP_S: Final = 30.0
_LOOK_S: Final = 5.0


@dataclass(slots=True)
class _Job:
    """When to fetch one list. `at_s` is None when there is no reason to."""

    at_s: float | None = None
    begun_s: float = float("-inf")
    moved_s: float | None = None
    """The first delta since the last fetch began."""
    attempts: int = 0


class Fetch:
    """Tell it what is due; `run` it in a task."""

    def __init__(
        self,
        *,
        source: Source,
        board: Board,
        bundle: Bundle,
        lists: Lists,
        keeping: Keeping,
        refusals: Refusals,
        health: Health,
        now_ms: Clock,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._board, self._bundle, self._lists = source, board, bundle, lists
        self._keeping, self._refusals, self._health = keeping, refusals, health
        self._now_ms, self._now_s = now_ms, now_s
        self._jobs: dict[str, _Job] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    async def load(self, row: Believed) -> None:
        """A list as it was kept. One that is not believed any more leaves its version behind, as the lowest."""
        held = self._lists.add(row.name)
        try:
            await self._take(held, row.data)
        except ProtocolError as error:
            self._refusals.refused("kept status list", error)
            held.snapshot_version = row.version

    def due(self, held: HeldList) -> None:
        """A newer one may be there."""
        job = self._job(held)
        job.at_s = max(self._now_s(), job.begun_s + _EVERY_S)
        self._wake.set()

    def moved(self, held: HeldList) -> None:
        """A delta was handed on; the snapshot follows it."""
        job, now_s = self._job(held), self._now_s()
        if job.moved_s is None:
            job.moved_s = now_s
        job.at_s = max(min(now_s + _SETTLE_S, job.moved_s + _EVERY_S), job.begun_s + _EVERY_S)
        self._wake.set()

    def drop(self, held: HeldList) -> None:
        """There is no such list any more."""
        self._jobs.pop(held.list_id, None)
        self._board.drop(topics.status_version(held.list_id))
        self._board.drop(topics.status_snapshot(held.list_id))

    async def run(self) -> None:
        """Fetch what is due, wait, again; ends only by cancellation."""
        try:
            while True:
                self._health.beat("fetch")
                self._wake.clear()
                self.step()
                await self._pause()
        finally:
            for flight in self._flights.values():
                flight.cancel()
            await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def step(self) -> None:
        """Start what is due, longest due first; do not wait for it."""
        self._land()
        now_s = self._now_s()
        due = sorted(
            (job.at_s, name)
            for name, job in self._jobs.items()
            if job.at_s is not None and job.at_s <= now_s and name not in self._flights
        )
        for _, name in due[: _FLIGHTS - len(self._flights)]:
            held = self._lists.find(name)
            if held is None:
                del self._jobs[name]
                continue
            self._flights[name] = asyncio.create_task(self._fly(held, self._jobs[name]))

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._flights:
            await asyncio.wait(self._flights.values())
            self._land()

    async def _pause(self) -> None:
        """Until a list is due or has come, or somebody says that one is due."""
        now_s = self._now_s()
        waits = [
            job.at_s - now_s for name, job in self._jobs.items() if job.at_s is not None and name not in self._flights
        ]
        full = len(self._flights) >= _FLIGHTS
        wait_s = _LOOK_S if full else max(0.0, min([_LOOK_S, *waits]))
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({woken, *self._flights.values()}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    def _land(self) -> None:
        for name, flight in list(self._flights.items()):
            if flight.done():
                del self._flights[name]
                flight.result()

    async def _fly(self, held: HeldList, job: _Job) -> None:
        """One attempt, and when to make the next one."""
        job.begun_s, job.at_s, job.moved_s = self._now_s(), None, None
        try:
            data = await self._source.snapshot(held.list_id, version=held.snapshot_version if held.data else 0)
            if data is not None:
                await self._take(held, data)
                job.attempts = 0
        except PlatformError as error:
            _LOG.warning("list_not_fetched", extra={"list": held.list_id, "what": str(error)})
            self._again(job)
        except ProtocolError as error:
            self._refusals.refused("status list", error)
            self._again(job)
        else:
            if held.behind:
                self._again(job)
            else:
                job.attempts = 0

    def _again(self, job: _Job) -> None:
        # Jitter needs no secrecy.
        pause = pause_s(job.attempts, cap_s=_PAUSE_CAP_S, draw=random.random())  # noqa: S311
        job.attempts += 1
        job.at_s = self._now_s() + max(_EVERY_S, pause)

    async def _take(self, held: HeldList, data: bytes) -> None:
        """Signed bytes -> handed on and kept, if they hold."""
        trust = self._bundle.current
        token = await asyncio.to_thread(open_list, data, trust=trust, at_s=self._now_ms() // 1000)
        if self._lists.find(held.list_id) is not held:  # The platform took it back meanwhile.
            return
        self._lists.take_snapshot(held, data, token, trust=trust)
        self._board.set(topics.status_snapshot(held.list_id), data)
        self._board.set(topics.status_version(held.list_id), cbor.encode(held.version))
        self._keeping.keep(BelievedKind.LIST, held.uri, version=token.version, issued_s=token.issued_s, data=data)
        self._keeping.fresh(held.uri, version=held.version, issued_s=held.issued_s)

    def _job(self, held: HeldList) -> _Job:
        return self._jobs.setdefault(held.list_id, _Job())
