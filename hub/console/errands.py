"""What only the hub's process can do: ask it through the database, and wait for its answer."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any, Final

from hub.console.errors import ConflictError, ConsoleError, InvalidError, UnavailableError
from hub.store.errand_ports import Errand, ErrandState, ErrandStore

LIFE_MS: Final = 10_000
"""So long the hub may begin it."""
_LONGEST_S: Final = 20.0
_LOOK_S: Final = 0.05
_ID_BYTES: Final = 16
_STATUSES: Final[dict[str, type[ConsoleError]]] = {"conflict": ConflictError, "malformed": InvalidError}


class Errands:
    """`ask` for one thing at a time."""

    def __init__(self, *, store: ErrandStore, now_ms: Callable[[], int], longest_s: float = _LONGEST_S) -> None:
        self._store, self._now_ms, self._longest_s = store, now_ms, longest_s

    async def ask(self, kind: str, *, who: str, data: bytes = b"", **args: Any) -> bytes:
        """Have it done; returns the answer.

        Args:
            kind: as the hub's handlers are named.
            who: the account that asks.
            data: handed on as it is.
            args: anything that JSON can say.

        Raises:
            ConflictError, InvalidError: the hub refused, and says why.
            UnavailableError: the hub does not run, or could not do it.
        """
        now_ms = self._now_ms()
        errand = Errand(
            errand_id=secrets.token_bytes(_ID_BYTES),
            kind=kind,
            args=json.dumps(args, ensure_ascii=False),
            data=data,
            who=who,
            made_ms=now_ms,
            expires_ms=now_ms + LIFE_MS,
        )
        await self._store.add_errand(errand)
        try:
            async with asyncio.timeout(self._longest_s):
                return await self._answer(errand.errand_id)
        except TimeoutError as error:
            raise UnavailableError("hub_silent", "The hub does not answer. Is it running?") from error

    async def _answer(self, errand_id: bytes) -> bytes:
        while True:
            errand = await self._store.find_errand(errand_id)
            if errand is None:
                raise UnavailableError("hub_silent", "The hub does not answer. Is it running?")
            if errand.state is ErrandState.DONE:
                return errand.answer
            if errand.state is ErrandState.FAILED:
                raise _STATUSES.get(errand.reason, UnavailableError)(errand.reason, errand.answer.decode())
            await asyncio.sleep(_LOOK_S)
