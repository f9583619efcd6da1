"""Outbox -> platform: batches until their signed receipt. A batch id stands for the same bytes for ever.

the answer                                   then
a receipt that checks out                    receipted; rejected check-ins to quarantine
no answer, 5xx, 429, a receipt that is none  the same batch again, with jittered back-off up to 30 s
other 4xx                                    split in halves, due at once
other 4xx to a single check-in               parked, tried again after an hour
5xx eight times while others are receipted   as 4xx: it is this batch
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

from hub.broker.backoff import pause_s
from hub.deliver.answer import Answer, Receipted, Refused, TryAgain, read_answer
from hub.deliver.check import KeyOf, announced_part, wrong_rows
from hub.deliver.platform import Platform, PlatformError
from hub.health import Health, Metrics
from hub.model import OutboxBatch, OutboxRow
from hub.store.errors import StoreWriteError
from hub.store.ports import OutboxStore
from protocol.batch import Batch, seal_batch
from protocol.keys import SigningKey
from protocol.limits import BATCH_BYTES, BATCH_CHECKINS
from protocol.trust import TrustBundle

_LOG: Final = logging.getLogger(__name__)
_FLIGHTS: Final = 4
_WAITING_MAX: Final = 16
_CONTENT_BYTES: Final = BATCH_BYTES - 8 * 1024  # Frame, signature, and three bytes of length a check-in.
_POLL_S: Final = 1.0
_PAUSE_CAP_S: Final = 30.0
_PARKED_MS: Final = 3_600_000
_TRIES: Final = 8
_LATELY_MS: Final = 120_000
_PROBE_MS: Final = 30_000
_LINGER_S: Final = 0.05
"""What is stored meanwhile goes along: ingest commits hundreds of times a second, and each look asks the database."""


class Forward:
    """Makes batches and sends them. `run` it in a task; `wake` it when something was stored."""

    def __init__(
        self,
        *,
        store: OutboxStore,
        platform: Platform,
        hub_id: bytes,
        key: SigningKey,
        trust: TrustBundle,
        key_of: KeyOf,
        announced: Callable[[bytes], bool],
        new_id: Callable[[], bytes],
        health: Health,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._store, self._platform = store, platform
        self._hub_id, self._key, self._trust, self._key_of = hub_id, key, trust, key_of
        self._announced = announced
        self._new_id, self._now_ms = new_id, now_ms
        self._health, self._metrics = health, metrics
        self._wake = asyncio.Event()
        self._flights: dict[bytes, asyncio.Task[None]] = {}
        self._waiting: set[bytes] = set()
        self._receipted_ms = self._answered_ms = self._made_ms = 0

    def believe(self, trust: TrustBundle) -> None:
        """Receipts are verified by this bundle from now on."""
        self._trust = trust

    def wake(self) -> None:
        """Something was stored: do not wait for the next look."""
        self._wake.set()

    async def run(self) -> None:
        """Look, send, wait, again; ends only by cancellation or an error of ours."""
        try:
            while True:
                await self.step()
                await self._pause()
        finally:
            for flight in self._flights.values():
                flight.cancel()
            await asyncio.gather(*self._flights.values(), return_exceptions=True)

    async def step(self) -> None:
        """Start everything that may fly now; do not wait for it."""
        self._health.beat("forward")
        self._wake.clear()
        try:
            if self._probe_due():
                await self._make_batch()
            await self._launch_due()
            while len(self._flights) < _FLIGHTS and len(self._waiting) < _WAITING_MAX:
                if not await self._make_batch():
                    break
                await self._launch_due()
        except StoreWriteError as error:  # Ingest insists on the database; here the next look will do.
            _LOG.error("outbox_failed", extra={"what": str(error)})

    async def settle(self) -> None:
        """Wait until nothing flies any more."""
        while self._flights:
            await asyncio.wait(self._flights.values())
            self._land()

    async def _pause(self) -> None:
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({woken, *self._flights.values()}, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        self._land()
        await asyncio.sleep(_LINGER_S)

    def _land(self) -> None:
        for batch_id, flight in list(self._flights.items()):
            if flight.done():
                del self._flights[batch_id]
                flight.result()

    def _probe_due(self) -> bool:
        """Whether one more batch is due although others take every place, as the platform at least answers.

        If that one passes, it is them; if it does not, it is the platform.
        """
        now_ms = self._now_ms()
        return _lately(self._answered_ms, now_ms=now_ms) and not 0 <= now_ms - self._made_ms < _PROBE_MS

    async def _launch_due(self) -> None:
        """Longest due first. As many as are in flight may stand before those that are not."""
        now_ms = self._now_ms()
        latest_ms = now_ms + _PARKED_MS
        for batch in await self._store.due_batches(now_ms=now_ms, limit=2 * _FLIGHTS, latest_ms=latest_ms):
            if len(self._flights) < _FLIGHTS and batch.batch_id not in self._flights:
                self._waiting.add(batch.batch_id)
                self._flights[batch.batch_id] = asyncio.create_task(self._fly(batch))

    async def _make_batch(self) -> bool:
        """Fix one more batch of the oldest rows; False when there are none that may go."""
        oldest = await self._store.unbatched(limit_rows=1, limit_bytes=_CONTENT_BYTES)
        if not announced_part(oldest, key_of=self._key_of, announced=self._announced):
            # Asked with each commit while the platform is away: a thousand rows would be read for nothing.
            return False
        rows = await self._store.unbatched(limit_rows=BATCH_CHECKINS, limit_bytes=_CONTENT_BYTES)
        rows = tuple(await asyncio.to_thread(announced_part, rows, key_of=self._key_of, announced=self._announced))
        if not rows:
            return False
        skipped = await asyncio.to_thread(wrong_rows, rows, key_of=self._key_of)
        await self._store.fix_batch(
            batch_id=self._new_id(),
            first_id=rows[0].row_id,
            last_id=rows[-1].row_id,
            skipped=skipped,
            made_ms=self._now_ms(),
        )
        self._made_ms = self._now_ms()
        for row in skipped:
            self._metrics.quarantined.labels(row.reason).inc()
            _LOG.error("row_skipped", extra={"row": row.row_id, "reason": row.reason})
        return True

    async def _fly(self, batch: OutboxBatch) -> None:
        """One attempt, and what follows from its answer."""
        try:
            rows = await self._store.batch_rows(batch.batch_id)
            answer = await self._ask(batch, rows)
            await self._settle(batch, answer)
        except StoreWriteError as error:  # The batch stays due; the platform answers the same again.
            _LOG.error("outbox_failed", extra={"what": str(error)})
            await asyncio.sleep(_POLL_S)

    async def _ask(self, batch: OutboxBatch, rows: tuple[OutboxRow, ...]) -> Answer:
        content = Batch(hub=self._hub_id, batch_id=batch.batch_id, checkins=tuple(row.sealed for row in rows))
        body = await asyncio.to_thread(seal_batch, content, key=self._key)
        started_s = time.monotonic()
        try:
            status, answer_body = await self._platform.post(body)
        except PlatformError as error:
            return TryAgain(detail=str(error), answered=False)
        now_ms = self._now_ms()
        answer = read_answer(status, answer_body, batch_id=batch.batch_id, rows=rows, trust=self._trust, now_ms=now_ms)
        if not isinstance(answer, TryAgain) or answer.answered:
            self._answered_ms = now_ms
        if isinstance(answer, Receipted):
            self._metrics.batch_seconds.observe(time.monotonic() - started_s)
        others_pass = _lately(self._receipted_ms, now_ms=now_ms)
        if isinstance(answer, TryAgain) and answer.answered and others_pass and batch.attempts + 1 >= _TRIES:
            return Refused(detail=f"{answer.detail}, {_TRIES} times while others are receipted")
        return answer

    async def _settle(self, batch: OutboxBatch, answer: Answer) -> None:
        now_ms = self._now_ms()
        if isinstance(answer, Receipted):
            await self._store.mark_receipted(
                batch.batch_id, receipt=answer.receipt, rejected=answer.rejected, now_ms=now_ms
            )
            self._receipted_ms = now_ms
            for row in answer.rejected:
                self._metrics.quarantined.labels(row.reason).inc()
            result = "receipted"
        elif isinstance(answer, TryAgain):
            # Jitter needs no secrecy.
            pause_ms = round(1000 * pause_s(batch.attempts, cap_s=_PAUSE_CAP_S, draw=random.random()))  # noqa: S311
            await self._store.retry_batch(batch.batch_id, next_try_ms=now_ms + pause_ms, detail=answer.detail)
            result = "retried"
        elif batch.rows > 1:
            await self._store.split_batch(
                batch.batch_id,
                first_half_id=self._new_id(),
                second_half_id=self._new_id(),
                now_ms=now_ms,
                detail=answer.detail,
            )
            result = "split"
        else:
            await self._store.mark_refused(batch.batch_id, next_try_ms=now_ms + _PARKED_MS, detail=answer.detail)
            result = "refused"
        if result != "retried":
            self._waiting.discard(batch.batch_id)
        if not isinstance(answer, Receipted):
            extra = {"batch": batch.batch_id.hex(), "result": result, "what": answer.detail}
            _LOG.warning("batch_not_receipted", extra=extra)
        self._metrics.batches.labels(result).inc()


def _lately(at_ms: int, *, now_ms: int) -> bool:
    """Within the last two minutes. What lies ahead was said by a clock that has been set back: nobody knows when."""
    return 0 <= now_ms - at_ms < _LATELY_MS
