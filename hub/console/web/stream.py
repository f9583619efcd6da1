"""Looking again and again -> `text/event-stream`: what pages that follow something are fed with.

The console is a process of its own and hears of nothing: each stream looks into the database once a second. What a
stream tells is how things are, not what happened: whoever reads slowly, or comes back, misses nothing that still holds.

    @ROUTER.get("/x/stream")
    async def x_stream(request: Request, who: Annotated[Signed, Depends(Needs(Permission.X))]) -> Response:
        async def look() -> dict[str, str]:
            return {"table": render(...), "count": "5"}   # by name of the event; one that has changed is sent
        return EventStream(request, who, look)

In the page, `new EventSource("/x/stream")` and one listener for each name. The event `ended` says that the session is
over: close it, and load the page, which then leads to signing in.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from fastapi import Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from hub.console.accounts.door import hashed
from hub.console.errors import TooManyError
from hub.console.site import Site
from hub.console.web.asking import Signed, as_json, site_of
from hub.store.errors import StoreError

LOOK_S: Final = 1.0
COMMENT_S: Final = 15.0
"""Proxies close a connection on which nothing passes for a minute, or for half of one."""
SESSION_S: Final = 5.0
"""How long somebody may still see what goes on after being signed out elsewhere."""
READER_S: Final = 20.0
"""Whoever takes nothing for so long is let go. What waits for a slow reader is one look, never a queue."""
RETRY_MS: Final = 3000
"""After which a browser comes back by itself."""
AGAIN_S: Final = 30
"""After which one that was refused may ask again."""

Look = Callable[[], Awaitable[Mapping[str, str]]]
"""How things are now: by the event's name, its text."""


class EventStream(StreamingResponse):
    """One browser that follows something, until it goes, its session ends, or it does not read.

    The stream does not prolong the session: a page left open is nobody's work. With too many streams open, of the
    account or in all, the answer is 429 instead.

    Args:
        request: what it answers.
        who: whose it is.
        look: asked at once and then every `every_s`; a StoreError means no news.
        every_s: between two looks.
        comment_s: see COMMENT_S.
        session_s: see SESSION_S.
        reader_s: see READER_S.
    """

    def __init__(
        self,
        request: Request,
        who: Signed,
        look: Look,
        *,
        every_s: float = LOOK_S,
        comment_s: float = COMMENT_S,
        session_s: float = SESSION_S,
        reader_s: float = READER_S,
    ) -> None:
        super().__init__(self._frames(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._site: Site = site_of(request)
        self._who, self._look = who, look
        self._every_s, self._comment_s, self._session_s, self._reader_s = every_s, comment_s, session_s, reader_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and come back when it is over."""

        async def patiently(message: Message) -> None:
            async with asyncio.timeout(self._reader_s):
                await send(message)

        slots = self._site.slots
        if slots.full(self._who.account.name):
            error = TooManyError(AGAIN_S)
            refusal = JSONResponse(as_json(error), error.status, headers={"retry-after": str(error.wait_s)})
            await refusal(scope, receive, send)
            return
        with slots.one(self._who.account.name):
            try:
                await super().__call__(scope, receive, patiently)
            except TimeoutError:
                # It has not read for long; the server closes what was not completed.
                return

    async def _frames(self) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        told: dict[str, str] = {}
        spoke_s = checked_s = clock()
        yield f"retry: {RETRY_MS}\n\n"
        while True:
            news = {name: text for name, text in (await self._seen()).items() if told.get(name) != text}
            told |= news
            frames = "".join(event(name, text) for name, text in news.items())
            if frames or clock() - spoke_s >= self._comment_s:
                spoke_s = clock()
                yield frames or ":\n\n"
            await asyncio.sleep(self._every_s)
            if clock() - checked_s >= self._session_s:
                checked_s = clock()
                if await self._is_over():
                    yield event("ended", "")
                    return

    async def _seen(self) -> Mapping[str, str]:
        try:
            return await self._look()
        except StoreError:
            return {}

    async def _is_over(self) -> bool:
        """Whether the session was ended, or its account closed or changed: then its sessions end too."""
        try:
            return await self._site.store.find_session(hashed(self._who.token), now_ms=self._site.now_ms()) is None
        except StoreError:
            return False


def event(name: str, text: str) -> str:
    """One event as it goes over the wire (HTML Living Standard §9.2.5)."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or ("",))
    return f"event: {name}\n{lines}\n"
