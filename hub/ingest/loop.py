"""The way of a message, in order. What arrived while the last commit ran makes the next micro-batch.

    take      all that has arrived, within the bounds of one batch
    receive   each Delivery -> CheckIns | PresenceSaid | Refused        receive.py   ┐
    verify    each CheckIns -> Genuine | Poison, the newest first       verify.py    ├ all of the batch: intake.py
    judge     what is known + each message -> Outcome, in order         judge.py     ┘
    commit    one transaction; while the database fails, again and again
    answer    PUBACKs and receipts, both only now

While the database fails nothing is acknowledged, the inbox fills, the socket is no longer read, and the devices
keep what they have.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from hub.broker.inbox import Delivery
from hub.broker.wire import Outgoing
from hub.health import Health, Metrics
from hub.ingest.directory import Directory
from hub.ingest.insist import Insist
from hub.ingest.intake import Intake
from hub.ingest.microbatch import CountRows, MicroBatch
from hub.store.ports import IngestCommit, IngestStore
from protocol import topics
from protocol.keys import SigningKey
from protocol.receipt import Receipt, seal_receipt

_BATCH_MESSAGES: Final = 512  # 50 ms of signature checks; nothing else runs meanwhile.
_BATCH_BYTES: Final = 1 << 20  # About 3,000 check-ins: the fixed cost of a commit is spread thin enough.
_IDLE_S: Final = 0.5  # How soon a change of the registry is seen, whatever arrives.


class Broker(Protocol):
    """The part of `hub.broker.client.BrokerClient` that is used here."""

    async def receive(self, *, messages_max: int, bytes_max: int, wait_s: float) -> list[Delivery]:
        """What has arrived, in its order."""

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """PUBACK."""

    def publish(self, messages: Iterable[Outgoing]) -> bool:
        """Send at QoS 0; False when dropped."""


class Ingest:
    """The one writer of heads. `run` it in a task."""

    def __init__(
        self,
        *,
        broker: Broker,
        store: IngestStore,
        directory: Directory,
        insist: Insist,
        key: SigningKey,
        count: CountRows,
        stored: Callable[[], None],
        health: Health,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._broker, self._store, self._key, self._insist = broker, store, key, insist
        self._count, self._stored, self._now_ms = count, stored, now_ms
        self._health, self._metrics = health, metrics
        self._intake = Intake(store=store, directory=directory, insist=insist)
        self._refreshed_s = 0.0

    async def run(self) -> None:
        """Load what is stored, then batch after batch; ends only by cancellation or an error of ours."""
        await self.load()
        while True:
            await self.step()

    async def load(self) -> None:
        """Heads and devices, once before the first step."""
        await self._intake.load()
        self._refreshed_s = asyncio.get_running_loop().time()

    async def step(self) -> None:
        """One micro-batch, from taking to answering; an idle half-second counts as one too."""
        self._health.beat("ingest")
        deliveries = await self._broker.receive(messages_max=_BATCH_MESSAGES, bytes_max=_BATCH_BYTES, wait_s=_IDLE_S)
        if asyncio.get_running_loop().time() - self._refreshed_s >= _IDLE_S:
            await self._intake.refresh()
            self._refreshed_s = asyncio.get_running_loop().time()
        if not deliveries:
            return
        batch = MicroBatch(messages=len(deliveries))
        await self._intake.take(deliveries, batch)
        commit = batch.to_commit(received_ms=self._now_ms(), count=self._count)
        if commit is not None:
            await self._insist.on(lambda: self._commit(commit))
            self._stored()
        self._broker.acknowledge(deliveries)
        self._answer(batch, arrived_s=deliveries[0].arrived_s)
        self._report(batch)

    async def _commit(self, commit: IngestCommit) -> None:
        started_s = time.monotonic()
        await self._store.commit(commit)
        self._metrics.commit_seconds.observe(time.monotonic() - started_s)
        self._metrics.commit_rows.observe(len(commit.rows))

    def _answer(self, batch: MicroBatch, *, arrived_s: float) -> None:
        """One receipt for each device, signed after the commit."""
        at_ms = self._now_ms()
        receipts = []
        for device_id, spool in batch.receipts.items():
            receipt = Receipt(device=device_id, epoch=spool.epoch, seq=spool.seq, hash=spool.hash, at_ms=at_ms)
            payload = seal_receipt(receipt, key=self._key)
            receipts.append(Outgoing(topic=topics.receipts(device_id), payload=payload))
        if receipts:
            sent = self._broker.publish(receipts)
            (self._metrics.receipts_sent if sent else self._metrics.receipts_dropped).inc(len(receipts))
            self._metrics.receipt_latency.observe(time.monotonic() - arrived_s)

    def _report(self, batch: MicroBatch) -> None:
        metrics = self._metrics
        metrics.messages_received.inc(batch.messages)
        metrics.checkins_received.inc(batch.received)
        metrics.checkins_stored.inc(len(batch.rows))
        metrics.checkins_duplicate.inc(batch.duplicates)
        metrics.stopped.inc(batch.stopped)
        metrics.forks.inc(batch.forks)
        metrics.gaps.inc(len(batch.gaps))
        for reason, n in batch.refused.items():
            metrics.refused.labels(reason).inc(n)
        for reason, n in batch.bounds_passed.items():
            metrics.bounds_passed.labels(reason).inc(n)
        for entry in batch.quarantine:
            metrics.quarantined.labels(entry.reason).inc()
