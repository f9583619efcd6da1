"""Traces: what the platform has asked about the past, and what came of it. Who was there, stands nowhere here."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import PAGE_MOST, REFUSALS, Shape, TimeMs
from hub.console.web.asking import Needs, Signed, TheSite
from hub.store.trace_ports import Trace, TraceState

ROUTER = APIRouter(prefix="/traces", tags=["Traces"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.AUDIT))]


class TraceOut(Shape):
    """A query of the platform. All from `query` to `why` is null where nobody is known to have signed it."""

    id: int
    heard_ms: TimeMs
    finished_ms: TimeMs | None
    query: str | None
    """The query's own id, 32 hex digits."""
    kid: str | None
    """The key that signed it."""
    issuer: str | None
    """Whose key that is, by the trust bundle of then."""
    place: str | None
    gate: str | None
    """Null: every gate of the place."""
    from_ms: int | None
    to_ms: int | None
    why: str | None
    """The number of the case."""
    state: TraceState
    reason: str
    """Why it was refused or ended early; empty otherwise."""
    told: int
    """Check-ins that the platform was told."""
    bare: int
    """Of them: without their signed bytes, which were forgotten."""
    pages: int


class TracePage(Shape):
    """Queries, newest first. `next` is `before` of the next page; null: this is the last."""

    traces: list[TraceOut]
    next: int | None


@ROUTER.get("")
async def list_traces(
    site: TheSite,
    who: Who,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST)] = 100,
) -> TracePage:
    """Every query that was heard, whether it was answered or refused."""
    traces = await site.store.traces(before_id=before, limit=limit)
    return TracePage(traces=[_out(trace) for trace in traces], next=traces[-1].row_id if len(traces) == limit else None)


def _out(trace: Trace) -> TraceOut:
    asked, progress = trace.asked, trace.progress
    return TraceOut(
        id=trace.row_id,
        heard_ms=trace.heard_ms,
        finished_ms=trace.finished_ms,
        query=None if asked is None else asked.query_id.hex(),
        kid=None if asked is None else asked.kid.hex(),
        issuer=None if asked is None else asked.issuer,
        place=None if asked is None else asked.place_id,
        gate=None if asked is None else asked.gate_id,
        from_ms=None if asked is None else asked.from_ms,
        to_ms=None if asked is None else asked.to_ms,
        why=None if asked is None else asked.why,
        state=trace.state,
        reason=trace.reason,
        told=progress.told,
        bare=progress.bare,
        pages=progress.pages,
    )
