"""Keeps the console's process running beside the hub's: what faces people holds no key, and never delays a receipt.

It ends with us, whatever ends us: its standard input is a pipe of ours. One that ends by itself is started again, with
growing pauses, and the hub goes on meanwhile.
"""

import asyncio
import logging
import random
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from typing import Final

from hub.broker.backoff import pause_s
from hub.health import Health

_LOG: Final = logging.getLogger(__name__)
_PAUSE_MOST_S: Final = 30.0
_LASTED_S: Final = 60.0
"""After so long it had begun well, and what ended it is something new."""
_BEAT_S: Final = 5.0
_FAREWELL_S: Final = 5.0


class Companion:
    """`run` it in a task."""

    def __init__(self, command: Sequence[str], *, health: Health, draw: Callable[[], float] = random.random) -> None:
        self._command, self._health, self._draw = command, health, draw

    async def run(self) -> None:
        """Start, wait, start again; ends only by cancellation, and the process with it."""
        failures = 0
        while True:
            began_s = time.monotonic()
            process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE)
            try:
                code = await self._watch(process)
            finally:
                await _end(process)
            failures = 0 if time.monotonic() - began_s > _LASTED_S else failures + 1
            _LOG.error("console_ended", extra={"code": code})
            self._health.warn("console", f"the console's process ended with {code}")
            await self._pause(pause_s(failures, cap_s=_PAUSE_MOST_S, draw=self._draw()))

    async def _watch(self, process: Process) -> int:
        ending = asyncio.create_task(process.wait())
        began_s = time.monotonic()
        while True:
            self._health.beat("console")
            if time.monotonic() - began_s > _LASTED_S:
                self._health.warn("console", None)
            done, _ = await asyncio.wait({ending}, timeout=_BEAT_S)
            if done:
                return ending.result()

    async def _pause(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self._health.beat("console")
            await asyncio.sleep(min(_BEAT_S, left_s))


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_FAREWELL_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
