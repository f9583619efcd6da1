"""The platform's API over HTTPS: our certificate, its CA pinned, every answer bounded, no redirects."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import aiohttp

from hub.trust.ports import ClosedPlace, PlatformError, PlatformRefusedError, PlatformTimeoutError
from hub.trust.sse import Event, SseReader, StreamError
from protocol import cbor
from protocol.errors import ProtocolError
from protocol.limits import DESK_ANSWER_BYTES, RESOLVED_BYTES, STATUS_LIST_BYTES, TRACES_BYTES, TRUST_BYTES, URI_CHARS
from protocol.trace import encode_traces

# Loops wait for an answer between two beats, which must come within 30 s.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20.0, sock_connect=10.0)
_SILENCE_S: Final = 30.0  # The platform writes a comment every 10 s; three missing are a dead path.
_STREAM_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=_SILENCE_S)
_RESOLVE_S: Final = 0.7  # The gate waits 800 ms; the rest is for the broker, there and back.
_DESK_S: Final = 4.0  # People at a desk wait no longer for a machine; what is kept goes later.
_LIST_OF_LISTS_BYTES: Final = 128 * 1024  # 64 addresses of the longest take half of it.
_PLACES_BYTES: Final = 1024 * 1024  # Ten thousand places with a sentence each.
_PLACE_ANSWER_BYTES: Final = 8 * 1024
_ERROR_BYTES: Final = 1024
_HEADERS: Final = {"Accept-Encoding": "identity"}
_OK, _NO_CONTENT, _NOT_MODIFIED, _NOT_FOUND, _GONE = 200, 204, 304, 404, 410
_REFUSED: Final = frozenset({400, 409, 413, 415, 422})  # About the content; the other 4xx are about us and may pass.


class HttpsSource:
    """`hub.trust.ports.Source`. Make it inside the running loop; close it at the end."""

    def __init__(self, *, url: str, tls: ssl.SSLContext) -> None:
        self._url = url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),  # The callers bound what they ask at the same time.
            timeout=_TIMEOUT,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def trust(self, *, version: int) -> bytes | None:
        """The trust bundle; None when `version` is still the newest."""
        return await self._newer("/v1/trust", version=version, limit=TRUST_BYTES)

    async def lists(self) -> tuple[str, ...]:
        """The addresses of all status lists."""
        status, body = await self._ask("GET", "/v1/status", limit=_LIST_OF_LISTS_BYTES)
        _expect(status, _OK, body)
        what = "list of lists"
        try:
            fields = cbor.fields(
                cbor.decode(body, what=what, limit=_LIST_OF_LISTS_BYTES), what=what, known=frozenset({1})
            )
            uris = fields.get(1)
            if type(uris) is not list:
                raise PlatformError(f"{what}: not a list")
            return tuple(dict.fromkeys(cbor.text(uri, what, 1, URI_CHARS) for uri in uris))
        except ProtocolError as error:
            raise PlatformError(str(error)) from error

    async def snapshot(self, list_id: str, *, version: int) -> bytes | None:
        """A whole list; None when `version` is still the newest."""
        return await self._newer(f"/v1/status/{list_id}", version=version, limit=STATUS_LIST_BYTES)

    async def closed_places(self) -> tuple[ClosedPlace, ...]:
        """The places that the platform keeps closed."""
        status, body = await self._ask("GET", "/v1/places", limit=_PLACES_BYTES)
        _expect(status, _OK, body)
        match _read_json(body.decode(errors="replace")):
            case {"closed": list(entries)}:
                return tuple(_closed_place(entry) for entry in entries)
            case _:
                raise PlatformError("places: no list of closed ones")

    @asynccontextmanager
    async def events(self, *, last_id: str) -> AsyncIterator[AsyncIterator[Event]]:
        """The stream, from the event after `last_id` on."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        try:
            async with self._session.get(
                f"{self._url}/v1/events", headers=headers, timeout=_STREAM_TIMEOUT, allow_redirects=False
            ) as response:
                _expect(response.status, _OK, b"")
                if response.content_type != "text/event-stream":
                    raise PlatformError(f"events: of type {response.content_type!r:.80}")
                async with aclosing(_read_events(response.content, last_id=last_id)) as events:
                    yield events
        except (aiohttp.ClientError, OSError) as error:
            raise PlatformError(f"{type(error).__name__}: {error}") from error

    async def resolve(self, sealed: bytes) -> bytes:
        """Sealed query -> signed answer."""
        try:
            async with asyncio.timeout(_RESOLVE_S):
                status, body = await self._ask("POST", "/v1/resolve", limit=RESOLVED_BYTES, data=sealed)
        except TimeoutError as error:
            raise PlatformTimeoutError(f"no answer within {_RESOLVE_S} s") from error
        _expect(status, _OK, body)
        return body

    async def desk(self, sealed: bytes) -> bytes:
        """A desk's sealed question -> signed answer, while an attendant waits."""
        try:
            async with asyncio.timeout(_DESK_S):
                status, body = await self._ask("POST", "/v1/desk", limit=DESK_ANSWER_BYTES, data=sealed)
        except TimeoutError as error:
            raise PlatformTimeoutError(f"no answer within {_DESK_S} s") from error
        _expect(status, _OK, body)
        return body

    async def put_device_key(self, kid: bytes, sealed: bytes) -> None:
        """Tell which key a device signs with."""
        path = f"/v1/device-keys/{kid.hex()}"
        status, body = await self._ask("PUT", path, limit=_ERROR_BYTES, data=sealed)
        _expect(status, _NO_CONTENT, body)

    async def place_request(self, request_id: bytes, sealed: bytes) -> bytes:
        """Ask for a place code -> the platform's answer, JSON."""
        path = f"/v1/place-requests/{request_id.hex()}"
        status, body = await self._ask("PUT", path, limit=_PLACE_ANSWER_BYTES, data=sealed)
        _expect(status, _OK, body)
        return body

    async def traces(self) -> bytes:
        """The queries that wait for this hub; none at a platform of before there were any."""
        status, body = await self._ask("GET", "/v1/traces", limit=TRACES_BYTES)
        if status == _NOT_FOUND:
            return encode_traces(())
        _expect(status, _OK, body)
        return body

    async def answer_trace(self, query_id: bytes, sealed: bytes) -> None:
        """One page of an answer."""
        path = f"/v1/traces/{query_id.hex()}/answer"
        status, body = await self._ask("POST", path, limit=_ERROR_BYTES, data=sealed)
        if status in {_NOT_FOUND, _GONE}:
            raise PlatformRefusedError(f"{path}: nobody waits for it")
        _expect(status, _NO_CONTENT, body)

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._session.close()

    async def _newer(self, path: str, *, version: int, limit: int) -> bytes | None:
        headers = {"If-None-Match": f'"{version}"'} if version else {}
        status, body = await self._ask("GET", path, limit=limit, headers=headers)
        if status == _NOT_MODIFIED and version:
            return None
        _expect(status, _OK, body)
        return body

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request -> (status, body of at most `limit` bytes)."""
        sent = dict(headers or {})
        if data is not None:
            sent["Content-Type"] = "application/cose"
        try:
            async with self._session.request(
                method, self._url + path, data=data, headers=sent, allow_redirects=False
            ) as response:
                body = bytearray()
                while len(body) <= limit and not response.content.at_eof():
                    body += await response.content.read(limit + 1 - len(body))
                status = response.status
        except (aiohttp.ClientError, OSError) as error:  # Time-outs are OSErrors.
            raise PlatformError(f"{path}: {type(error).__name__}: {error}") from error
        if len(body) > limit:
            raise PlatformError(f"{path}: the answer is too long")
        return status, bytes(body)


def _read_json(text: str) -> Any:
    """JSON of the platform. Raises PlatformError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlatformError(f"no JSON: {error}") from error


def _closed_place(entry: Any) -> ClosedPlace:
    match entry:
        case {"place": str(place_id), "why": str(why)}:
            return ClosedPlace(place_id=place_id, why=why)
    raise PlatformError("places: an entry without place or reason")


async def _read_events(content: aiohttp.StreamReader, *, last_id: str) -> AsyncGenerator[Event, None]:
    reader = SseReader(last_id=last_id)
    try:
        while data := await content.readany():
            for event in reader.feed(data):
                yield event
    except StreamError as error:
        raise PlatformError(f"events: {error}") from error


def _expect(status: int, expected: int, body: bytes) -> None:
    if status != expected:
        said = body[:_ERROR_BYTES].decode(errors="replace")
        refused = PlatformRefusedError if status in _REFUSED else PlatformError
        raise refused(f"status {status} instead of {expected}: {said!r:.200}")
