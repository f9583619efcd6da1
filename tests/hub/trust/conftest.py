"""A platform with real keys, in memory, and a broker that remembers what stands on it."""

import asyncio
import base64
import hashlib
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hub.health import Health, Metrics
from hub.model import Device, DeviceState, Gate, Place
from hub.registry.changes import Operator
from hub.store.sqlite import open_store
from hub.trust.bundle import Bundle
from hub.trust.fetch import Fetch
from hub.trust.follow import Follow
from hub.trust.keeping import Keeping
from hub.trust.lists import Lists
from hub.trust.places import PlatformPlaces
from hub.trust.ports import ClosedPlace, PlatformError
from hub.trust.refusals import Refusals
from hub.trust.shelf import Shelf
from hub.trust.sse import Event
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.statuslist import ListToken, StatusDelta, apply_delta, list_id, seal_delta, seal_list
from protocol.terms import Direction
from protocol.trace import encode_traces
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, seal_trust

NOW_S = 1_795_000_000
URI = "https://status.example/lists/1"
ENTRIES = 4096


def signing_key(name):
    return Ed25519SigningKey(hashlib.sha256(name.encode()).digest())


def trusted(key, *uses):
    return TrustedKey(key=key.public, uses=frozenset(uses), not_before_s=0, not_after_s=NOW_S + 10**8)


class Now:
    """Both clocks, in the test's hands."""

    def __init__(self):
        self.s = float(NOW_S)

    def ms(self):
        return round(self.s * 1000)

    def mono(self):
        return self.s


class FakeBroker:
    """`hub.trust.ports.Publisher`: what was written, and what stands retained. `connect` begins a new connection."""

    def __init__(self):
        self.generation = 1
        self.there = True
        self.full_after = None
        self.sent = []
        self.retained = {}

    def publish(self, messages):
        messages = list(messages)
        if not self.there or (self.full_after is not None and len(self.sent) >= self.full_after):
            return False
        for message in messages:
            self.sent.append((message.topic, message.payload, message.retain))
            if message.retain and message.payload:
                self.retained[message.topic] = message.payload
            elif message.retain:
                self.retained.pop(message.topic, None)
        return True

    def lose_everything(self):
        """It restarted, and it keeps nothing."""
        self.generation += 1
        self.there = True
        self.sent.clear()
        self.retained.clear()

    def live(self, topic):
        return [payload for sent, payload, retain in self.sent if sent == topic and not retain]

    def topics(self):
        return [topic for topic, _, _ in self.sent]


class SimulatedPlatform:
    """`hub.trust.ports.Source` with real signatures. `broken`: parts that answer with an error."""

    def __init__(self):
        self.root, self.issuer, self.other = signing_key("root"), signing_key("issuer"), signing_key("other issuer")
        self.receipts, self.tracer = signing_key("receipts"), signing_key("tracer")
        self.bundle = TrustBundle(
            version=7,
            issued_s=NOW_S,
            expires_s=NOW_S + 100 * 86_400,
            issuers=(
                Issuer(
                    name="city",
                    region="110000",
                    keys=(
                        trusted(self.issuer, KeyUse.CODE, KeyUse.STATUS, KeyUse.RESOLVED),
                        trusted(self.receipts, KeyUse.BATCH_RECEIPT),
                        trusted(self.tracer, KeyUse.TRACE),
                    ),
                ),
                Issuer(name="neighbour", region="120000", keys=(trusted(self.other, KeyUse.STATUS),)),
            ),
        )
        self.lists_by_uri = {}
        self.closed = {}
        self.broken = set()
        self.asked = []
        self.streams = []
        self.history = []
        self.keys = {}
        self.queries = []
        self.pages = []
        self.now_s = NOW_S

    @property
    def trust_bytes(self):
        return seal_trust(self.bundle, key=self.root)

    def _ask(self, what):
        self.asked.append(what)
        if what in self.broken or "everything" in self.broken:
            raise PlatformError(f"{what}: status 503")

    def add_list(self, uri=URI, *, version=1, entries=ENTRIES, key=None):
        self.lists_by_uri[uri] = SimpleNamespace(
            packed=bytearray(entries // 4), version=version, key=key or self.issuer
        )

    def token(self, uri=URI, **changes):
        entry = self.lists_by_uri[uri]
        token = ListToken(uri=uri, version=entry.version, issued_s=self.now_s, packed=bytes(entry.packed))
        return seal_list(replace(token, **changes), key=entry.key)

    def delta(self, *changes, uri=URI, key=None, **other):
        """The next version of a list, and the delta that leads to it."""
        entry = self.lists_by_uri[uri]
        delta = StatusDelta(
            uri=uri, from_version=entry.version, to_version=entry.version + 1, issued_s=self.now_s, changes=changes
        )
        delta = replace(delta, **other)
        if not other:
            apply_delta(entry.packed, delta)
            entry.version += 1
        return seal_delta(delta, key=key or entry.key)

    def heartbeat(self, uri=URI, **other):
        version = self.lists_by_uri[uri].version
        beat = StatusDelta(uri=uri, from_version=version, to_version=version, issued_s=self.now_s)
        return seal_delta(replace(beat, **other), key=self.lists_by_uri[uri].key)

    def event(self, kind, data):
        self.history.append(Event(kind=kind, data=data, last_id=str(len(self.history) + 1)))
        for stream in self.streams:
            stream.put_nowait(self.history[-1])
        return self.history[-1]

    def delta_event(self, data):
        return self.event("delta", base64.b64encode(data).decode())

    def place_event(self, place, *, closed, why=""):
        if closed:
            self.closed[place] = why
        else:
            self.closed.pop(place, None)
        return self.event("place", json.dumps({"place": place, "closed": closed, "why": why}))

    def hang_up(self):
        for stream in self.streams:
            stream.put_nowait(None)

    async def trust(self, *, version):
        self._ask("trust")
        return None if version == self.bundle.version else self.trust_bytes

    async def lists(self):
        self._ask("lists")
        return tuple(self.lists_by_uri)

    async def snapshot(self, list_id_, *, version):
        self._ask("snapshot")
        uri = next(uri for uri in self.lists_by_uri if list_id(uri) == list_id_)
        return None if version == self.lists_by_uri[uri].version else self.token(uri)

    async def closed_places(self):
        self._ask("places")
        return tuple(ClosedPlace(place_id=place, why=why) for place, why in self.closed.items())

    @asynccontextmanager
    async def events(self, *, last_id):
        self._ask(f"events after {last_id or 'now'}")
        stream = asyncio.Queue()
        for event in self.history[int(last_id) :] if last_id else ():
            stream.put_nowait(event)
        self.streams.append(stream)

        async def iterate():
            while (event := await stream.get()) is not None:
                yield event

        try:
            yield iterate()
        finally:
            self.streams.remove(stream)

    async def resolve(self, sealed):
        self._ask("resolve")
        return await self.resolver(sealed)

    async def put_device_key(self, kid, sealed):
        self._ask("key")
        self.keys[kid] = sealed

    async def traces(self):
        self._ask("traces")
        return encode_traces(tuple(self.queries))

    async def answer_trace(self, query_id, sealed):
        self._ask(f"answer {query_id.hex()}")
        self.pages.append(sealed)


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def broker():
    return FakeBroker()


@pytest.fixture
def platform():
    return SimulatedPlatform()


@pytest.fixture
def health():
    return Health()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def shelf(broker, health):
    return Shelf(publisher=broker, health=health)


@pytest.fixture
async def store(tmp_path):
    store = await open_store(tmp_path / "hub.db", create=True)
    yield store
    await store.close()


@pytest.fixture
def operator():
    return Operator(who="wang", now_ms=NOW_S * 1000)


@pytest.fixture
def device_key():
    return signing_key("device")


@pytest.fixture
def device(device_key):
    return Device(
        device_id=b"device-1",
        place_id="mall",
        gate_id="north",
        direction=Direction.OUT,
        name="",
        cose_key=encode_key(device_key.public),
        kid=device_key.public.kid,
        state=DeviceState.ACTIVE,
        reason="",
        added_ms=5,
        changed_ms=5,
    )


@pytest.fixture
def signing():
    """Another device's key, for the registry."""

    def make(name):
        public = signing_key(name).public
        return {"cose_key": encode_key(public), "kid": public.kid}

    return make


@pytest.fixture
def add_device(store, operator, device):
    """Registers the device, or others like it, at their places and gates."""

    async def add(**changes):
        made = replace(device, **changes)
        places = {place.place_id for place in await store.places()}
        if made.place_id not in places:
            place = Place(place_id=made.place_id, name="a place")
            await store.add_place(place, audit=operator.entry("place.add", made.place_id))
        gates = {(gate.place_id, gate.gate_id) for gate in await store.gates()}
        if (made.place_id, made.gate_id) not in gates:
            gate = Gate(place_id=made.place_id, gate_id=made.gate_id, name="")
            await store.add_gate(gate, audit=operator.entry("gate.add", made.gate_id))
        await store.add_device(made, audit=operator.entry("device.add", made.device_id.hex()))
        return made

    return add


@pytest.fixture
def actions(store):
    """What the audit log says, oldest first: (who, action, detail)."""

    async def read():
        entries = await store.audit_log(limit=1000)
        return [(entry.who, entry.action, entry.detail) for entry in reversed(entries)]

    return read


@pytest.fixture
def refusals(store, health, metrics, now):
    return Refusals(store=store, health=health, metrics=metrics, now_ms=now.ms)


@pytest.fixture
def keeping(store, health, now):
    return Keeping(store=store, health=health, now_ms=now.ms)


@pytest.fixture
def bundles():
    """What the hub's own parts were told to believe."""
    return []


@pytest.fixture
def bundle(*, platform, shelf, keeping, bundles, health, metrics, now):
    return Bundle(
        data=platform.trust_bytes,
        root=platform.root.public,
        board=shelf,
        keeping=keeping,
        on_trust=bundles.append,
        health=health,
        metrics=metrics,
        now_ms=now.ms,
    )


@pytest.fixture
def lists():
    return Lists()


@pytest.fixture
def fetch(*, platform, shelf, bundle, lists, keeping, refusals, health, now):
    return Fetch(
        source=platform,
        board=shelf,
        bundle=bundle,
        lists=lists,
        keeping=keeping,
        refusals=refusals,
        health=health,
        now_ms=now.ms,
        now_s=now.mono,
    )


@pytest.fixture
def woken():
    """Who was told of a trace."""
    return []


@pytest.fixture
def follow(*, woken, platform, shelf, bundle, lists, fetch, store, keeping, refusals, health, metrics, now):
    return Follow(
        source=platform,
        board=shelf,
        bundle=bundle,
        lists=lists,
        fetch=fetch,
        places=PlatformPlaces(store=store, now_ms=now.ms),
        keeping=keeping,
        refusals=refusals,
        health=health,
        metrics=metrics,
        now_ms=now.ms,
        on_trace=lambda: woken.append("trace"),
    )
