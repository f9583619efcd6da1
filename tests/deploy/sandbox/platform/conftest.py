"""A gate that seals check-ins, a store to take them, and the whole platform on loopback."""

import datetime as dt
import os
import ssl
import time
from dataclasses import dataclass, field

import aiohttp
import pytest

from deploy.sandbox.pki import CertificateAuthority
from deploy.sandbox.platform.authority import load_authority
from deploy.sandbox.platform.config import ApiConfig, PagesConfig, PlatformConfig
from deploy.sandbox.platform.statuses import Statuses
from deploy.sandbox.platform.store import PlatformStore
from deploy.sandbox.platform.wallet import Wallet
from deploy.sandbox.platform.web import Platform
from deploy.sandbox.ports import free_ports
from protocol.batch import Batch, open_batch_receipt, seal_batch, seal_batch_receipt
from protocol.checkin import GENESIS, CheckIn, hash_of, seal_checkin
from protocol.devicekey import DeviceKey, seal_device_key
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict


@dataclass
class GateWriter:
    """Seals a chain as a gate does; `fields` spoil what they name."""

    key: Ed25519SigningKey = field(default_factory=lambda: Ed25519SigningKey(os.urandom(32)))
    device: bytes = field(default_factory=lambda: os.urandom(8))
    epoch: bytes = field(default_factory=lambda: os.urandom(8))
    seq: int = 0
    prev: bytes = GENESIS

    def next(self, key=None, **fields):
        self.seq += 1
        values = {
            "device": self.device,
            "epoch": self.epoch,
            "seq": self.seq,
            "prev": self.prev,
            "at_ms": time.time_ns() // 1_000_000,
            "clock": Clock.TRUSTED,
            "place": "mall",
            "gate": "G1",
            "direction": Direction.IN,
            "colour": Colour.GREEN,
            "verdict": Verdict.ADMIT,
            "reason": Reason.OK,
            "code": os.urandom(16),
            "scheme": Scheme.GATELIGHT,
            "subject": bytes(32),
            **fields,
        }
        data = seal_checkin(CheckIn(**values), key=key or self.key)
        self.prev = hash_of(data)
        return data

    def chain(self, count):
        return tuple(self.next() for _ in range(count))

    @property
    def registered(self):
        return {self.device: {self.key.public.kid: self.key.public}}

    def told(self, key=None):
        return DeviceKey(device=self.device, key=(key or self.key).public, place="mall", gate="G1", from_ms=1)


@pytest.fixture
def gate():
    return GateWriter()


@pytest.fixture
def authority(authority_folder):
    return load_authority(authority_folder)


@pytest.fixture
def statuses(tmp_path, authority):
    statuses = Statuses(tmp_path / "statuses.sqlite", keys=authority.issuers)
    yield statuses
    statuses.close()


@pytest.fixture
def wallet(authority, statuses):
    return Wallet(authority, reference=statuses.reference)


@pytest.fixture
def store(tmp_path, wallet, gate):
    store = PlatformStore(tmp_path / "platform.sqlite", open_subject=wallet.open_subject)
    store.know_device(gate.told())
    yield store
    store.close()


@pytest.fixture
def take(store, authority):
    """(batch) -> the opened receipt."""

    def run(batch):
        answer = store.take(
            batch,
            seal=lambda receipt: seal_batch_receipt(receipt, key=authority.receipts),
            now_ms=time.time_ns() // 1_000_000,
        )
        return open_batch_receipt(answer, key=authority.receipts.public)

    return run


HUB_ID = b"hub-no-1"


class Client:
    """A hub, and everybody else, in front of one platform."""

    def __init__(self, session, config, hub_key, contexts, authority):
        self.session = session
        self.api = f"https://127.0.0.1:{config.api.port}"
        self.pages = f"http://127.0.0.1:{config.pages.port}"
        self.hub_key = hub_key
        self.contexts = contexts
        self.authority = authority
        self.receipts = authority.receipts.public

    def sealed(self, checkins, *, hub=HUB_ID, key=None, batch_id=None):
        batch = Batch(hub=hub, batch_id=batch_id or os.urandom(16), checkins=tuple(checkins))
        return seal_batch(batch, key=key or self.hub_key)

    async def post(self, body, *, who="hub"):
        async with self.session.post(f"{self.api}/v1/checkins", data=body, ssl=self.contexts[who]) as answer:
            return answer.status, await answer.read()

    async def tell(self, told, *, key=None, kid=None):
        body = seal_device_key(told, key=key or self.hub_key)
        url = f"{self.api}/v1/device-keys/{kid or told.key.kid.hex()}"
        async with self.session.put(url, data=body, ssl=self.contexts["hub"]) as answer:
            return answer.status

    async def fetch(self, path, *, who="hub", **headers):
        async with self.session.get(f"{self.api}{path}", ssl=self.contexts[who], headers=headers) as answer:
            return answer.status, await answer.read(), answer.headers.get("ETag")

    async def control(self, what, wish):
        async with self.session.post(f"{self.pages}/sandbox/{what}", json=wish) as answer:
            return answer.status, await answer.json()

    async def get(self, path):
        async with self.session.get(f"{self.pages}{path}") as answer:
            return answer

    async def summary(self):
        async with self.session.get(f"{self.pages}/v1/summary") as answer:
            return await answer.json()

    async def code(self, wish):
        async with self.session.post(f"{self.pages}/sandbox/codes", json=wish) as answer:
            return answer.status, await answer.json()


def client_context(ca, files=None):
    context = ssl.create_default_context(cafile=str(ca))
    if files is not None:
        context.load_cert_chain(files.cert, files.key)
    return context


@pytest.fixture
async def platform(tmp_path, authority, authority_folder, gate):
    now = dt.datetime.now(dt.UTC)
    ca = CertificateAuthority(tmp_path / "ca", name="platform", now=now)
    other = CertificateAuthority(tmp_path / "other", name="other", now=now)
    server = ca.server("platform")
    hub_key = Ed25519SigningKey(os.urandom(32))
    api_port, pages_port = free_ports(2)
    config = PlatformConfig(
        authority=authority_folder,
        database=tmp_path / "platform.sqlite",
        api=ApiConfig(host="127.0.0.1", port=api_port, ca=server.ca, cert=server.cert, key=server.key),
        pages=PagesConfig(host="127.0.0.1", port=pages_port),
        hubs={HUB_ID: hub_key.public},
    )
    contexts = {
        "hub": client_context(server.ca, ca.client(HUB_ID.hex())),
        "other_hub": client_context(server.ca, ca.client("aa" * 8)),
        "no_hex": client_context(server.ca, ca.client("nobody")),
        "no_certificate": client_context(server.ca),
        "foreign_certificate": client_context(server.ca, other.client(HUB_ID.hex())),
        "old_tls": client_context(server.ca, ca.client("old")),
    }
    contexts["old_tls"].maximum_version = ssl.TLSVersion.TLSv1_2
    running = Platform(config)
    await running.start()
    async with aiohttp.ClientSession() as session:
        client = Client(session, config, hub_key, contexts, authority)
        assert await client.tell(gate.told()) == 204
        yield client
    await running.stop()
