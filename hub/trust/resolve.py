"""A gate's look-up -> platform -> the gate, within its patience. The hub cannot read the question and keeps nothing.

Bounds: 64 look-ups on their way and 5 a second of one device; the others get no answer, and their gates say so.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from hub.health import Health, Metrics
from hub.trust.bundle import Bundle
from hub.trust.ports import Board, Clock, PlatformError, PlatformTimeoutError, Source
from hub.trust.refusals import Refusals
from protocol import topics
from protocol.errors import ProtocolError
from protocol.resolve import open_resolved, query_id

_LOG: Final = logging.getLogger(__name__)
_OPEN_MAX: Final = 64
_RATE: Final = 5.0  # A person every 200 ms is more than a lane can take.
_LOOK_S: Final = 5.0


class Resolve:
    """Tell it of queries; `run` it in a task."""

    def __init__(
        self,
        *,
        source: Source,
        board: Board,
        bundle: Bundle,
        refusals: Refusals,
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._board, self._bundle, self._refusals = source, board, bundle, refusals
        self._health, self._metrics, self._now_ms, self._now_s = health, metrics, now_ms, now_s
        self._flights: set[asyncio.Task[None]] = set()
        self._allowed: dict[bytes, tuple[float, float]] = {}
        """By device: how many it may ask at once, and when that was so. Only registered ones come here."""

    def query(self, device: bytes, payload: bytes) -> None:
        """Something came under this device's `resolve`."""
        try:
            wanted = query_id(payload)
        except ProtocolError:
            self._metrics.resolves.labels("malformed").inc()
            return
        if not self._may_ask(device):
            self._metrics.resolves.labels("limited").inc()
            return
        if len(self._flights) >= _OPEN_MAX:
            self._metrics.resolves.labels("busy").inc()
            return
        flight = asyncio.get_running_loop().create_task(self._ask(device, wanted, payload))
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def run(self) -> None:
        """Ends what is on its way when the hub ends; a look-up of the next process is another one."""
        try:
            while True:
                self._health.beat("resolve")
                await asyncio.sleep(_LOOK_S)
        finally:
            for flight in tuple(self._flights):
                flight.cancel()
            await asyncio.gather(*self._flights, return_exceptions=True)

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._flights:
            await asyncio.wait(self._flights)

    async def _ask(self, device: bytes, wanted: bytes, payload: bytes) -> None:
        result = "answered"
        try:
            answer = await self._source.resolve(payload)
            open_resolved(answer, trust=self._bundle.current, at_s=self._now_ms() // 1000, device=device, id=wanted)
            self._board.live(topics.resolved(device), answer)
        except PlatformTimeoutError:
            result = "timeout"
        except PlatformError as error:
            result = "failed"
            _LOG.warning("resolve_failed", extra={"what": str(error)})
        except ProtocolError as error:
            result = "refused"
            self._refusals.refused("resolved", error)
        self._metrics.resolves.labels(result).inc()

    def _may_ask(self, device: bytes) -> bool:
        now_s = self._now_s()
        allowed, at_s = self._allowed.get(device, (_RATE, now_s))
        allowed = min(_RATE, allowed + (now_s - at_s) * _RATE)
        may = allowed >= 1
        self._allowed[device] = (allowed - 1 if may else allowed, now_s)
        return may
