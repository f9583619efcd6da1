"""TLS, the server's own certificate, and connections."""

import asyncio
import contextlib
import ssl
import tempfile

import pytest
from cryptography import x509

from hub.enrol import server as stage
from hub.store.errors import StoreWriteError

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

DAY_MS = 86_400_000


@contextlib.asynccontextmanager
async def connected(hub):
    """A connection after its handshake: (reader, writer)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.server.port, ssl=hub.tls())
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()


async def presented(hub):
    """The certificate that the server shows, and the version of TLS."""
    async with connected(hub) as (_, writer):
        connection = writer.get_extra_info("ssl_object")
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)), connection.version()


async def is_dropped(hub):
    """Whether the server hangs up before anything was asked."""
    async with connected(hub) as (reader, _):
        try:
            async with asyncio.timeout(0.2):
                return await reader.read() == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


async def test_the_server_shows_a_certificate_of_its_own_authority_that_was_written_down(hub):
    certificate, version = await presented(hub)
    assert version == "TLSv1.3"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    known = await hub.store.find_certificate(certificate.serial_number.to_bytes(16, "big"))
    assert (known.device_id, known.name) == (None, "127.0.0.1")
    (entry,) = await hub.audits("ca.issue")
    assert known.serial.hex() in entry.detail


async def test_older_tls_is_not_spoken(hub):
    context = hub.tls()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", hub.server.port, ssl=context)


async def test_the_certificate_is_renewed_before_it_ends_while_the_server_runs(hub):
    first, _ = await presented(hub)
    hub.clock.now_ms += 59 * DAY_MS
    await hub.server.step()
    assert (await presented(hub))[0] == first
    hub.clock.now_ms += 2 * DAY_MS
    await hub.server.step()
    second, _ = await presented(hub)
    assert second.not_valid_after_utc > first.not_valid_after_utc
    assert hub.health.troubles() == {}


async def test_a_round_that_fails_is_said_and_tried_again(hub, monkeypatch):
    async def fails(*_, **__):
        raise StoreWriteError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(hub.store, "add_certificate", fails)
        hub.clock.now_ms += 80 * DAY_MS
        await hub.server.step()
    assert hub.health.troubles() == {"enrol": "the disk is full"}
    await hub.server.step()
    assert hub.health.troubles() == {}


async def test_no_key_stays_on_the_disk(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    hub.clock.now_ms += 80 * DAY_MS
    await hub.server.step()
    assert list((tmp_path / "temporary").iterdir()) == []


async def test_the_queue_is_kept_short(hub, make_newcomer):
    waiting = await hub.enrol(make_newcomer("a", token=await hub.token()))
    hub.clock.now_ms += 25 * 3_600_000
    await hub.server.step()
    assert (await hub.store.find_enrolment(waiting.id)).reason == "undecided for 24 h"


async def test_connections_beyond_the_bound_are_dropped_and_others_go_on(hub, monkeypatch, eventually):
    monkeypatch.setattr(stage, "_CONNECTIONS_MAX", 2)
    async with connected(hub), connected(hub):
        assert await is_dropped(hub)

    async def is_let_in():
        return not await is_dropped(hub)

    await eventually(is_let_in)


async def test_who_says_nothing_is_dropped(hub, monkeypatch):
    assert not await is_dropped(hub)
    monkeypatch.setattr(stage, "_CONNECTION_S", 0.05)
    async with connected(hub) as (reader, _), asyncio.timeout(10):
        assert await reader.read() == b""


async def test_a_body_that_does_not_come_is_not_waited_for(hub, monkeypatch):
    monkeypatch.setattr("hub.enrol.http._BODY_S", 0.05)
    async with connected(hub) as (reader, writer), asyncio.timeout(10):
        writer.write(b"POST /v1/enrolments HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\nxx")
        assert b"400" in await reader.readline()


async def test_a_port_that_is_taken_is_an_error(hub, make_newcomer):
    taken = stage.EnrolmentServer(
        pages=hub.pages,
        store=hub.store,
        authority=hub.authority,
        server_name="127.0.0.1",
        host="127.0.0.1",
        port=hub.server.port,
        health=hub.health,
        now_ms=hub.clock,
    )
    with pytest.raises(OSError, match="address already in use"):
        await taken.start()
    await taken.close()
