"""The doors of traces: hubs fetch queries and bring answers; people ask, and read who was there."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from deploy.sandbox.platform import tracepage
from deploy.sandbox.platform.traces import Found, NotNextError, NotWaitedForError, Traces, Wish
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey
from protocol.trace import encode_traces

DAY_MS = 86_400_000
LONGEST_S = 86_400
NEWEST = 20
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Tracing:
    """The handlers.

    Args:
        traces: asks and takes.
        names: people's names by number, for the page.
        on_disk: runs work in the thread that owns the databases.
        hub_of: the key of the hub whose certificate a request came with; None for a stranger's.
        announce: tells every hub that something waits.
    """

    def __init__(
        self,
        traces: Traces,
        *,
        names: Callable[[], dict[int, str]],
        on_disk: Callable[[Callable[[], Any]], Awaitable[Any]],
        hub_of: Callable[[web.Request], VerifyKey | None],
        announce: Callable[[], None],
    ) -> None:
        self._traces, self._names, self._on_disk = traces, names, on_disk
        self._hub_of, self._announce = hub_of, announce

    def hub_routes(self) -> list[web.RouteDef]:
        """For the application that serves hubs."""
        return [web.get("/v1/traces", self._waiting), web.post("/v1/traces/{id}/answer", self._take)]

    def page_routes(self) -> list[web.RouteDef]:
        """For the application that serves people and the sandbox itself."""
        return [
            web.post("/sandbox/trace", self._ask),
            web.get("/sandbox/traces", self._list),
            web.get("/traces", self._page),
        ]

    async def _waiting(self, request: web.Request) -> web.Response:
        key = self._hub_of(request)
        if key is None:
            return _refused(403, "unknown_hub", "no hub of this name is registered")
        waiting = await self._on_disk(lambda: self._traces.waiting(key, now_s=int(time.time())))
        return web.Response(body=encode_traces(waiting), content_type="application/cbor")

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        key = self._hub_of(request)
        if key is None:
            return _refused(403, "unknown_hub", "no hub of this name is registered")
        try:
            trace_id = bytes.fromhex(request.match_info["id"])
            await self._on_disk(lambda: self._traces.take(trace_id, body, key=key, now_ms=_now_ms()))
        except NotWaitedForError:
            return _refused(404, "not_found", "nobody asked this hub for it")
        except NotNextError:
            return _refused(409, "not_next", "another page is due")
        except ProtocolError as error:
            return _refused(403 if error.reason == "bad_signature" else 400, error.reason, str(error))
        except ValueError as error:
            return _refused(400, "malformed", str(error))
        return web.Response(status=204)

    async def _ask(self, request: web.Request) -> web.Response:
        """From the page's form, or as JSON."""
        if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            return _refused(403, "cross_site", "this did not come from a page of ours")
        by_form = request.content_type == "application/x-www-form-urlencoded"
        try:
            wish = _read_wish(dict(await request.post()) if by_form else await request.json())
            ids = await self._on_disk(lambda: self._traces.ask(wish, now_ms=_now_ms()))
        except (*_MALFORMED, ProtocolError) as error:
            return _refused(400, "malformed", f"{type(error).__name__}: {error}")
        self._announce()
        if by_form:
            raise web.HTTPSeeOther("/traces")
        return web.json_response({"traces": [trace_id.hex() for trace_id in ids]})

    async def _list(self, _request: web.Request) -> web.Response:
        found = await self._on_disk(lambda: self._traces.newest(limit=NEWEST))
        return web.json_response({"traces": [_plain(one) for one in found]})

    async def _page(self, _request: web.Request) -> web.Response:
        found, names = await self._on_disk(lambda: (self._traces.newest(limit=NEWEST), self._names()))
        return web.Response(text=tracepage.page(found, names), content_type="text/html", charset="utf-8")


def _read_wish(wish: Any) -> Wish:
    """Checks what was asked for; a form has texts. Raises ValueError, TypeError, KeyError."""
    person, days = int(wish["person"]), int(wish.get("days", 14))
    around_s, stay_s = float(wish.get("around_s", 900)), float(wish.get("stay_s", 7200))
    why = wish["why"]
    if not 0 <= person < 2**32 or not 1 <= days <= 14:
        raise ValueError("person is not a number of 32 bits, or days not 1 to 14")
    if not 0 <= around_s <= LONGEST_S or not 0 < stay_s <= LONGEST_S:
        raise ValueError("no time before or after, or no stay, of up to a day")
    if not isinstance(why, str):
        raise TypeError("why is not a text")
    return Wish(
        person=person,
        why=why,
        since_ms=_now_ms() - days * DAY_MS,
        around_ms=round(around_s * 1000),
        stay_ms=round(stay_s * 1000),
    )


def _plain(found: Found) -> dict[str, Any]:
    asked = found.asked
    return {
        "id": asked.id.hex(),
        "person": asked.person,
        "why": asked.why,
        "place": asked.place,
        "from_ms": asked.from_ms,
        "to_ms": asked.to_ms,
        "asked_ms": asked.asked_ms,
        "state": asked.state,
        "reason": asked.reason,
        "rows": found.rows,
        "bare": found.bare,
        "unproven": found.unproven,
        "missing": found.missing,
        "pages": found.pages,
        "contacts": [
            {"person": visit.person, "from_ms": visit.from_ms, "to_ms": visit.to_ms} for visit in found.contacts
        ],
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _refused(status: int, reason: str, what: str) -> web.Response:
    text = json.dumps({"error": reason, "what": what[:200]})
    return web.Response(status=status, text=text, content_type="application/json")
