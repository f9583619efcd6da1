"""What hubs fetch from the stand-in platform besides handing check-ins in: trust, status lists, closed places, events,
look-ups, and the keys of new devices. All of it behind the same mutual TLS as check-ins.
"""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aiohttp import web

from deploy.sandbox.platform.authority import Authority
from deploy.sandbox.platform.desk import DeskWindow
from deploy.sandbox.platform.events import Events
from deploy.sandbox.platform.lookup import LookUp
from deploy.sandbox.platform.places import Places
from deploy.sandbox.platform.statuses import Statuses
from deploy.sandbox.platform.store import OtherContentError, PlatformStore
from protocol import cbor
from protocol.devicekey import open_device_key
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey
from protocol.placerequest import open_place_request
from protocol.terms import Colour

T = TypeVar("T")

COSE = "application/cose"
STATUS_LIST = "application/statuslist+cwt"
HEARTBEAT_S = 20.0

HubOf = Callable[[web.Request], VerifyKey | None]


class Feed:
    """The handlers, and what the sandbox's controls change.

    Args:
        on_disk: runs work in the thread that owns the databases.
        hub_of: the key of the hub whose certificate a request came with; None for a stranger's.
    """

    def __init__(
        self,
        *,
        authority: Authority,
        store: PlatformStore,
        statuses: Statuses,
        lookup: LookUp,
        places: Places,
        desk: DeskWindow,
        on_disk: Callable[[Callable[[], Any]], Awaitable[Any]],
        hub_of: HubOf,
    ) -> None:
        self._authority = authority
        self._store = store
        self._statuses = statuses
        self._lookup = lookup
        self._places_register = places
        self._desk = desk
        self._on_disk = on_disk
        self._hub_of = hub_of
        self._events = Events(first=time.time_ns() // 1_000_000)

    def routes(self) -> list[web.RouteDef]:
        """For the application that serves hubs."""
        return [
            web.get("/v1/trust", self._for_hubs(self._trust)),
            web.get("/v1/status", self._for_hubs(self._status)),
            web.get("/v1/status/{list}", self._for_hubs(self._list)),
            web.get("/v1/places", self._for_hubs(self._places)),
            web.get("/v1/events", self._for_hubs(self._stream)),
            web.post("/v1/resolve", self._for_hubs(self._resolve)),
            web.post("/v1/desk", self._for_hubs(self._ask_desk)),
            web.put("/v1/device-keys/{kid}", self._for_hubs(self._device_key)),
            web.put("/v1/place-requests/{id}", self._for_hubs(self._place_request)),
        ]

    async def beat(self) -> None:
        """Says now and then that the lists are still current; ends only by cancellation."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for data in await self._on_disk(lambda: self._statuses.heartbeats(now_s=int(time.time()))):
                self._events.publish("delta", base64.b64encode(data).decode("ascii"))

    async def colour(self, colours: Mapping[int, Colour]) -> int:
        """People's colours change now; returns the ms at which that was signed."""
        wanted = dict(colours)
        deltas = await self._on_disk(lambda: self._statuses.change(wanted, now_s=int(time.time())))
        signed_ms = time.time_ns() // 1_000_000
        for data in deltas:
            self._events.publish("delta", base64.b64encode(data).decode("ascii"))
        return signed_ms

    async def place(self, place: str, *, closed: bool, why: str) -> int:
        """A place is closed or opened again; returns the ms at which it was."""
        await self._on_disk(lambda: self._store.close_place(place, closed=closed, why=why))
        at_ms = time.time_ns() // 1_000_000
        text = json.dumps({"place": place, "closed": closed, "why": why}, ensure_ascii=False)
        self._events.publish("place", text)
        return at_ms

    def trace(self) -> None:
        """A query waits for some hub."""
        self._events.publish("trace", "")

    async def roll(self) -> int:
        """The issuers' keys roll over in a new trust bundle; returns its version."""
        version = await self._on_disk(self._authority.roll_over)
        self._statuses.use(self._authority.issuers)
        self._events.publish("trust", str(version))
        return int(version)

    def _for_hubs(
        self, handler: Callable[[web.Request, VerifyKey], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def checked(request: web.Request) -> web.StreamResponse:
            key = self._hub_of(request)
            if key is None:
                return _refused(403, "unknown_hub", "no hub of this name is registered")
            return await handler(request, key)

        return checked

    async def _trust(self, request: web.Request, _key: VerifyKey) -> web.StreamResponse:
        version, data = self._authority.bundle
        return _tagged(request, version, data, COSE)

    async def _status(self, _request: web.Request, _key: VerifyKey) -> web.StreamResponse:
        return web.Response(body=cbor.encode({1: list(self._statuses.uris)}), content_type="application/cbor")

    async def _list(self, request: web.Request, _key: VerifyKey) -> web.StreamResponse:
        name = request.match_info["list"]
        if request.headers.get("If-None-Match") == f'"{self._statuses.version(name)}"':
            return web.Response(status=304)
        found = await self._on_disk(lambda: self._statuses.snapshot(name, now_s=int(time.time())))
        if found is None:
            return _refused(404, "not_found", "no such list")
        version, data = found
        return _tagged(request, version, data, STATUS_LIST)

    async def _places(self, _request: web.Request, _key: VerifyKey) -> web.StreamResponse:
        closed = await self._on_disk(self._store.closed_places)
        return web.json_response({"closed": [{"place": place, "why": why} for place, why in closed]})

    async def _stream(self, request: web.Request, _key: VerifyKey) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        async for text in self._events.stream(last_id=request.headers.get("Last-Event-ID")):
            await response.write(text)
        return response

    async def _resolve(self, request: web.Request, _key: VerifyKey) -> web.StreamResponse:
        body = await request.read()
        try:
            answer = await self._on_disk(lambda: self._lookup.answer(body, now_s=int(time.time())))
        except ProtocolError as error:
            return _refused(400, error.reason, str(error))
        return web.Response(body=answer, content_type=COSE)

    async def _ask_desk(self, request: web.Request, key: VerifyKey) -> web.StreamResponse:
        body = await request.read()
        try:
            answer = await self._on_disk(
                lambda: self._desk.answer(body, hub=key.kid, now_ms=time.time_ns() // 1_000_000)
            )
        except ProtocolError as error:
            return _refused(400, error.reason, str(error))
        return web.Response(body=answer, content_type=COSE)

    async def _device_key(self, request: web.Request, key: VerifyKey) -> web.StreamResponse:
        body = await request.read()
        try:
            told = open_device_key(body, key=key)
        except ProtocolError as error:
            return _refused(403 if error.reason == "bad_signature" else 400, error.reason, str(error))
        if told.key.kid.hex() != request.match_info["kid"]:
            return _refused(400, "malformed", "another key than the address names")
        await self._on_disk(lambda: self._store.know_device(told))
        return web.Response(status=204)

    async def _place_request(self, request: web.Request, key: VerifyKey) -> web.StreamResponse:
        body = await request.read()
        try:
            asked = open_place_request(body, key=key)
        except ProtocolError as error:
            return _refused(403 if error.reason == "bad_signature" else 400, error.reason, str(error))
        if asked.id.hex() != request.match_info["id"]:
            return _refused(400, "malformed", "another request than the address names")
        try:
            answer = await self._on_disk(lambda: self._places_register.take(asked, hub=key.kid, now_s=int(time.time())))
        except OtherContentError:
            return _refused(409, "other_content", "this request id was used for something else")
        return web.Response(text=answer, content_type="application/json")


def _tagged(request: web.Request, version: int, data: bytes, kind: str) -> web.Response:
    tag = f'"{version}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag})
    return web.Response(body=data, content_type=kind, headers={"ETag": tag})


def _refused(status: int, reason: str, what: str) -> web.Response:
    text = json.dumps({"error": reason, "what": what[:200]})
    return web.Response(status=status, text=text, content_type="application/json")
