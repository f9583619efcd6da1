"""Parts and standings as the stages make them, and an ingest loop with a broker of queues."""

import asyncio
import itertools

import pytest

from hub.broker.inbox import Delivery
from hub.deliver.aggregate import aggregate
from hub.health import Health, Metrics
from hub.ingest.directory import Directory
from hub.ingest.insist import Insist
from hub.ingest.judge import Standing
from hub.ingest.loop import Ingest
from hub.ingest.receive import read_payload
from hub.ingest.verify import verify
from protocol.checkin import GENESIS, encode_message, hash_of
from protocol.receipt import open_receipt


@pytest.fixture(scope="session")
def parts_of():
    """Sealed check-ins (or garbage) -> what verify makes of them for this gate's topic."""

    def make(gate, entries, *, vouched=None):
        message = read_payload("checkins", encode_message(list(entries)))
        keys = {gate.key.public.kid: gate.key.public}
        return verify(message.entries, device_id=gate.device, keys=keys, vouched=vouched)

    return make


@pytest.fixture(scope="session")
def standing_at():
    """What the hub knows after the first `seq` check-ins of the gate's chain."""

    def make(gate, seq, *, hashes=None, oldest_seq=None, hash_=None):
        return Standing(
            device_id=gate.device,
            place_id="mall",
            gate_id="north",
            epoch=gate.epoch,
            seq=seq,
            hash=hash_ or (hash_of(gate.chain[seq - 1]) if seq else GENESIS),
            hashes=hashes or {},
            oldest_seq=oldest_seq,
        )

    return make


class QueueBroker:
    """Hands over what tests put in, and records PUBACKs and messages in the order they left."""

    def __init__(self):
        self.waiting, self.left = [], []
        self.acknowledged, self.published = [], []
        self.up = True
        self._ids = itertools.count(1)

    def put(self, topic, payload):
        self.waiting.append(
            Delivery(topic=topic, payload=payload, packet_id=next(self._ids), connection=1, arrived_s=0.0)
        )

    async def receive(self, *, messages_max, bytes_max, wait_s):
        taken, self.waiting = self.waiting[:messages_max], self.waiting[messages_max:]
        return taken

    def acknowledge(self, deliveries):
        self.acknowledged.extend(delivery.packet_id for delivery in deliveries)

    def publish(self, messages):
        self.published.extend(messages)
        return self.up


class Site:
    """An ingest loop between a queue broker and a memory store."""

    def __init__(self, store, key):
        self.store, self.key = store, key
        self.broker = QueueBroker()
        self.health, self.metrics = Health(), Metrics()
        self.slept_s = []
        self.on_sleep = lambda: None
        self.start()

    def start(self):
        self.stored = 0
        self.directory = Directory(self.store)
        self.ingest = Ingest(
            broker=self.broker,
            store=self.store,
            directory=self.directory,
            insist=Insist(health=self.health, metrics=self.metrics, sleep=self._sleep),
            key=self.key,
            count=aggregate,
            stored=self._count_stored,
            health=self.health,
            metrics=self.metrics,
            now_ms=lambda: 1_700_000_000_000,
        )

    def _count_stored(self):
        self.stored += 1

    async def _sleep(self, s):
        self.slept_s.append(s)
        self.on_sleep()
        await asyncio.sleep(0)

    async def run(self, *messages):
        """All messages as one micro-batch; the receipts that followed, by device."""
        for topic, payload in messages:
            self.broker.put(topic, payload)
        self.broker.published.clear()
        await self.ingest.step()
        return self.receipts()

    def receipts(self):
        found = {}
        for message in self.broker.published:
            receipt = open_receipt(message.payload, key=self.key.public)
            assert receipt.device not in found
            found[receipt.device] = receipt
        return found

    def metric(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"gatelight_hub_{name}", labels) or 0


@pytest.fixture
async def site(memory_store, hub_key, gate):
    memory_store.register(gate)
    built = Site(memory_store, hub_key)
    await built.ingest.load()
    return built


@pytest.fixture(scope="session")
def make_site():
    return Site
