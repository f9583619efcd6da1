"""The pages that devices ask (PROTOCOL §8). Every error is JSON, `{"error": reason, "what": sentence}`.

    GET  /v1/ca                 the authority's certificate, DER
    POST /v1/enrolments         sealed request -> answer
    GET  /v1/enrolments/{id}    answer
    POST /v1/renewals           sealed renewal, with the device's certificate -> its next one
    GET  /firmware/...          the mirror of firmware, where there is one (`hub.firmware.serving`)

Whoever asks is a stranger until its token or its certificate is known. So bodies are small and short in coming, an
address that is refused too often is not read any more, and the store bounds how many may wait.
"""

import asyncio
import json
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from hub.enrol.rates import Rates, neighbourhood
from hub.enrol.refusals import Refusals
from hub.registry.authority import Authority
from hub.registry.checks import RegistryError, RequestRefusedError
from hub.registry.configuration import Configurations
from hub.registry.enrolments import take_request
from hub.registry.renewals import connected_device, renew
from hub.store.errors import StoreError
from hub.store.ports import Store
from protocol.enrolment import EnrolmentState, encode_answer, encode_renewal_answer
from protocol.limits import ENROLMENT_BYTES, RENEWAL_BYTES

_LOG: Final = logging.getLogger(__name__)

_BODY_BYTES: Final = max(ENROLMENT_BYTES, RENEWAL_BYTES)
_BODY_S: Final = 10.0
"""A few kilobytes take a second on the worst network; who needs longer only holds a connection."""
_ANSWER_TYPE: Final = "application/cbor"
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_STATUS: Final = {
    "token_unknown": 403,
    "token_expired": 403,
    "token_used": 403,
    "bad_signature": 403,
    "unknown_key": 403,
    "wrong_device": 403,
    "certificate_unknown": 403,
    "device_revoked": 403,
    "certificate_needed": 401,
    "not_found": 404,
    "key_known": 409,
    "limit": 413,
    "too_many_requests": 429,
    "too_many_keys": 429,
    "too_many_waiting": 503,
    "busy": 503,
}
"""Reasons that are not simply a bad request (400)."""


class EnrolmentPages:
    """The four pages, and those of others that come with the same rates and errors. `app` is what a server serves.

    Args:
        store: where enrolments are.
        authority: who signs certificates.
        configurations: what an approved device is told.
        now_ms: the hub's clock.
        refusals: where refusals are noted.
        others: further pages.
        is_busy: whether one of those is at work on a connection, longer than pages of ours take.
    """

    def __init__(
        self,
        *,
        store: Store,
        authority: Authority,
        configurations: Configurations,
        now_ms: Callable[[], int],
        refusals: Refusals | None = None,
        others: Sequence[web.RouteDef] = (),
        is_busy: Callable[[object], bool] = lambda _: False,
    ) -> None:
        self.is_busy = is_busy
        self._store, self._authority = store, authority
        self._configurations, self._now_ms = configurations, now_ms
        self._refusals = refusals or Refusals(store=store)
        # A hundred devices behind one address enrol within a minute, each asking once a second.
        self._asked = Rates(burst=500, per_s=100)
        self._posted = Rates(burst=200, per_s=2)
        self._refused = Rates(burst=20, per_s=0.2)
        # A device renews a few times a year. A key change, a lost answer and a mistake or two still pass.
        self._renewed = Rates(burst=6, per_s=1 / 600)
        self.app = web.Application(client_max_size=_BODY_BYTES, middlewares=[self._guard])
        self.app.router.add_get("/v1/ca", self._ca)
        self.app.router.add_post("/v1/enrolments", self._enrol)
        self.app.router.add_get("/v1/enrolments/{id}", self._answer)
        self.app.router.add_post("/v1/renewals", self._renew)
        self.app.router.add_routes(others)

    async def _ca(self, _: web.Request) -> web.Response:
        return web.Response(body=self._authority.der, content_type="application/pkix-cert")

    async def _enrol(self, request: web.Request) -> web.Response:
        data = await self._body(request)
        enrolment = await take_request(self._store, data, address=_address(request), now_ms=self._now_ms())
        answer = await self._configurations.answer_for(enrolment)
        return web.Response(body=encode_answer(answer), content_type=_ANSWER_TYPE)

    async def _answer(self, request: web.Request) -> web.Response:
        text = request.match_info["id"]
        if not _ID.fullmatch(text):
            raise RequestRefusedError("not_found", "there is no such enrolment")
        enrolment = await self._configurations.find(bytes.fromhex(text), now_ms=self._now_ms())
        answer = await self._configurations.answer_for(enrolment)
        if answer.state is EnrolmentState.APPROVED and _address(request) != enrolment.asked.address:
            # It holds no secret, but somebody else than the device may have read its id.
            what = f"{text} was asked for from {enrolment.asked.address}"
            await self._note(request, RequestRefusedError("other_address", what), action="enrol.fetched")
        return web.Response(body=encode_answer(answer), content_type=_ANSWER_TYPE)

    async def _renew(self, request: web.Request) -> web.Response:
        device_id = await connected_device(self._store, _presented(request))
        if not self._renewed.spend(device_id.hex()):
            raise RequestRefusedError("too_many_requests", f"device {device_id.hex()} has renewed often enough today")
        answer = await renew(
            self._store,
            await self._body(request),
            authority=self._authority,
            device_id=device_id,
            now_ms=self._now_ms(),
        )
        return web.Response(body=encode_renewal_answer(answer), content_type=_ANSWER_TYPE)

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(_BODY_S):
                return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise RequestRefusedError("limit", f"over {_BODY_BYTES} bytes") from error
        except TimeoutError as error:
            raise RequestRefusedError("too_slow", f"no whole request within {_BODY_S:g} s") from error

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Rates before, and one form of error after, every page."""
        key = neighbourhood(_address(request))
        posts = request.method == "POST"
        if not (self._posted if posts else self._asked).spend(key) or (posts and self._refused.is_spent(key)):
            return _error("too_many_requests", "ask again in a minute")
        try:
            return await handler(request)
        except RequestRefusedError as error:
            if posts:
                self._refused.spend(key)
                action = "renewal.refused" if request.path == "/v1/renewals" else "enrol.refused"
                await self._note(request, error, action=action)
            return _error(error.reason, str(error))
        except web.HTTPException as error:
            return _error("not_found" if error.status == 404 else "bad_request", error.reason, status=error.status)
        except (StoreError, RegistryError) as error:
            _LOG.error("enrolment_failed", extra={"path": request.path, "what": str(error)})
            return _error("unavailable", "the hub cannot do this now; ask again", status=503)

    async def _note(self, request: web.Request, error: RequestRefusedError, *, action: str) -> None:
        await self._refusals.note(
            action=action,
            reason=error.reason,
            what=str(error),
            address=_address(request),
            now_ms=self._now_ms(),
        )


def _error(reason: str, what: str, *, status: int | None = None) -> web.Response:
    body = json.dumps({"error": reason, "what": what}, ensure_ascii=False)
    return web.Response(text=body, status=status or _STATUS.get(reason, 400), content_type="application/json")


def _address(request: web.Request) -> str:
    """Where the connection comes from. Headers of proxies are not believed: nobody stands before this server."""
    return request.remote or "unknown"


def _presented(request: web.Request) -> bytes | None:
    """The client certificate of the connection, verified by TLS; None if it has none."""
    connection = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    return connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLObject) else None
