"""The HTTPS client against a real TLS server on loopback."""

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from hub.main import mutual_tls
from hub.trust import platform as module
from hub.trust.platform import HttpsSource
from hub.trust.ports import ClosedPlace, PlatformError, PlatformRefusedError, PlatformTimeoutError
from hub.trust.sse import Event
from protocol import cbor
from protocol.limits import DESK_ANSWER_BYTES, RESOLVED_BYTES, STATUS_LIST_BYTES, TRUST_BYTES
from protocol.trace import encode_traces

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


@pytest.fixture
async def serve(authority):
    """Start a server with one handler for everything; the client that talks to it."""
    closers = []

    async def start(handler, *, ca=None, issuer=None):
        app = web.Application(client_max_size=2 << 20)
        app.router.add_route("*", "/base/{rest:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        port = unused_port()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=authority.server_context()).start()
        cert, key = (issuer or authority).issue("hub")
        source = HttpsSource(
            url=f"https://127.0.0.1:{port}/base/", tls=mutual_tls(ca=ca or authority.ca, cert=cert, key=key)
        )
        closers.extend((source.close, runner.cleanup))
        return source

    yield start
    for close in closers:
        await close()


def answering(body=b"", *, status=200, seen=None, **more):
    async def handler(request):
        if seen is not None:
            seen.append(
                (request.method, request.path.removeprefix("/base"), dict(request.headers), await request.read())
            )
        return web.Response(body=body, status=status, **more)

    return handler


async def test_a_bundle_is_asked_for_by_its_version_over_tls_13_with_our_certificate(serve):
    seen = {}

    async def handler(request):
        tls = request.transport.get_extra_info("ssl_object")
        seen["version"] = tls.version()
        seen["name"] = dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"]
        seen["have"] = request.headers.get("If-None-Match")
        if seen["have"] == '"7"':
            return web.Response(status=304)
        return web.Response(body=b"bundle", headers={"ETag": '"7"'})

    source = await serve(handler)
    assert await source.trust(version=0) == b"bundle"
    assert seen == {"version": "TLSv1.3", "name": "hub", "have": None}
    assert await source.trust(version=7) is None
    assert await source.trust(version=6) == b"bundle"


async def test_lists_and_snapshots(serve):
    seen = []
    source = await serve(answering(cbor.encode({1: ["https://a", "https://b", "https://a"]}), seen=seen))
    assert await source.lists() == ("https://a", "https://b")
    await source.snapshot("00" * 8, version=3)
    assert [(method, path) for method, path, _, _ in seen] == [("GET", "/v1/status"), ("GET", "/v1/status/" + "00" * 8)]
    assert seen[1][2]["If-None-Match"] == '"3"'


async def test_places(serve):
    source = await serve(answering(b'{"closed": [{"place": "mall", "why": "\xe8\xbf\x9d\xe8\xa7\x84", "since": 5}]}'))
    assert await source.closed_places() == (ClosedPlace(place_id="mall", why="违规"),)


async def test_a_query_is_posted_and_a_key_is_put(serve):
    seen = []
    source = await serve(answering(b"answer", seen=seen))
    assert await source.resolve(b"sealed") == b"answer"
    source = await serve(answering(status=204, seen=seen))
    await source.put_device_key(b"\x01" * 8, b"key")
    source = await serve(answering(b"told", seen=seen))
    assert await source.desk(b"asked") == b"told"
    assert [(method, path, body) for method, path, _, body in seen] == [
        ("POST", "/v1/resolve", b"sealed"),
        ("PUT", "/v1/device-keys/" + "01" * 8, b"key"),
        ("POST", "/v1/desk", b"asked"),
    ]
    assert {headers["Content-Type"] for _, _, headers, _ in seen} == {"application/cose"}


@pytest.mark.parametrize(("call", "limit"), [("resolve", "_RESOLVE_S"), ("desk", "_DESK_S")])
async def test_a_resolver_that_is_slow_is_given_up_in_time(serve, monkeypatch, call, limit):
    monkeypatch.setattr(module, limit, 0.05)

    async def handler(request):
        await asyncio.sleep(5)
        return web.Response()

    source = await serve(handler)
    began_s = time.monotonic()
    with pytest.raises(PlatformTimeoutError):
        await CALLS[call](source)
    assert time.monotonic() - began_s < 1


CALLS = {
    "trust": lambda source: source.trust(version=0),
    "lists": lambda source: source.lists(),
    "snapshot": lambda source: source.snapshot("00" * 8, version=0),
    "places": lambda source: source.closed_places(),
    "resolve": lambda source: source.resolve(b""),
    "desk": lambda source: source.desk(b""),
    "key": lambda source: source.put_device_key(bytes(8), b""),
}


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, True), (409, True), (422, True), (403, False), (404, False), (429, False), (503, False)],
)
async def test_what_it_will_never_take_is_told_from_what_may_pass(serve, status, refused):
    source = await serve(answering(status=status))
    with pytest.raises(PlatformError) as told:
        await source.put_device_key(bytes(8), b"")
    assert isinstance(told.value, PlatformRefusedError) is refused


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [304, 307, 400, 404, 500])
async def test_whatever_else_it_answers_is_no_answer(serve, call, status):
    source = await serve(answering(status=status, headers={"Location": "https://127.0.0.1:1/"}))
    with pytest.raises(PlatformError, match=f"status {status}"):
        await CALLS[call](source)


@pytest.mark.parametrize(
    ("call", "limit"),
    [
        ("trust", TRUST_BYTES),
        ("snapshot", STATUS_LIST_BYTES),
        ("resolve", RESOLVED_BYTES),
        ("desk", DESK_ANSWER_BYTES),
        ("places", 1 << 20),
    ],
)
async def test_an_answer_that_is_too_long_is_not_read(serve, call, limit):
    source = await serve(answering(bytes(limit + 1)))
    with pytest.raises(PlatformError, match="too long"):
        await CALLS[call](source)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"closed": 5}', b'{"closed": [5]}', b'{"closed": [{"place": "a"}]}', b"[" * 99_999]
)
async def test_places_that_are_none(serve, body):
    with pytest.raises(PlatformError):
        await (await serve(answering(body))).closed_places()


@pytest.mark.parametrize(
    "body", [b"", b"\xff", cbor.encode({1: 5}), cbor.encode({1: [5]}), cbor.encode({1: ["x" * 257]}), cbor.encode([])]
)
async def test_lists_that_are_none(serve, body):
    with pytest.raises(PlatformError):
        await (await serve(answering(body))).lists()


async def test_a_stranger_is_not_talked_to_and_we_need_the_right_certificate(serve, foreign_authority):
    for other in ({"ca": foreign_authority.ca}, {"issuer": foreign_authority}):
        source = await serve(answering(b"bundle"), **other)
        with pytest.raises(PlatformError):
            await source.trust(version=0)
        with pytest.raises(PlatformError):
            async with source.events(last_id=""):
                raise AssertionError


async def test_nobody_there(serve):
    source = await serve(answering())
    gone = HttpsSource(url=f"https://127.0.0.1:{unused_port()}", tls=source._session.connector._ssl)
    with pytest.raises(PlatformError):
        await gone.trust(version=0)
    with pytest.raises(PlatformError):
        async with gone.events(last_id=""):
            raise AssertionError
    await gone.close()


def streaming(*pieces, then=None, content_type="text/event-stream", seen=None):
    async def handler(request):
        if seen is not None:
            seen.append(dict(request.headers))
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then is not None:
            await then.wait()
        return response

    return handler


async def read(source, *, last_id=""):
    async with source.events(last_id=last_id) as events:
        return [event async for event in events]


async def test_events_arrive_as_they_are_written(serve):
    gate = asyncio.Event()
    source = await serve(streaming(b"id: 4\nevent: delta\ndata: AA", b"AA\n\n: alive\n\n", then=gate))
    async with source.events(last_id="") as events:
        assert await anext(events) == Event(kind="delta", data="AAAA", last_id="4")
        gate.set()
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_the_stream_is_asked_for_from_where_it_ended(serve):
    seen = []
    source = await serve(streaming(b"data: x\n\n", seen=seen))
    assert await read(source) == [Event(kind="message", data="x", last_id="")]
    assert await read(source, last_id="41") == [Event(kind="message", data="x", last_id="41")]
    assert [headers.get("Last-Event-ID") for headers in seen] == [None, "41"]
    assert {headers["Accept-Encoding"] for headers in seen} == {"identity"}


async def test_an_idle_stream_is_open_once_entered(serve):
    gate = asyncio.Event()
    source = await serve(streaming(b": hello\n\n", then=gate))
    async with asyncio.timeout(5), source.events(last_id=""):
        gate.set()


async def test_silence_ends_it(serve, monkeypatch):
    monkeypatch.setattr(module, "_STREAM_TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.05))
    source = await serve(streaming(b": hello\n\n", then=asyncio.Event()))
    with pytest.raises(PlatformError, match=r"Timeout|timeout"):
        await read(source)


async def test_a_cut_ends_it(serve):
    async def handler(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: half")
        request.transport.abort()
        return response

    with pytest.raises(PlatformError):
        await read(await serve(handler))


@pytest.mark.parametrize(
    ("handler", "what"),
    [
        (answering(status=503), "status 503"),
        (answering(status=307, headers={"Location": "https://127.0.0.1:1/"}), "status 307"),
        (streaming(b"data: x\n\n", content_type="text/html"), "of type"),
        (streaming(*[bytes(65536)] * 9), "a line"),
        (streaming(*[b"data: " + b"x" * 60_000 + b"\n"] * 18), "an event"),
        (streaming(b"data: \xff\n\n"), "UTF-8"),
        (streaming(b"id: x\ndata: x\n\n"), "no number"),
    ],
)
async def test_a_hostile_stream_ends(serve, handler, what):
    with pytest.raises(PlatformError, match=what):
        await read(await serve(handler))


async def test_an_error_of_whoever_reads_is_not_taken_for_the_platforms(serve):
    source = await serve(streaming(b"data: x\n\ndata: y\n\n"))

    async def fail():
        async with source.events(last_id="") as events:
            async for _ in events:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


async def test_traces_are_asked_for_and_answered(serve):
    seen = []
    source = await serve(answering(encode_traces((b"query",)), seen=seen))
    assert await source.traces() == encode_traces((b"query",))
    source = await serve(answering(status=204, seen=seen))
    await source.answer_trace(bytes(16), b"page")
    assert [(method, path, body) for method, path, _, body in seen] == [
        ("GET", "/v1/traces", b""),
        ("POST", f"/v1/traces/{'00' * 16}/answer", b"page"),
    ]


async def test_a_platform_that_knows_no_traces_has_none_waiting(serve):
    source = await serve(answering(status=404))
    assert await source.traces() == encode_traces(())


@pytest.mark.parametrize("status", [404, 409, 410])
async def test_a_page_that_nobody_waits_for_is_refused_and_not_merely_late(serve, status):
    source = await serve(answering(status=status))
    with pytest.raises(PlatformRefusedError):
        await source.answer_trace(bytes(16), b"page")
