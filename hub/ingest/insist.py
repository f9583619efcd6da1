"""Ask the store until it answers. Nothing is lost meanwhile: the devices hold all of it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hub.broker.backoff import pause_s
from hub.health import Health, Metrics
from hub.store.errors import StoreWriteError

_LOG: Final = logging.getLogger(__name__)
_PAUSE_CAP_S: Final = 5.0

Answer = TypeVar("Answer")


class Insist:
    """Repeats a call that fails with StoreWriteError, with back-off, and says so in health and metrics."""

    def __init__(
        self, *, health: Health, metrics: Metrics, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._health, self._metrics, self._sleep = health, metrics, sleep

    async def on(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of the first call that succeeds. Other errors than StoreWriteError pass through."""
        attempt = 0
        while True:
            try:
                answer = await call()
            except StoreWriteError as error:
                self._metrics.store_failures.inc()
                self._health.beat("ingest")
                self._health.trouble("database", str(error))
                _LOG.error("store_failed", extra={"attempt": attempt, "what": str(error)})
                # Jitter needs no secrecy.
                await self._sleep(pause_s(attempt, cap_s=_PAUSE_CAP_S, draw=random.random()))  # noqa: S311
                attempt += 1
            else:
                self._health.trouble("database", None)
                return answer
