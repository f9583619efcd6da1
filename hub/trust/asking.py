"""A signed trace query -> whether it is answered. What it needs of the database, its caller looks up.

1. A key of the trust bundle signed it, and it reads as a query (`protocol.trace.read_trace_query`). If not, nobody is
   known to have asked: it is written down, and nobody is told.
2. The key may sign queries now; the query has not ended; it is for this hub; window and life are within their bounds.
3. No other query had its id.
4. Its place is registered here, and its gate, if it names one, at this place.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hub.store.trace_ports import Asked
from protocol.errors import ProtocolError
from protocol.trace import TraceQuery, check_trace_query, read_trace_query
from protocol.trust import TrustBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """Nobody whom we know has signed it."""

    error: ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Signed, and not answered."""

    asked: Asked
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """To be answered."""

    asked: Asked


Judged = Unsigned | Refuse | Answer


async def judge(
    data: bytes,
    *,
    trust: TrustBundle,
    at_s: int,
    hub: bytes,
    knows: Callable[[bytes], Awaitable[bool]],
    is_here: Callable[[str, str | None], Awaitable[bool]],
) -> Judged:
    """Signed query -> what becomes of it, by the steps above.

    Args:
        data: the signed query.
        trust: the bundle in force.
        at_s: now.
        hub: this hub's id.
        knows: whether a signed query had this id.
        is_here: whether a place, and a gate of it, are registered.
    """
    # 1.
    try:
        query = read_trace_query(data, trust=trust)
    except ProtocolError as error:
        return Unsigned(error=error)
    asked = _asked(query, trust)
    # 2.
    try:
        check_trace_query(query, trust=trust, at_s=at_s, hub=hub)
    except ProtocolError as error:
        return Refuse(asked=asked, reason=error.reason)
    # 3.
    if await knows(query.id):
        return Refuse(asked=asked, reason="other_content")
    # 4.
    if not await is_here(query.place, query.gate):
        return Refuse(asked=asked, reason="not_here")
    return Answer(asked=asked)


def _asked(query: TraceQuery, trust: TrustBundle) -> Asked:
    issuer = trust.issuer_of(query.kid)
    return Asked(
        query_id=query.id,
        kid=query.kid,
        issuer=issuer.name if issuer is not None else "",
        place_id=query.place,
        gate_id=query.gate,
        from_ms=query.from_ms,
        to_ms=query.to_ms,
        why=query.why,
        expires_ms=query.expires_s * 1000,
    )
