"""Vectors of traces: the platform's queries and the hub's answers."""  # noqa: INP001 - as raw.py

import hashlib
from dataclasses import replace

from protocol.checkin import seal_checkin
from protocol.envelope import AAD_TRACE, AAD_TRACE_ANSWER
from protocol.limits import TRACE_LIFE_S, TRACE_WINDOW_MS
from protocol.terms import Colour, Direction, Verdict
from protocol.trace import (
    TraceAnswer,
    TraceGap,
    TraceQuery,
    TraceRow,
    seal_trace_answer,
    seal_trace_query,
)
from protocol.vectors.faults import Changes, all_bad, faults, good, missing
from protocol.vectors.make_checkins import DEVICE, FIRST
from protocol.vectors.make_gate import AT_S, PLACE
from protocol.vectors.raw import Vector, filler, signer

HUB = filler("hub", 8)
_AT_MS = AT_S * 1000
QUERY = TraceQuery(
    hub=HUB, id=filler("trace", 16), place=PLACE, from_ms=_AT_MS - 3_600_000, to_ms=_AT_MS, why="2022-CQ-0417",
    issued_s=AT_S, expires_s=AT_S + 86_400,
)  # fmt: skip
ROW = TraceRow(
    device=DEVICE, epoch=filler("epoch", 8), seq=4711, hash=filler("bare", 32), at_ms=_AT_MS - 60_000, gate="north.2",
    direction=Direction.IN, colour=Colour.GREEN, verdict=Verdict.ADMIT,
)  # fmt: skip
ANSWER = TraceAnswer(
    hub=HUB, id=QUERY.id, query_hash=filler("query hash", 32), whole=(seal_checkin(FIRST, key=signer("device")),),
    bare=(ROW,), told=2, kept_ms=_AT_MS - 1_800_000, at_ms=_AT_MS + 1000,
)  # fmt: skip


def make_traces() -> list[Vector]:
    """Queries, by a key that may ask."""
    given = {"trusted_keys": ["platform", "issuer-p256"], "at_s": AT_S, "hub": HUB.hex()}
    gate = replace(QUERY, gate="north.2", why="案例 7", from_ms=QUERY.to_ms - TRACE_WINDOW_MS)
    accepted = [
        ("place", "every gate of a place, for an hour", QUERY, "platform"),
        ("gate", "one gate, the longest window, a case number in Chinese", gate, "platform"),
        ("place-es256", "by a P-256 key", QUERY, "issuer-p256"),
        ("longest-life", "the longest validity", replace(QUERY, expires_s=AT_S + TRACE_LIFE_S), "platform"),
    ]
    changes: Changes = [
        *missing({1: "hub", 2: "id", 3: "place", 5: "from", 6: "to", 7: "why", 8: "issued", 9: "expires"}),
        ("hub-other", "to another hub", {1: filler("other hub", 8)}),
        ("id-short", "an id of 15 bytes", {2: bytes(15)}),
        ("place-slash", "a place id that would change a path", {3: "a/b"}),
        ("gate-empty", "a gate without a name", {4: ""}),
        ("window-empty", "a window that ends where it begins", {5: QUERY.to_ms}),
        ("window-long", "a millisecond more than 14 days", {5: QUERY.to_ms - TRACE_WINDOW_MS - 1}),
        ("window-future", "a window that ends after the query was issued", {6: _AT_MS + 1001}),
        ("why-empty", "no case", {7: ""}),
        ("why-long", "a case number of 65 characters", {7: "c" * 65}),
        ("why-control", "a case number that steers terminals", {7: "\x1b[2J"}),
        ("expires-at-once", "no validity", {9: AT_S}),
        ("life-long", "a second more than three days", {9: AT_S + TRACE_LIFE_S + 1}),
    ]
    sealed = seal_trace_query(QUERY, key=signer("platform"))
    return [
        *(
            good(name, shows, seal_trace_query(value, key=signer(by)), _read(value, by), AAD_TRACE, **given)
            for name, shows, value, by in accepted
        ),
        *all_bad(faults(sealed, AAD_TRACE, by="platform", other_signer="unknown_key", changes=changes), **given),
        *all_bad([("ended", "after its end", sealed, "expired")], **given | {"at_s": QUERY.expires_s + 1}),
        *all_bad([("too-long", "more than 512 bytes", b"\xd2\x84" + bytes(511), "limit")], **given),
    ]


def _read(query: TraceQuery, by: str) -> TraceQuery:
    return replace(query, kid=signer(by).public.kid)


def make_trace_answers() -> list[Vector]:
    """Pages of answers, and a refusal."""
    first = replace(ANSWER, last=False)
    prev = hashlib.sha256(seal_trace_answer(first, key=signer("hub"))).digest()
    gap = TraceGap(device=DEVICE, epoch=filler("epoch", 8), from_seq=7, to_seq=9)
    empty = replace(ANSWER, whole=(), bare=(), told=0)
    accepted = [
        ("only-page", "a check-in with its signed bytes, and one without", ANSWER),
        ("first-page", "more pages follow", first),
        ("last-page", "the second and last page names the hash of the first, and a gap",
         replace(ANSWER, page=1, prev=prev, told=4, gaps=(gap,))),
        ("nobody", "nobody was there", empty),
        ("refused", "no answer, and why", replace(empty, refused="key_use")),
    ]  # fmt: skip
    whole = [ANSWER.whole[0]]
    row = [ROW.device, ROW.epoch, ROW.seq, ROW.hash, ROW.at_ms, ROW.gate, 0, 0, 0]
    changes: Changes = [
        *missing({
            1: "hub", 2: "id", 3: "query-hash", 4: "page", 5: "prev", 6: "whole", 7: "bare", 8: "told", 9: "last",
            10: "kept", 11: "gaps", 12: "at",
        }),
        ("query-hash-short", "a hash of 31 bytes", {3: bytes(31)}),
        ("page-without-prev", "a second page that names none before it", {4: 1}),
        ("first-with-prev", "a first page that names one before it", {5: prev}),
        ("entry-empty", "an empty check-in", {6: [b""], 8: 2}),
        ("entry-long", "a check-in of 1,025 bytes", {6: [bytes(1025)], 8: 2}),
        ("rows-501", "501 rows, some whole and some bare", {6: whole * 251, 7: [row] * 250, 8: 501}),
        ("row-short", "a row of eight fields", {7: [row[:8]]}),
        ("row-colour-5", "a colour that does not exist", {7: [[*row[:7], 5, 0]]}),
        ("told-less", "fewer told than stand here", {8: 1}),
        ("told-more", "more told than stand in the only page", {8: 3}),
        ("last-number", "a number for last", {9: 1}),
        ("gap-backwards", "a gap that ends before it begins", {11: [[DEVICE, bytes(8), 9, 7]]}),
        ("gaps-in-between", "gaps in a page that is not the last",
         {9: False, 11: [[DEVICE, bytes(8), 7, 9]]}),
        ("refused-and-told", "refused, and yet rows", {13: "key_use"}),
        ("refused-sentence", "a reason that is a sentence", {6: [], 7: [], 8: 0, 13: "not for you"}),
    ]  # fmt: skip
    sealed = seal_trace_answer(ANSWER, key=signer("hub"))
    bad = faults(sealed, AAD_TRACE_ANSWER, by="hub", other_signer="bad_signature", changes=changes)
    return [
        *(
            good(name, shows, seal_trace_answer(value, key=signer("hub")), value, AAD_TRACE_ANSWER, key="hub")
            for name, shows, value in accepted
        ),
        *all_bad(bad, key="hub"),
    ]
