"""Answers the platform's trace queries: who was at a place of ours in a window of time. Nobody else can ask.

    woken by the platform's stream -> the queries that wait -> judged -> written down, audited -> answered page by page

A query is in the database and in the audit log before the first row leaves. How far its answer has come moves there
when the platform has taken a page, so that a restart goes on with the next one.

Rows are found as for a register: in the spans of rows in which the window's hours are, and in those of which that is
not known yet. So whoever was there is found however late the row came and whatever its count has become. One span is
one step of a few milliseconds on the reader's connection; neither ingest nor forward waits for longer than that.
"""

import asyncio
import hashlib
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from hub.broker.backoff import pause_s
from hub.health import Health, Metrics
from hub.model import AuditEntry
from hub.store.errors import RegistryConflictError, StoreError
from hub.store.ports import RegistryStore
from hub.store.register_ports import RegisterStore, Span
from hub.store.trace_ports import Asked, Progress, Trace, TracedRow, TraceState, TraceStore
from hub.trust.asking import Answer, Judged, Refuse, judge
from hub.trust.ports import Clock, PlatformError, PlatformRefusedError
from hub.trust.refusals import Refusals
from hub.trust.waiting import until_woken
from protocol.errors import ProtocolError
from protocol.keys import SigningKey
from protocol.limits import TRACE_GAPS, TRACE_PAGE_ROWS, TRACES_WAITING
from protocol.trace import TraceAnswer, TraceGap, TraceRow, decode_traces, seal_trace_answer
from protocol.trust import TrustBundle

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 5.0
_PAUSE_CAP_S: Final = 30.0


class Store(RegistryStore, RegisterStore, TraceStore, Protocol):
    """The ports that are used here."""


class TraceSource(Protocol):
    """The platform, as far as traces go. Every call may raise PlatformError."""

    async def traces(self) -> bytes:
        """The queries that wait for this hub, as `protocol.trace.decode_traces` reads them."""

    async def answer_trace(self, query_id: bytes, sealed: bytes) -> None:
        """One page. Raises PlatformRefusedError: nobody waits for it."""


@dataclass(slots=True, kw_only=True)
class _Page:
    rows: list[TracedRow] = field(default_factory=list)
    next_id: int
    last: bool = False


class Traces:
    """`run` it in a task; `wake` it when there may be a query.

    Args:
        source: the platform.
        store: where queries and rows are.
        trust: the bundle in force, at any time.
        key: the hub's.
        hub: its id.
        kept_ms: how long rows keep their signed bytes.
        refusals: where what nobody has signed is told.
        health: beaten at every step.
        metrics: counted.
        now_ms: the hub's clock.
    """

    def __init__(
        self,
        *,
        source: TraceSource,
        store: Store,
        trust: Callable[[], TrustBundle],
        key: SigningKey,
        hub: bytes,
        kept_ms: int,
        refusals: Refusals,
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
    ) -> None:
        self._source, self._store, self._trust, self._key, self._hub = source, store, trust, key, hub
        self._kept_ms, self._refusals = kept_ms, refusals
        self._health, self._metrics, self._now_ms = health, metrics, now_ms
        self._wake = asyncio.Event()
        self._wake.set()

    def wake(self) -> None:
        """There may be a query."""
        self._wake.set()

    async def run(self) -> None:
        """Wait to be woken, ask, answer; once more after a failure. Ends only by cancellation or an error of ours."""
        attempt = 0
        while True:
            self._health.beat("traces")
            if not self._wake.is_set():
                await until_woken(self._wake, _LOOK_S)
                continue
            self._wake.clear()
            try:
                await self.step()
            except (PlatformError, StoreError) as error:
                _LOG.warning("traces_interrupted", extra={"reason": type(error).__name__, "what": str(error)})
                attempt += 1
                self._wake.set()
                # Jitter needs no secrecy. The pause is cut to pieces, so that the loop shows that it lives.
                left_s = pause_s(attempt, cap_s=_PAUSE_CAP_S, draw=random.random())  # noqa: S311
                while left_s > 0:
                    self._health.beat("traces")
                    await asyncio.sleep(min(left_s, _LOOK_S))
                    left_s -= _LOOK_S
            else:
                attempt = 0

    async def step(self) -> None:
        """Hear what waits, then tell what is open. Raises PlatformError or StoreError; what was told stays told."""
        # Before the platform is asked for more: a restart ended them in the middle.
        await self._tell_open()
        try:
            waiting = decode_traces(await self._source.traces())
        except ProtocolError as error:
            self._refusals.refused("list of traces", error)
            return
        heard = [await self._hear(data) for data in waiting]
        await self._tell_open()
        if len(waiting) == TRACES_WAITING and any(heard):
            self.wake()

    async def _hear(self, data: bytes) -> bool:
        """Judge a query and write down what becomes of it; False where it is known already."""
        query_hash = hashlib.sha256(data).digest()
        if await self._store.find_trace(query_hash) is not None:
            return False
        now_ms = self._now_ms()
        judged = await judge(
            data,
            trust=self._trust(),
            at_s=now_ms // 1000,
            hub=self._hub,
            knows=self._store.knows_trace,
            is_here=self._is_here,
        )
        await self._write_down(query_hash, judged, now_ms)
        return True

    async def _write_down(self, query_hash: bytes, judged: Judged, now_ms: int) -> None:
        match judged:
            case Answer(asked=asked):
                spans = await self._store.spans(from_ms=asked.from_ms, to_ms=asked.to_ms)
                last_id = spans[-1].last_id if spans else 0
                stored = sum(span.last_id - span.first_id + 1 for span in spans)
                audit = self._entry(asked, "trace.query", now_ms, f"at most {stored} stored rows to look through")
                try:
                    await self._store.accept_trace(query_hash, asked, last_id=last_id, heard_ms=now_ms, audit=audit)
                except RegistryConflictError:  # Another of the same id was written down meanwhile.
                    return
                _LOG.info("trace_accepted", extra={"trace": asked.query_id.hex(), "place": asked.place_id})
            case Refuse(asked=asked, reason=reason):
                audit = self._entry(asked, "trace.refuse", now_ms, reason)
                await self._store.refuse_trace(query_hash, asked, reason=reason, heard_ms=now_ms, audit=audit)
                self._metrics.traces.labels("refused").inc()
                _LOG.warning("trace_refused", extra={"trace": asked.query_id.hex(), "reason": reason})
            case _:
                self._refusals.refused("trace query", judged.error)
                await self._store.refuse_trace(
                    query_hash, None, reason=judged.error.reason, heard_ms=now_ms, audit=None
                )
                self._metrics.traces.labels("unsigned").inc()

    async def _is_here(self, place_id: str, gate_id: str | None) -> bool:
        if gate_id is None:
            return any(place.place_id == place_id for place in await self._store.places())
        return any((gate.place_id, gate.gate_id) == (place_id, gate_id) for gate in await self._store.gates())

    async def _tell_open(self) -> None:
        """Each that is open, once. One at which the platform fails keeps none of the others waiting."""
        failed: PlatformError | None = None
        for trace in await self._store.open_traces(limit=TRACES_WAITING):
            if trace.asked is None:
                raise AssertionError("what nobody has signed is told to nobody")
            try:
                await (self._refuse if trace.state is TraceState.REFUSING else self._answer)(trace, trace.asked)
            except PlatformRefusedError as error:
                _LOG.warning("trace_not_taken", extra={"trace": trace.asked.query_id.hex(), "what": str(error)})
                await self._not_taken(trace, trace.asked)
            except PlatformError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    async def _refuse(self, trace: Trace, asked: Asked) -> None:
        refusal = self._page(trace, asked, trace.progress)
        await self._send(asked, replace(refusal, refused=trace.reason))
        await self._store.end_trace(
            trace.row_id, state=TraceState.REFUSED, reason=trace.reason, now_ms=self._now_ms(), audit=None
        )

    async def _not_taken(self, trace: Trace, asked: Asked) -> None:
        """The platform does not want it any more."""
        if trace.state is TraceState.REFUSING:
            state, reason, audit = TraceState.REFUSED, trace.reason, None
        else:
            state, reason = TraceState.ENDED, "not_taken"
            audit = self._entry(asked, "trace.end", self._now_ms(), reason)
        await self._store.end_trace(trace.row_id, state=state, reason=reason, now_ms=self._now_ms(), audit=audit)

    async def _answer(self, trace: Trace, asked: Asked) -> None:
        """Page by page, from where it stands to its end."""
        progress = trace.progress
        left = await self._left(trace, asked)
        while True:
            now_ms = self._now_ms()
            if now_ms > asked.expires_ms + 999:
                audit = self._entry(asked, "trace.end", now_ms, f"expired, {progress.told} rows were told")
                await self._store.end_trace(
                    trace.row_id, state=TraceState.ENDED, reason="expired", now_ms=now_ms, audit=audit
                )
                self._metrics.traces.labels("ended").inc()
                return
            page = await self._read(asked, left, progress.next_id)
            whole = tuple(row.sealed for row in page.rows if row.sealed is not None)
            bare = tuple(_bare(row) for row in page.rows if row.sealed is None)
            told = progress.told + len(page.rows)
            answer = self._page(trace, asked, progress)
            gaps = await self._gaps(asked) if page.last else ()
            sealed = await self._send(
                asked, replace(answer, whole=whole, bare=bare, told=told, last=page.last, gaps=gaps)
            )
            progress = Progress(
                next_id=page.next_id,
                pages=progress.pages + 1,
                told=told,
                bare=progress.bare + len(bare),
                head=hashlib.sha256(sealed).digest(),
            )
            if page.last:
                break
            await self._store.move_trace(trace.row_id, progress)
        now_ms = self._now_ms()
        audit = self._entry(asked, "trace.answer", now_ms, f"{told} rows, {progress.bare} of them without signed bytes")
        # With the last page's progress: after a restart between the two, the hub would send a page too many.
        await self._store.end_trace(
            trace.row_id, state=TraceState.ANSWERED, reason="", now_ms=now_ms, audit=audit, progress=progress
        )
        self._metrics.traces.labels("answered").inc()
        _LOG.info("trace_answered", extra={"trace": asked.query_id.hex(), "rows": told, "pages": progress.pages})

    async def _left(self, trace: Trace, asked: Asked) -> deque[Span]:
        """The spans from where the answer stands to the newest row of when the query was accepted."""
        spans = await self._store.spans(from_ms=asked.from_ms, to_ms=asked.to_ms)
        return deque(
            replace(span, last_id=min(span.last_id, trace.last_id))
            for span in spans
            if span.last_id >= trace.progress.next_id and span.first_id <= trace.last_id
        )

    async def _read(self, asked: Asked, left: deque[Span], next_id: int) -> _Page:
        """The rows of the next page, one query for each span that it takes from those that are `left`."""
        page = _Page(next_id=next_id)
        while left and len(page.rows) < TRACE_PAGE_ROWS:
            self._health.beat("traces")
            first_id, upto_id = max(left[0].first_id, page.next_id), left[0].last_id
            limit = TRACE_PAGE_ROWS - len(page.rows)
            rows = await self._store.traced_rows(asked, first_id=first_id, upto_id=upto_id, limit=limit)
            page.rows += rows
            page.next_id = rows[-1].row_id + 1 if len(rows) == limit else upto_id + 1
            if page.next_id > upto_id:
                left.popleft()
        page.last = not left
        return page

    def _page(self, trace: Trace, asked: Asked, progress: Progress) -> TraceAnswer:
        """The next page, still empty."""
        now_ms = self._now_ms()
        return TraceAnswer(
            hub=self._hub,
            id=asked.query_id,
            query_hash=trace.query_hash,
            page=progress.pages,
            prev=progress.head,
            told=progress.told,
            kept_ms=max(0, now_ms - self._kept_ms),
            at_ms=now_ms,
        )

    async def _gaps(self, asked: Asked) -> tuple[TraceGap, ...]:
        return tuple(
            TraceGap(device=device, epoch=epoch, from_seq=from_seq, to_seq=to_seq)
            for device, epoch, from_seq, to_seq in await self._store.place_gaps(asked.place_id, limit=TRACE_GAPS)
        )

    async def _send(self, asked: Asked, answer: TraceAnswer) -> bytes:
        sealed = seal_trace_answer(answer, key=self._key)
        await self._source.answer_trace(asked.query_id, sealed)
        return sealed

    @staticmethod
    def _entry(asked: Asked, action: str, now_ms: int, outcome: str) -> AuditEntry:
        """What is written down: who asks, for which case, place and window. Nobody who was there."""
        where = asked.place_id if asked.gate_id is None else f"{asked.place_id} {asked.gate_id}"
        window = f"{_moment(asked.from_ms)} to {_moment(asked.to_ms)}"
        detail = f"{asked.query_id.hex()}, case {asked.why}: {where}, {window}: {outcome}"
        return AuditEntry(at_ms=now_ms, who=f"platform {asked.kid.hex()}", action=action, detail=detail)


def _bare(row: TracedRow) -> TraceRow:
    return TraceRow(
        device=row.device_id,
        epoch=row.epoch,
        seq=row.seq,
        hash=row.hash,
        at_ms=row.at_ms,
        gate=row.gate_id,
        direction=row.direction,
        colour=row.colour,
        verdict=row.verdict,
    )


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
