"""A hub's enrolment server with real TLS on loopback, and clients of every sort."""

import ssl

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.enrol.http import EnrolmentPages
from hub.enrol.rates import Rates
from hub.enrol.refusals import Refusals
from hub.enrol.server import EnrolmentServer
from hub.health import Health
from hub.registry import changes, decisions
from hub.registry.changes import Operator
from hub.registry.configuration import Addresses, Configurations
from hub.registry.enrolments import make_token
from hub.store.sqlite import open_store
from protocol.enrolment import EnrolmentState, decode_answer
from protocol.keys import Ed25519SigningKey
from protocol.terms import Direction

ROOT = Ed25519SigningKey(bytes([9]) * 32)


class Clock:
    def __init__(self):
        self.now_ms = 1_790_000_000_000

    def __call__(self):
        return self.now_ms


class Hub:
    """The server, its store, and whoever asks it."""

    def __init__(self, *, store, authority, folder, hub_key, others=(), is_busy=lambda _: False):
        self.store, self.authority, self.folder = store, authority, folder
        self.clock, self.health = Clock(), Health()
        self.policies = []
        configurations = Configurations(
            store=store,
            addresses=Addresses(
                broker_host="broker.example",
                broker_port=8883,
                hub_url="https://127.0.0.1:8444",
                ca=authority.der,
                hub_keys=(hub_key.public,),
                root=ROOT.public,
            ),
            policy_for=self._policy_for,
            trust=lambda: b"sealed trust",
        )
        self.refusal_rates = Rates(burst=1000, per_s=0)
        self.pages = EnrolmentPages(
            store=store,
            authority=authority,
            configurations=configurations,
            now_ms=self.clock,
            refusals=Refusals(store=store, rates=self.refusal_rates),
            others=others,
            is_busy=is_busy,
        )
        self.server = EnrolmentServer(
            pages=self.pages,
            store=store,
            authority=authority,
            server_name="127.0.0.1",
            host="127.0.0.1",
            port=0,
            health=self.health,
            now_ms=self.clock,
        )

    async def _policy_for(self, device, place, gate, direction):
        self.policies.append((device, place, gate, direction))
        return b"sealed policy"

    @property
    def operator(self):
        return Operator(who="wang", now_ms=self.clock.now_ms)

    async def token(self, **changes):
        values = {"place_id": "mall", "gate_id": None, "direction": Direction.IN, "devices": 1, "minutes": 10}
        secret, _ = await make_token(self.store, operator=self.operator, **(values | changes))
        return secret

    async def approve(self, answer, **more):
        return await decisions.approve(
            self.store, operator=self.operator, authority=self.authority, enrolment_id=answer.id, **more
        )

    async def audits(self, action):
        return [entry for entry in await self.store.audit_log(limit=999) if entry.action == action]

    def tls(self, *, cert=None, key=None):
        """A client's context that trusts this authority alone, as strictly as OpenSSL can."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=self.authority.der)
        if cert is not None:
            path = self.folder / "identity.pem"
            private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            path.write_bytes(private + x509.load_der_x509_certificate(cert).public_bytes(Encoding.PEM))
            context.load_cert_chain(path)
        return context

    async def ask(self, method, path, data=None, *, tls=None):
        """(status, body, content type)."""
        url = f"https://127.0.0.1:{self.server.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=data, ssl=tls or self.tls()) as response,
        ):
            return response.status, await response.read(), response.content_type

    async def enrol(self, newcomer, **changes):
        status, body, _ = await self.ask("POST", "/v1/enrolments", newcomer.request(**changes))
        assert status == 200, body
        return decode_answer(body)

    async def look(self, enrolment_id):
        status, body, _ = await self.ask("GET", f"/v1/enrolments/{enrolment_id.hex()}")
        assert status == 200, body
        return decode_answer(body)

    async def enrolled(self, newcomer):
        """The newcomer as a registered device: (its configuration, its TLS identity)."""
        newcomer.token = await self.token()
        waiting = await self.enrol(newcomer)
        await self.approve(waiting)
        answer = await self.look(waiting.id)
        assert answer.state is EnrolmentState.APPROVED
        configuration = answer.configuration
        return configuration, self.tls(cert=configuration.chain[0], key=newcomer.tls_key)


@pytest.fixture
async def hub(tmp_path, hub_authority, hub_key):
    store = await open_store(tmp_path / "hub.db", create=True)
    built = Hub(store=store, authority=hub_authority, folder=tmp_path, hub_key=hub_key)
    await changes.add_place(store, operator=built.operator, place_id="mall", name="", region="", responsible="")
    await built.server.start()
    yield built
    await built.server.close()
    await store.close()
