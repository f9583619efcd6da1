"""The mirror at the enrolment listener: real TLS on loopback, and a real python-tuf client as a device's."""

import asyncio
import contextlib
import hashlib
import os
import ssl
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from tuf.ngclient import Updater

from hub.enrol import server as listener
from hub.enrol.rates import neighbourhood
from hub.firmware import serving
from hub.firmware.imports import import_repository
from hub.firmware.serving import FirmwareFiles
from hub.firmware.sources import HttpsFetcher
from hub.health import Metrics
from hub.store.sqlite import open_store
from tests.hub.enrol.conftest import Hub

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

LONG = 8 * 1024 * 1024
"""More than every buffer between the two holds."""


@pytest.fixture
def data():
    return os.urandom(1024) * (LONG // 1024)


@pytest.fixture
def target(publisher, mirror, data):
    """The name that it is asked for by."""
    publisher.add("0.2.0", data=data)
    import_repository(str(publisher.publish().folder), mirror=mirror, root=publisher.root_bytes, now_ms=1)
    return f"/firmware/targets/{hashlib.sha256(data).hexdigest()}.gatelight-0.2.0-sandbox.tar.gz"


@pytest.fixture
async def hub(tmp_path, hub_authority, hub_key, mirror):
    store = await open_store(tmp_path / "hub.db", create=True)
    metrics = Metrics()
    files = FirmwareFiles(mirror=mirror, neighbourhood=neighbourhood, metrics=metrics)
    built = Hub(
        store=store, authority=hub_authority, folder=tmp_path, hub_key=hub_key, others=files.routes,
        is_busy=files.is_busy,
    )  # fmt: skip
    built.files, built.metrics = files, metrics
    await built.server.start()
    yield built
    await built.server.close()
    await store.close()


def counted(hub):
    """The metric's lines: {(kind, result): n}."""
    lines = [
        line for line in generate_latest(hub.metrics.registry).decode().splitlines() if "firmware_files_total{" in line
    ]
    return {tuple(line.split('"')[1::2]): int(float(line.split()[-1])) for line in lines}


@contextlib.asynccontextmanager
async def asking(hub, path):
    """A client that has asked for this and reads when the test does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.server.port, ssl=hub.tls(), limit=4096)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: hub\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.transport.abort()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()


async def headers_of(reader):
    return await reader.readuntil(b"\r\n\r\n")


async def test_a_device_fetches_what_the_publisher_signed(hub, target, data, publisher, tmp_path):
    (tmp_path / "got").mkdir()
    ca = tmp_path / "ca.pem"
    ca.write_text(ssl.DER_cert_to_PEM_cert(hub.authority.der))

    def fetch():
        base = f"https://127.0.0.1:{hub.server.port}/firmware"
        updater = Updater(
            str(tmp_path / "device"),
            f"{base}/metadata/",
            str(tmp_path / "got"),
            f"{base}/targets/",
            fetcher=HttpsFetcher(ca=ca),
            bootstrap=publisher.root_bytes,
        )
        return updater.download_target(updater.get_targetinfo("gatelight-0.2.0-sandbox.tar.gz"))

    (tmp_path / "device").mkdir()
    path = await asyncio.to_thread(fetch)
    assert await asyncio.to_thread(Path(path).read_bytes) == data
    # A root after the first was asked for, and there is none.
    assert counted(hub) == {("metadata", "sent"): 3, ("metadata", "missing"): 1, ("target", "sent"): 1}


@pytest.mark.parametrize(
    "name",
    [
        "metadata/root.json",
        "metadata/0.root.json",
        "metadata/2.root.json",
        "metadata/1.root.json.new",
        "metadata/..%2Findex.json",
        "metadata/../index.json",
        "metadata/%2e%2e%2ftrusted%2froot.json",
        "metadata/timestamp.json%00",
        "metadata/timestamp.json%0a",
        "metadata/1.other.json",
        "metadata/",
        "targets/" + "0" * 64 + ".gatelight-0.2.0-sandbox.tar.gz",
        "targets/..%2F..%2Fmetadata%2Ftimestamp.json",
        "targets/gatelight-0.2.0-sandbox.tar.gz",
        "index.json",
    ],
)
async def test_no_other_file_is_served(hub, target, name):
    async with asking(hub, f"/firmware/{name}") as reader:
        assert b" 404 " in (await headers_of(reader)).splitlines()[0]


async def test_neither_links_nor_pipes_nor_folders_nor_giants_are_served(hub, target, mirror, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (mirror.metadata / "7.root.json").symlink_to(secret)
    os.mkfifo(mirror.metadata / "8.root.json")
    (mirror.metadata / "9.root.json").mkdir()
    with (mirror.metadata / "6.root.json").open("wb") as file:
        file.truncate(5_000_001)
    for number in (6, 7, 8, 9):
        status, body, kind = await hub.ask("GET", f"/firmware/metadata/{number}.root.json")
        assert (status, kind) == (404, "application/json")
        assert b"not_found" in body
    assert counted(hub) == {("metadata", "missing"): 4}


async def test_other_methods_are_refused(hub, target):
    for method in ("HEAD", "POST", "PUT", "DELETE"):
        assert (await hub.ask(method, "/firmware/metadata/timestamp.json"))[0] == 405


async def test_a_download_outlasts_the_time_of_a_connection_and_the_connection_ends_after_it(
    hub, target, data, monkeypatch
):
    monkeypatch.setattr(listener, "_CONNECTION_S", 0.02)
    looked, end = asyncio.Semaphore(0), hub.server._end

    def noting(protocol):
        looked.release()
        end(protocol)

    monkeypatch.setattr(hub.server, "_end", noting)
    async with asking(hub, target) as reader, asyncio.timeout(30):
        head = await headers_of(reader)
        for _ in range(3):
            await looked.acquire()
        assert await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0])) == data
        assert await reader.read() == b""
    assert counted(hub) == {("target", "sent"): 1}
    assert not hub.files._busy
    assert not hub.files._places


async def test_who_takes_too_little_is_dropped(hub, target, data, monkeypatch, eventually):
    monkeypatch.setattr(serving, "_GRACE_S", 0.05)
    monkeypatch.setattr(serving, "SLOWEST_BPS", 10**12)
    async with asking(hub, target) as reader, asyncio.timeout(30):
        await headers_of(reader)
        await eventually(lambda: counted(hub))
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert len(await reader.read()) < len(data)
    assert counted(hub) == {("target", "slow"): 1}
    assert not hub.files._places


async def test_places_are_bounded_and_given_back(hub, target, monkeypatch, eventually):
    monkeypatch.setattr(serving, "PLACES_OF_ONE", 2)
    async with asking(hub, target) as one, asking(hub, target) as other:
        await headers_of(one)
        await headers_of(other)
        status, body, _ = await hub.ask("GET", target)
        assert (status, b"busy" in body) == (503, True)
        assert (await hub.ask("GET", "/firmware/metadata/timestamp.json"))[0] == 200

    async def is_free():
        return (await hub.ask("GET", target))[0] == 200

    await eventually(is_free)
    assert counted(hub)["target", "broken"] == 2
    monkeypatch.setattr(serving, "PLACES", 0)
    assert (await hub.ask("GET", target))[0] == 503


async def test_a_file_that_shrinks_meanwhile_is_a_broken_answer(hub, target, mirror, data):
    async with asking(hub, target) as reader, asyncio.timeout(30):
        await headers_of(reader)
        os.truncate(mirror.targets / target.rpartition("/")[2], 1024 * 1024)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert len(await reader.read()) < len(data)
