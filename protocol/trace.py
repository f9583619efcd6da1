"""Traces: the platform asks a hub who was at a place in a window of time, and the hub's answer, page by page.

The query is signed by a key with the use `trace`, for one hub; the answer by the hub. Its rows are the check-ins as
their devices signed them, so that each proves itself. Of those whose retention is over the subject is gone with the
signed bytes: they are told barely, and the platform finds them by their hash among what it has.
"""

from dataclasses import dataclass
from typing import Any

from protocol import cbor, envelope
from protocol.batch import HUB_BYTES
from protocol.checkin import DEVICE_BYTES, EPOCH_BYTES, GENESIS, HASH_BYTES
from protocol.envelope import AAD_TRACE, AAD_TRACE_ANSWER
from protocol.errors import ExpiredError, LimitError, MalformedError, UnknownKeyError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import (
    CHECKIN_BYTES,
    TRACE_ANSWER_BYTES,
    TRACE_GAPS,
    TRACE_LIFE_S,
    TRACE_PAGE_ROWS,
    TRACE_QUERY_BYTES,
    TRACE_WHY_CHARS,
    TRACE_WINDOW_MS,
    TRACES_BYTES,
    TRACES_WAITING,
)
from protocol.terms import Colour, Direction, Verdict
from protocol.trust import KeyUse, TrustBundle

TRACE_ID_BYTES = 16
_QUERY, _ANSWER, _TRACES = "trace query", "trace answer", "traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceQuery:
    """Who was there with `from_ms <= at < to_ms`? `kid` is set by whoever reads it from signed bytes."""

    hub: bytes
    id: bytes
    place: str
    gate: str | None = None
    """None: every gate of the place."""
    from_ms: int
    to_ms: int
    why: str
    """The case's number. It names no person."""
    issued_s: int
    expires_s: int
    kid: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """A check-in whose signed bytes the hub has forgotten."""

    device: bytes
    epoch: bytes
    seq: int
    hash: bytes
    at_ms: int
    gate: str
    direction: Direction
    colour: Colour
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceGap:
    """Check-ins of a device that the hub never had, both ends included."""

    device: bytes
    epoch: bytes
    from_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceAnswer:
    """One page of the answer to the query with this hash; or `refused`, the reason why there is none."""

    hub: bytes
    id: bytes
    query_hash: bytes
    page: int = 0
    prev: bytes = GENESIS
    """SHA-256 of the page before, signature included."""
    whole: tuple[bytes, ...] = ()
    """Sealed check-ins, in the order in which they came to the hub."""
    bare: tuple[TraceRow, ...] = ()
    told: int = 0
    """Rows of this page and of all before it."""
    last: bool = True
    kept_ms: int
    """What the hub has received since then, it tells whole."""
    gaps: tuple[TraceGap, ...] = ()
    at_ms: int
    refused: str | None = None


def seal_trace_query(query: TraceQuery, *, key: SigningKey) -> bytes:
    """Query -> signed bytes, as the platform makes them.

    Raises:
        LimitError, MalformedError: a query that a hub would refuse.
    """
    fields: dict[int, Any] = {
        1: query.hub,
        2: query.id,
        3: query.place,
        5: query.from_ms,
        6: query.to_ms,
        7: query.why,
        8: query.issued_s,
        9: query.expires_s,
    }
    if query.gate is not None:
        fields[4] = query.gate
    payload = cbor.encode(fields)
    _require_bounds(_read_query(payload, kid=key.public.kid))
    data = envelope.seal(payload, key=key, aad=AAD_TRACE)
    if len(data) > TRACE_QUERY_BYTES:
        raise LimitError(_QUERY, f"{len(data)} bytes, at most {TRACE_QUERY_BYTES} are allowed")
    return data


def read_trace_query(data: bytes, *, trust: TrustBundle) -> TraceQuery:
    """Bytes -> who asks for what, whether or not he may: a refusal needs somebody to go to.

    1. The envelope, within its limit.
    2. Signed by a key of the bundle, whatever its use and window.
    3. The query, each field for itself.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a query.
        UnknownKeyError: signed by nobody whom we know.
        SignatureError: the signature does not fit.
    """
    # 1.
    sealed = envelope.parse(data, what=_QUERY, limit=TRACE_QUERY_BYTES)
    # 2.
    issuer = trust.issuer_of(sealed.kid)
    if issuer is None:
        raise UnknownKeyError(_QUERY, f"signed by {sealed.kid.hex()}, which stands in no bundle")
    key = next(trusted.key for trusted in issuer.keys if trusted.key.kid == sealed.kid)
    envelope.verify(sealed, key=key, aad=AAD_TRACE)
    # 3.
    return _read_query(sealed.payload, kid=sealed.kid)


def check_trace_query(query: TraceQuery, *, trust: TrustBundle, at_s: int, hub: bytes) -> None:
    """Whether it may be answered now, by this hub.

    1. Its key may sign queries at this time.
    2. Not after its end.
    3. To this hub.
    4. The window neither empty nor longer than one may be, nor in the future; likewise the query's life.

    Raises:
        UnknownKeyError, KeyUseError: the key is not for this, or not now.
        ExpiredError: it has ended.
        MalformedError: made for another hub, or out of bounds.
    """
    # 1.
    trust.find(query.kid, use=KeyUse.TRACE, at_s=at_s)
    # 2.
    if at_s > query.expires_s:
        raise ExpiredError(_QUERY, f"its validity ended at {query.expires_s}")
    # 3.
    if query.hub != hub:
        raise MalformedError(f"{_QUERY}.hub", "made for another hub")
    # 4.
    _require_bounds(query)


def open_trace_query(data: bytes, *, trust: TrustBundle, at_s: int, hub: bytes) -> TraceQuery:
    """Bytes -> a query that may be answered: `read_trace_query`, then `check_trace_query`; raises as they do."""
    query = read_trace_query(data, trust=trust)
    check_trace_query(query, trust=trust, at_s=at_s, hub=hub)
    return query


def seal_trace_answer(answer: TraceAnswer, *, key: SigningKey) -> bytes:
    """Answer -> signed bytes, as the hub makes them.

    Raises:
        LimitError, MalformedError: an answer that the platform would refuse.
    """
    fields: dict[int, Any] = {
        1: answer.hub,
        2: answer.id,
        3: answer.query_hash,
        4: answer.page,
        5: answer.prev,
        6: list(answer.whole),
        7: [_row_list(row) for row in answer.bare],
        8: answer.told,
        9: answer.last,
        10: answer.kept_ms,
        11: [[gap.device, gap.epoch, gap.from_seq, gap.to_seq] for gap in answer.gaps],
        12: answer.at_ms,
    }
    if answer.refused is not None:
        fields[13] = answer.refused
    payload = cbor.encode(fields)
    _read_answer(payload)
    data = envelope.seal(payload, key=key, aad=AAD_TRACE_ANSWER)
    if len(data) > TRACE_ANSWER_BYTES:
        raise LimitError(_ANSWER, f"{len(data)} bytes, at most {TRACE_ANSWER_BYTES} are allowed")
    return data


def open_trace_answer(data: bytes, *, key: VerifyKey) -> TraceAnswer:
    """Bytes -> answer, verified with the hub's key; its check-ins are not looked into.

    Raises:
        LimitError, MalformedError, UnsupportedError: not an answer.
        SignatureError: the hub did not sign it.
    """
    sealed = envelope.parse(data, what=_ANSWER, limit=TRACE_ANSWER_BYTES)
    envelope.verify(sealed, key=key, aad=AAD_TRACE_ANSWER)
    return _read_answer(sealed.payload)


def encode_traces(queries: tuple[bytes, ...]) -> bytes:
    """Signed queries that wait for their answer -> `{1: [query, ...]}`.

    Raises:
        MalformedError: too many, or one that is too long.
    """
    data = cbor.encode({1: list(queries)})
    decode_traces(data)
    return data


def decode_traces(data: bytes) -> tuple[bytes, ...]:
    """Bytes -> signed queries, not looked into.

    Raises:
        LimitError, MalformedError: no such list.
    """
    fields = cbor.fields(cbor.decode(data, what=_TRACES, limit=TRACES_BYTES), what=_TRACES, known=frozenset({1}))
    return tuple(
        cbor.sized_bytes(item, f"{_TRACES}[{at}]", 1, TRACE_QUERY_BYTES)
        for at, item in enumerate(_items(fields.get(1), _TRACES, TRACES_WAITING))
    )


def _read_query(payload: bytes, *, kid: bytes) -> TraceQuery:
    fields = cbor.fields(
        cbor.decode(payload, what=_QUERY, limit=TRACE_QUERY_BYTES), what=_QUERY, known=frozenset(range(1, 10))
    )
    query = TraceQuery(
        hub=cbor.sized_bytes(fields.get(1), f"{_QUERY}.hub", HUB_BYTES),
        id=cbor.sized_bytes(fields.get(2), f"{_QUERY}.id", TRACE_ID_BYTES),
        place=cbor.name(fields.get(3), f"{_QUERY}.place"),
        gate=cbor.name(fields[4], f"{_QUERY}.gate") if 4 in fields else None,
        from_ms=cbor.time_ms(fields.get(5), f"{_QUERY}.from"),
        to_ms=cbor.time_ms(fields.get(6), f"{_QUERY}.to"),
        why=cbor.text(fields.get(7), f"{_QUERY}.why", 1, TRACE_WHY_CHARS),
        issued_s=cbor.time_s(fields.get(8), f"{_QUERY}.issued"),
        expires_s=cbor.time_s(fields.get(9), f"{_QUERY}.expires"),
        kid=kid,
    )
    if not query.why.isprintable():
        raise MalformedError(f"{_QUERY}.why", "a character that cannot be printed")
    return query


def _require_bounds(query: TraceQuery) -> None:
    """Raises MalformedError for a window or a life that no query may have."""
    if not 1 <= query.expires_s - query.issued_s <= TRACE_LIFE_S:
        raise MalformedError(f"{_QUERY}.expires", f"not 1 to {TRACE_LIFE_S} s after issued")
    if not 1 <= query.to_ms - query.from_ms <= TRACE_WINDOW_MS:
        raise MalformedError(f"{_QUERY}.to", f"not 1 to {TRACE_WINDOW_MS} ms after from")
    if query.to_ms > (query.issued_s + 1) * 1000:
        raise MalformedError(f"{_QUERY}.to", "after issued: nobody has been there yet")


def _read_answer(payload: bytes) -> TraceAnswer:
    fields = cbor.fields(
        cbor.decode(payload, what=_ANSWER, limit=TRACE_ANSWER_BYTES), what=_ANSWER, known=frozenset(range(1, 14))
    )
    whole = _items(fields.get(6), f"{_ANSWER}.whole", TRACE_PAGE_ROWS)
    bare = _items(fields.get(7), f"{_ANSWER}.bare", TRACE_PAGE_ROWS)
    gaps = _items(fields.get(11), f"{_ANSWER}.gaps", TRACE_GAPS)
    answer = TraceAnswer(
        hub=cbor.sized_bytes(fields.get(1), f"{_ANSWER}.hub", HUB_BYTES),
        id=cbor.sized_bytes(fields.get(2), f"{_ANSWER}.id", TRACE_ID_BYTES),
        query_hash=cbor.sized_bytes(fields.get(3), f"{_ANSWER}.query_hash", HASH_BYTES),
        page=cbor.seq(fields.get(4), f"{_ANSWER}.page", least=0),
        prev=cbor.sized_bytes(fields.get(5), f"{_ANSWER}.prev", HASH_BYTES),
        whole=tuple(
            cbor.sized_bytes(item, f"{_ANSWER}.whole[{at}]", 1, CHECKIN_BYTES) for at, item in enumerate(whole)
        ),
        bare=tuple(_read_row(item, f"{_ANSWER}.bare[{at}]") for at, item in enumerate(bare)),
        told=cbor.seq(fields.get(8), f"{_ANSWER}.told", least=0),
        last=cbor.boolean(fields.get(9), f"{_ANSWER}.last"),
        kept_ms=cbor.time_ms(fields.get(10), f"{_ANSWER}.kept"),
        gaps=tuple(_read_gap(item, f"{_ANSWER}.gaps[{at}]") for at, item in enumerate(gaps)),
        at_ms=cbor.time_ms(fields.get(12), f"{_ANSWER}.at"),
        refused=cbor.name(fields[13], f"{_ANSWER}.refused") if 13 in fields else None,
    )
    rows = len(whole) + len(bare)
    if rows > TRACE_PAGE_ROWS:
        raise MalformedError(_ANSWER, f"{rows} rows, at most {TRACE_PAGE_ROWS} are allowed")
    if answer.told < rows:
        raise MalformedError(f"{_ANSWER}.told", "fewer than stand here")
    if (answer.page == 0) != (answer.prev == GENESIS):
        raise MalformedError(f"{_ANSWER}.prev", "zeros in the first page, and only there")
    if answer.page == 0 and answer.told != rows:
        raise MalformedError(f"{_ANSWER}.told", "more than stand in the first page")
    if answer.refused is not None and (rows or gaps or answer.page or not answer.last):
        raise MalformedError(f"{_ANSWER}.refused", "refused, yet something is told")
    if gaps and not answer.last:
        raise MalformedError(f"{_ANSWER}.gaps", "only in the last page")
    return answer


def _row_list(row: TraceRow) -> list[Any]:
    return [
        row.device,
        row.epoch,
        row.seq,
        row.hash,
        row.at_ms,
        row.gate,
        int(row.direction),
        int(row.colour),
        int(row.verdict),
    ]


def _read_row(value: Any, where: str) -> TraceRow:
    match value:
        case [device, epoch, seq, hash_, at_ms, gate, direction, colour, verdict]:
            return TraceRow(
                device=cbor.sized_bytes(device, f"{where}.device", DEVICE_BYTES),
                epoch=cbor.sized_bytes(epoch, f"{where}.epoch", EPOCH_BYTES),
                seq=cbor.seq(seq, f"{where}.seq"),
                hash=cbor.sized_bytes(hash_, f"{where}.hash", HASH_BYTES),
                at_ms=cbor.time_ms(at_ms, f"{where}.at"),
                gate=cbor.name(gate, f"{where}.gate"),
                direction=cbor.member(direction, f"{where}.direction", Direction),
                colour=cbor.member(colour, f"{where}.colour", Colour),
                verdict=cbor.member(verdict, f"{where}.verdict", Verdict),
            )
    raise MalformedError(where, "not the nine fields of a row")


def _read_gap(value: Any, where: str) -> TraceGap:
    match value:
        case [device, epoch, from_seq, to_seq]:
            gap = TraceGap(
                device=cbor.sized_bytes(device, f"{where}.device", DEVICE_BYTES),
                epoch=cbor.sized_bytes(epoch, f"{where}.epoch", EPOCH_BYTES),
                from_seq=cbor.seq(from_seq, f"{where}.from"),
                to_seq=cbor.seq(to_seq, f"{where}.to"),
            )
            if gap.to_seq < gap.from_seq:
                raise MalformedError(f"{where}.to", "before from")
            return gap
    raise MalformedError(where, "not [device, epoch, from, to]")


def _items(value: Any, where: str, most: int) -> list[Any]:
    if type(value) is not list or len(value) > most:
        raise MalformedError(where, f"not an array of at most {most}")
    return value
