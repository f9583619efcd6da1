"""The mirror over HTTPS, beside the pages of enrolment. TUF needs no secrecy: whoever asks gets it.

    GET /firmware/metadata/{name}     N.root.json, timestamp.json, N.snapshot.json, N.targets.json
    GET /firmware/targets/{name}      a bundle, by its hash and its name

A download lasts as long as a slow line needs, and holds one of a bounded number of places meanwhile. Whoever takes less
than `SLOWEST_BPS` is dropped, and may begin anew.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from aiohttp import web

from hub.firmware.mirror import Mirror
from hub.health import Metrics
from hub.registry.checks import RequestRefusedError

METADATA_PATH: Final = "/firmware/metadata/{name}"
TARGETS_PATH: Final = "/firmware/targets/{name}"
PLACES: Final = 48
"""Downloads at once: three times what a rollout lets begin, of the 512 connections of the listener."""
PLACES_OF_ONE: Final = 24
"""Of one address: a site's devices may share one, and one stranger cannot take all places."""
SLOWEST_BPS: Final = 16 * 1024
"""A bundle of 60 MB in an hour: slower than any line that check-ins come over without delay."""
_GRACE_S: Final = 30.0
_CHUNK_BYTES: Final = 128 * 1024
_TYPES: Final = {"metadata": "application/json", "target": "application/gzip"}


class FirmwareFiles:
    """`routes` for whoever listens.

    Args:
        mirror: what is served.
        neighbourhood: an address -> what counts as one asker.
        metrics: what is counted.
    """

    def __init__(self, *, mirror: Mirror, neighbourhood: Callable[[str], str], metrics: Metrics) -> None:
        self._mirror, self._neighbourhood, self._metrics = mirror, neighbourhood, metrics
        self._places: Counter[str] = Counter()
        self._busy: Counter[object] = Counter()
        self.routes = (
            web.get(METADATA_PATH, self._metadata, allow_head=False),
            web.get(TARGETS_PATH, self._target, allow_head=False),
        )

    def is_busy(self, connection: object) -> bool:
        """Whether a download is under way on it. It has a bound of its own, so the listener's need not end it."""
        return connection in self._busy

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        opened = self._mirror.open_metadata(request.match_info["name"])
        return await self._send(request, opened, kind="metadata")

    async def _target(self, request: web.Request) -> web.StreamResponse:
        key = self._neighbourhood(request.remote or "unknown")
        if self._places.total() >= PLACES or self._places[key] >= PLACES_OF_ONE:
            self._count("target", "busy")
            raise RequestRefusedError("busy", "enough downloads are under way; ask again in a minute")
        opened = self._mirror.open_target(request.match_info["name"])
        self._places[key] += 1
        self._busy[request.protocol] += 1
        try:
            return await self._send(request, opened, kind="target")
        finally:
            _take(self._places, key)
            _take(self._busy, request.protocol)

    async def _send(self, request: web.Request, opened: tuple[int, int] | None, *, kind: str) -> web.StreamResponse:
        if opened is None:
            self._count(kind, "missing")
            raise RequestRefusedError("not_found", "there is no such file")
        descriptor, size_bytes = opened
        # Closing waits for a read that another thread has not ended: a number in its hands is never another file's.
        file = os.fdopen(descriptor, "rb")
        answer = web.StreamResponse(headers={"Content-Type": _TYPES[kind], "Content-Length": str(size_bytes)})
        try:
            async with asyncio.timeout(_GRACE_S + size_bytes / SLOWEST_BPS):
                await answer.prepare(request)
                result = await _copy(file, answer, size_bytes)
        except TimeoutError:
            result = "slow"
        except OSError:  # It hung up, or our disk failed.
            result = "broken"
        finally:
            file.close()
        self._count(kind, result)
        if result != "sent":
            # Else whoever asked would wait for the rest.
            request.protocol.force_close()
        return answer

    def _count(self, kind: str, result: str) -> None:
        self._metrics.firmware_files.labels(kind, result).inc()


async def _copy(file: BinaryIO, answer: web.StreamResponse, size_bytes: int) -> str:
    """The file into the answer; `broken` when there is less of it than was promised."""
    left = size_bytes
    # The loop that receives check-ins never waits for the disk.
    while left and (chunk := await asyncio.to_thread(file.read, min(left, _CHUNK_BYTES))):
        await answer.write(chunk)
        left -= len(chunk)
    if left:
        return "broken"
    await answer.write_eof()
    return "sent"


def _take(counter: Counter[Any], key: object) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
