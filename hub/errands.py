"""Does what the console asks for and cannot do itself: the console's process holds no key and knows no platform.

An errand is done at least once: one that was begun when the hub ended is done again after its start, so a handler
bears that. It ends with an answer, or with a reason and a sentence; the console waits for either.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from hub.health import Health
from hub.registry.changes import Operator
from hub.registry.checks import RegistryError
from hub.store.errand_ports import Errand, ErrandState, ErrandStore
from hub.store.errors import RegistryConflictError, StoreError
from hub.trust.ports import PlatformError, PlatformRefusedError
from protocol.errors import ProtocolError

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 0.1
_PAUSE_S: Final = 1.0
"""After the database refused."""
_AT_ONCE: Final = 16
_LONGEST_S: Final = 10.0

Handler = Callable[[Operator, dict[str, Any], bytes], Awaitable[bytes]]
"""(who asks, args, data) -> answer. Raises RegistryError, RegistryConflictError, ProtocolError, PlatformError or
ErrandError."""


class ErrandError(Exception):
    """It cannot be done: a stable reason and a sentence."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


class Errands:
    """`run` it in a task.

    Args:
        store: where they are asked.
        handlers: by kind.
        health: beaten at every look.
        now_ms: the hub's clock.
    """

    def __init__(
        self, *, store: ErrandStore, handlers: Mapping[str, Handler], health: Health, now_ms: Callable[[], int]
    ) -> None:
        self._store, self._handlers, self._health, self._now_ms = store, handlers, health, now_ms
        self._doing: dict[bytes, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look and do, for ever. Ends only by cancellation."""
        try:
            while True:
                self._health.beat("errands")
                await asyncio.sleep(_LOOK_S if await self._look() else _PAUSE_S)
        finally:
            for task in self._doing.values():
                task.cancel()
            await asyncio.gather(*self._doing.values(), return_exceptions=True)

    async def _look(self) -> bool:
        """Begin what nobody has begun. False: the database refused."""
        for errand_id in [errand_id for errand_id, task in self._doing.items() if task.done()]:
            if (error := self._doing.pop(errand_id).exception()) is not None:
                _LOG.warning("errand_unfinished", extra={"what": repr(error)})
        try:
            asked = await self._store.asked_errands(limit=_AT_ONCE)
        except StoreError as error:
            _LOG.warning("errands_unread", extra={"what": str(error)})
            return False
        for errand in asked:
            if errand.errand_id not in self._doing and len(self._doing) < _AT_ONCE:
                self._doing[errand.errand_id] = asyncio.create_task(self._do(errand))
        return True

    async def _do(self, errand: Errand) -> None:
        try:
            answer = await self._answer(errand)
        except ErrandError as error:
            await self._fail(errand, error.reason, str(error))
        except RegistryConflictError as error:
            await self._fail(errand, "conflict", str(error))
        except (RegistryError, ProtocolError) as error:
            await self._fail(errand, "malformed", str(error))
        except StoreError as error:
            await self._fail(errand, "unavailable", str(error))
        except PlatformRefusedError as error:
            _LOG.warning("errand_platform", extra={"kind": errand.kind, "what": str(error)})
            await self._fail(errand, "platform_refused", "The platform does not take it. Type it again.")
        except PlatformError as error:
            _LOG.warning("errand_platform", extra={"kind": errand.kind, "what": str(error)})
            await self._fail(
                errand, "platform_silent", "The platform does not answer, or not as it should. Try again later."
            )
        else:
            await self._store.finish_errand(
                errand.errand_id, state=ErrandState.DONE, reason="", answer=answer, now_ms=self._now_ms()
            )

    async def _answer(self, errand: Errand) -> bytes:
        now_ms = self._now_ms()
        if now_ms >= errand.expires_ms:
            raise ErrandError("expired", "The hub came to it too late; nothing was done.")
        handler = self._handlers.get(errand.kind)
        if handler is None:
            raise ErrandError("unsupported", f"This hub does not do {errand.kind}.")
        try:
            async with asyncio.timeout(_LONGEST_S):
                return await handler(Operator(who=errand.who, now_ms=now_ms), json.loads(errand.args), errand.data)
        except TimeoutError as error:
            raise ErrandError("timeout", "It took too long. Look whether it was done before trying again.") from error

    async def _fail(self, errand: Errand, reason: str, what: str) -> None:
        _LOG.info("errand_failed", extra={"kind": errand.kind, "reason": reason})
        await self._store.finish_errand(
            errand.errand_id, state=ErrandState.FAILED, reason=reason, answer=what.encode(), now_ms=self._now_ms()
        )
