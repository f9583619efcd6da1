"""A real SQLite store with check-ins in its outbox, a platform in memory with real keys, and the loop between."""

import asyncio
import hashlib
import itertools

import pytest

from hub.deliver.aggregate import aggregate
from hub.deliver.forward import Forward
from hub.deliver.platform import PlatformError
from hub.health import Health, Metrics
from hub.model import AuditEntry, Gate, HeadChange, Place
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from protocol.batch import BatchReceipt, open_batch, seal_batch_receipt
from protocol.checkin import parse_checkin
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey

START_MS = 1_700_000_000_000


class SimulatedPlatform:
    """Answers as told; `plan` maps nothing (a receipt) or a way to fail to each request in turn."""

    def __init__(self, hub_key):
        self.key = Ed25519SigningKey(hashlib.sha256(b"platform").digest())
        self.hub_key = hub_key
        self.bodies, self.stored, self.batches = [], [], {}
        self.plan = []
        self.refuse = lambda batch: None
        self.reject = lambda batch: ()
        self.flying = 0
        self.free = asyncio.Event()
        self.free.set()
        self.now_ms = START_MS

    @property
    def trust(self):
        return TrustBundle(
            version=1,
            issued_s=0,
            expires_s=2_000_000_000,
            issuers=(
                Issuer(
                    name="issuer",
                    region="cn",
                    keys=(
                        TrustedKey(
                            key=self.key.public,
                            uses=frozenset({KeyUse.BATCH_RECEIPT}),
                            not_before_s=0,
                            not_after_s=2_000_000_000,
                        ),
                    ),
                ),
            ),
        )

    def receipt(self, batch_id, stored, rejected=(), key=None):
        receipt = BatchReceipt(batch_id=batch_id, stored=stored, rejected=rejected, at_ms=self.now_ms)
        return seal_batch_receipt(receipt, key=key or self.key)

    async def post(self, body):
        self.flying += 1
        await self.free.wait()
        self.flying -= 1
        self.bodies.append(body)
        batch = open_batch(body, key=self.hub_key.public)
        step = self.plan.pop(0) if self.plan else "take"
        if step == "down":
            raise PlatformError("nobody there")
        refusal = self.refuse(batch)
        if refusal is not None:
            return refusal, b""
        if isinstance(step, tuple):
            return step
        assert self.batches.setdefault(batch.batch_id, batch.checkins) == batch.checkins
        rejected = tuple(self.reject(batch))
        at = {index for index, _ in rejected}
        if step != "lost":
            self.stored += [
                data for index, data in enumerate(batch.checkins) if index not in at and data not in self.stored
            ]
        answer = self.receipt(batch.batch_id, len(batch.checkins) - len(rejected), rejected)
        if step == "lost answer":
            raise PlatformError("cut off")
        return 200, answer


class Outbox:
    """Store, platform and forward, with a clock that tests move."""

    def __init__(self, store, platform, hub_key, gate):
        self.store, self.platform, self.gate = store, platform, gate
        self.now_ms = START_MS
        self.unannounced = set()
        self.health, self.metrics = Health(), Metrics()
        ids = itertools.count(1)
        self.forward = Forward(
            store=store,
            platform=platform,
            hub_id=b"hub-hub-",
            key=hub_key,
            trust=platform.trust,
            key_of=lambda device, kid: gate.key.public if (device, kid) == (gate.device, gate.key.public.kid) else None,
            announced=lambda kid: kid not in self.unannounced,
            new_id=lambda: next(ids).to_bytes(16, "big"),
            health=self.health,
            metrics=self.metrics,
            now_ms=lambda: self.now_ms,
        )

    async def put(self, n=1):
        """Seal and commit n more check-ins."""
        seq = len(self.gate.chain)
        rows = tuple(parse_checkin(data) for data in self.gate.make(n))
        await self.put_rows(rows, seq)

    async def put_rows(self, rows, was_seq):
        await self.store.commit(
            IngestCommit(
                received_ms=self.now_ms,
                rows=rows,
                heads=(
                    HeadChange(
                        device_id=self.gate.device,
                        epoch=self.gate.epoch,
                        was_seq=was_seq,
                        seq=was_seq + len(rows),
                        hash=rows[-1].hash,
                    ),
                ),
                counts=aggregate(rows, self.now_ms),
            )
        )

    async def round(self, later_ms=0):
        """One look and the answers to all that it sent."""
        self.now_ms += later_ms
        await self.forward.step()
        await self.forward.settle()

    def metric(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"gatelight_hub_{name}", labels) or 0


@pytest.fixture
def platform(hub_key):
    return SimulatedPlatform(hub_key)


@pytest.fixture
async def outbox(tmp_path, platform, hub_key, gate):
    store = await open_store(tmp_path / "hub.sqlite", create=True)
    audit = AuditEntry(at_ms=0, who="test", action="test", detail="")
    await store.add_place(Place(place_id="mall", name="Mall"), audit=audit)
    await store.add_gate(Gate(place_id="mall", gate_id="north", name="North"), audit=audit)
    await store.add_device(gate.registered(), audit=audit)
    yield Outbox(store, platform, hub_key, gate)
    await store.close()


@pytest.fixture
def reasons():
    return Reason
