"""The whole hub as a process: broker, database, platform, health pages, signals."""

import asyncio
import hashlib
import json
import signal
import sys
import tracemalloc

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.model import AuditEntry, Gate, Place
from hub.startup import new_presence, read_bundle, read_signing_key
from hub.store.sqlite import open_store
from protocol.batch import BatchReceipt, open_batch, seal_batch_receipt
from protocol.errors import LimitError, ProtocolError
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.presence import decode_hub_presence
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, open_trust, seal_trust

RUN = "import sys, pathlib; from hub.config import load; from hub.main import run; sys.exit(run(load(pathlib.Path(sys.argv[1]))))"


def key_file(path, line, mode=0o600):
    path.write_text(line)
    path.chmod(mode)
    return path


def test_an_ed25519_key_is_a_line_of_hex(tmp_path):
    key = read_signing_key(key_file(tmp_path / "k", f"ed25519 {bytes(range(32)).hex()}\n"))
    assert key.public.kid == Ed25519SigningKey(bytes(range(32))).public.kid


def test_a_p256_key_is_pem(tmp_path):
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key = read_signing_key(key_file(tmp_path / "k", pem))
    key.public.verify(b"x", key.sign(b"x"))


@pytest.mark.parametrize(
    ("line", "mode", "what"),
    [
        ("ed25519 " + "00" * 32, 0o644, "chmod"),
        ("rsa 00", 0o600, "neither"),
        ("ed25519 00", 0o600, "32"),
        ("ed25519 zz", 0o600, "hex"),
    ],
)
def test_other_key_files_are_refused(tmp_path, line, mode, what):
    with pytest.raises((ValueError, ProtocolError), match=what):
        read_signing_key(key_file(tmp_path / "k", line, mode))


def test_each_connection_has_a_session_of_its_own():
    one, other = new_presence(), new_presence()
    online, offline = decode_hub_presence(one.online.payload), decode_hub_presence(one.offline.payload)
    assert (online.online, offline.online) == (True, False)
    assert online.session == offline.session != decode_hub_presence(other.online.payload).session
    assert one.online.retain
    assert one.offline.retain


class Process:
    """The hub in a process of its own."""

    def __init__(self, config):
        self._config, self.lines = config, []

    async def start(self):
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", RUN, self._config, stdout=asyncio.subprocess.PIPE
        )
        self._reader = asyncio.create_task(self._read())

    async def _read(self):
        async for line in self._process.stdout:
            self.lines.append(json.loads(line))

    @property
    def events(self):
        return [line["event"] for line in self.lines]

    async def end(self, number=signal.SIGTERM):
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(20):
            code = await self._process.wait()
            await self._reader
        return code


@pytest.fixture
async def platform(authority, hub_key):
    """A platform that stores and signs, over mutual TLS."""
    key = Ed25519SigningKey(hashlib.sha256(b"platform").digest())
    stored = []

    async def handler(request):
        batch = open_batch(await request.read(), key=hub_key.public)
        stored.extend(data for data in batch.checkins if data not in stored)
        receipt = BatchReceipt(batch_id=batch.batch_id, stored=len(batch.checkins), rejected=(), at_ms=1)
        return web.Response(body=seal_batch_receipt(receipt, key=key), content_type="application/cose")

    async def know(_request):
        return web.Response(status=204)

    app = web.Application(client_max_size=2 << 20)
    app.router.add_post("/v1/checkins", handler)
    app.router.add_put("/v1/device-keys/{kid}", know)
    runner = web.AppRunner(app)
    await runner.setup()
    port = unused_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=authority.server_context("platform")).start()
    yield key, f"https://127.0.0.1:{port}", stored
    await runner.cleanup()


@pytest.fixture
async def hub(tmp_path, authority, mosquitto, platform, gate):
    platform_key, url, _ = platform
    root = Ed25519SigningKey(hashlib.sha256(b"root").digest())
    trusted = TrustedKey(
        key=platform_key.public, uses=frozenset({KeyUse.BATCH_RECEIPT}), not_before_s=0, not_after_s=2**33
    )
    issuers = (Issuer(name="platform", region="cn", keys=(trusted,)),)
    bundle = TrustBundle(version=1, issued_s=0, expires_s=2**33, issuers=issuers)
    (tmp_path / "trust.cose").write_bytes(seal_trust(bundle, key=root))
    (tmp_path / "root.pub").write_bytes(encode_key(root.public))
    key_file(tmp_path / "signing.key", f"ed25519 {hashlib.sha256(b'hub').hexdigest()}\n")
    cert, key = authority.issue("hub")
    tls = f'ca = "{authority.ca}"\ncert = "{cert}"\nkey = "{key}"\n'
    port = unused_port()
    config = tmp_path / "hub.toml"
    config.write_text(
        f'hub_id = "0011223344556677"\ndatabase = "hub.sqlite"\n'
        f'[keys]\nsigning = "signing.key"\nroot = "root.pub"\n[trust]\nbundle = "trust.cose"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {mosquitto.port}\n{tls}'
        f'[platform]\nurl = "{url}"\n{tls}[http]\nport = {port}\n'
    )
    audit = AuditEntry(at_ms=0, who="test", action="test", detail="")
    store = await open_store(tmp_path / "hub.sqlite", create=True)
    await store.add_place(Place(place_id="mall", name="Mall"), audit=audit)
    await store.add_gate(Gate(place_id="mall", gate_id="north", name="North"), audit=audit)
    await store.add_device(gate.registered(), audit=audit)
    await store.close()
    process = Process(config)
    process.url = f"http://127.0.0.1:{port}"
    await process.start()
    yield process
    await process.end(signal.SIGKILL)


async def page(hub, path):
    async with aiohttp.ClientSession() as session, session.get(hub.url + path) as answer:
        return answer.status, await answer.text()


@pytest.fixture
def until_ready(eventually):
    async def wait(hub):
        async def ready():
            try:
                return (await page(hub, "/readyz"))[0] == 200
            except aiohttp.ClientError:
                return False

        await eventually(ready)

    return wait


@pytest.mark.sockets
@pytest.mark.system
@pytest.mark.slow
async def test_from_gate_to_platform_and_an_orderly_end(
    *, until_ready, eventually, hub, platform, connect_gate, gate, hub_key
):
    await until_ready(hub)
    client = connect_gate(gate)
    assert (await client.presence()).online
    gate.make(100)
    for first in range(1, 101, 20):
        client.send(gate.message(first, first + 19))
    while (await client.receipt(hub_key)).seq < 100:
        pass

    async def delivered():
        return "gatelight_hub_outbox_rows 0.0" in (await page(hub, "/metrics"))[1]

    await eventually(delivered)
    assert sorted(platform[2]) == sorted(gate.chain)
    text = (await page(hub, "/metrics"))[1]
    assert "gatelight_hub_checkins_stored_total 100.0" in text
    assert (await page(hub, "/healthz"))[0] == 200
    assert await hub.end() == 0
    assert not (await client.presence()).online
    assert hub.events[-1] == "hub_stopped"
    assert {"hub_started", "broker_ready"} <= set(hub.events)


@pytest.mark.sockets
@pytest.mark.system
@pytest.mark.slow
async def test_a_killed_hub_goes_on_where_it_was_and_its_will_tells_the_gates(
    *, until_ready, eventually, hub, platform, connect_gate, gate, hub_key
):
    await until_ready(hub)
    client = connect_gate(gate)
    before = await client.presence()
    gate.make(40)
    client.send(gate.message(1, 20))
    while (await client.receipt(hub_key)).seq < 20:
        pass
    assert await hub.end(signal.SIGKILL) == -signal.SIGKILL
    assert not (await client.presence()).online
    await hub.start()
    after = await client.presence()
    assert after.online
    assert after.session != before.session
    client.send(gate.message(11, 40))
    while (await client.receipt(hub_key)).seq < 40:
        pass
    await eventually(lambda: len(platform[2]) >= 40)
    assert sorted(platform[2]) == sorted(gate.chain)


@pytest.mark.sockets
@pytest.mark.system
@pytest.mark.slow
async def test_without_a_broker_it_is_alive_and_not_ready(*, until_ready, eventually, hub, mosquitto):
    await until_ready(hub)
    mosquitto.kill()

    async def unready():
        return (await page(hub, "/readyz"))[0] == 503

    await eventually(unready)
    _status, text = await page(hub, "/readyz")
    said = json.loads(text)
    assert (said["ready"], said["reasons"]) == (False, {"broker": "not connected"})
    assert (await page(hub, "/healthz"))[0] == 200
    mosquitto.start()
    await until_ready(hub)


@pytest.mark.sockets
@pytest.mark.system
@pytest.mark.slow
async def test_a_hub_without_its_files_says_what_is_wrong_and_ends(*, until_ready, hub, tmp_path):
    await until_ready(hub)
    assert await hub.end() == 0
    (tmp_path / "signing.key").chmod(0o640)
    await hub.start()
    assert await hub.end(0) == 1
    assert "chmod" in hub.lines[-1]["what"]


def test_a_huge_bundle_is_not_read_whole(tmp_path):
    path = tmp_path / "trust.cose"
    with path.open("wb") as file:
        file.truncate(10**8)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            open_trust(read_bundle(path), root=Ed25519SigningKey(bytes(32)).public)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
