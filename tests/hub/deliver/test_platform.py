"""The HTTPS client against a real TLS server on loopback."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from hub.deliver.forward import Forward
from hub.deliver.platform import HttpsPlatform, PlatformError
from hub.main import mutual_tls
from protocol.batch import open_batch

pytestmark = pytest.mark.sockets


@pytest.fixture
async def serve(authority):
    """Start a server with a handler; the client that talks to it."""
    closers = []

    async def start(handler, *, ca=None, issuer=None):
        app = web.Application(client_max_size=2 << 20)
        app.router.add_post("/base/v1/checkins", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        port = unused_port()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=authority.server_context()).start()
        cert, key = (issuer or authority).issue("hub")
        client = HttpsPlatform(
            url=f"https://127.0.0.1:{port}/base/", tls=mutual_tls(ca=ca or authority.ca, cert=cert, key=key)
        )
        closers.extend((client.close, runner.cleanup))
        return client

    yield start
    for close in closers:
        await close()


async def test_a_batch_is_posted_as_cose_over_tls_13_with_our_certificate(serve):
    seen = {}

    async def handler(request):
        tls = request.transport.get_extra_info("ssl_object")
        seen["version"] = tls.version()
        seen["name"] = dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"]
        seen["type"] = request.content_type
        return web.Response(body=await request.read(), status=202)

    client = await serve(handler)
    status, body = await client.post(b"hello")
    assert (status, body) == (202, b"hello")
    assert seen == {"version": "TLSv1.3", "name": "hub", "type": "application/cose"}


async def test_an_answer_that_is_too_long_is_none(serve):
    async def handler(request):
        return web.Response(body=bytes(65 * 1024))

    with pytest.raises(PlatformError, match="too long"):
        await (await serve(handler)).post(b"")


async def test_a_redirect_is_not_followed(serve):
    async def handler(request):
        raise web.HTTPTemporaryRedirect("https://127.0.0.1:1/")

    status, _ = await (await serve(handler)).post(b"")
    assert status == 307


async def test_a_server_of_another_authority_is_not_talked_to(serve, foreign_authority):
    async def handler(request):
        raise AssertionError

    client = await serve(handler, ca=foreign_authority.ca)
    with pytest.raises(PlatformError, match="Certificate"):
        await client.post(b"")


async def test_we_are_not_let_in_without_the_right_certificate(serve, foreign_authority):
    async def handler(request):
        raise AssertionError

    client = await serve(handler, issuer=foreign_authority)
    with pytest.raises(PlatformError):
        await client.post(b"")


async def test_nobody_there_and_a_cut_connection_are_errors(serve):
    async def handler(request):
        request.transport.abort()
        await asyncio.sleep(0)
        return web.Response()

    client = await serve(handler)
    with pytest.raises(PlatformError):
        await client.post(b"")
    gone = HttpsPlatform(url=f"https://127.0.0.1:{unused_port()}", tls=client._session.connector._ssl)
    with pytest.raises(PlatformError):
        await gone.post(b"")
    await gone.close()


async def test_the_whole_way_to_a_receipt(*, serve, outbox, platform, hub_key, gate, eventually):
    async def handler(request):
        body = await request.read()
        assert open_batch(body, key=hub_key.public)
        status, answer = await platform.post(body)
        return web.Response(body=answer, status=status, content_type="application/cose")

    outbox.forward = Forward(
        store=outbox.store,
        platform=await serve(handler),
        hub_id=b"hub-hub-",
        key=hub_key,
        trust=platform.trust,
        key_of=lambda *_: gate.key.public,
        announced=lambda _: True,
        new_id=lambda: bytes(16),
        health=outbox.health,
        metrics=outbox.metrics,
        now_ms=lambda: outbox.now_ms,
    )
    await outbox.put(20)
    running = asyncio.create_task(outbox.forward.run())
    outbox.forward.wake()

    async def delivered():
        return (await outbox.store.status()).outbox_rows == 0

    await eventually(delivered)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert platform.stored == gate.chain
