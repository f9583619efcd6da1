"""The page about traces, and its function: who asked for what and what came of it, and nobody who was there."""

import pytest

from hub.model import AuditEntry, Role
from hub.store.trace_ports import Asked, Progress, Span, TraceState

pytestmark = pytest.mark.slow

HOUR_MS = 3_600_000


def audit(console):
    return AuditEntry(at_ms=console.clock.now_ms(), who="platform", action="trace.query", detail="")


def asked(console, number=1, **changes):
    now_ms = console.clock.now_ms()
    plain = {
        "query_id": bytes([number]) * 16, "kid": b"a key id", "issuer": "重庆", "place_id": "mall", "gate_id": None,
        "from_ms": now_ms - HOUR_MS, "to_ms": now_ms, "why": f"2022-CQ-{number}", "expires_ms": now_ms + HOUR_MS,
    }  # fmt: skip
    return Asked(**plain | changes)


@pytest.fixture
async def three(console):
    """One that was answered, one that was refused, and one that nobody has signed."""
    store, now_ms = console.store, console.clock.now_ms()
    span = Span(first_id=1, last_id=9, due=5)
    await store.accept_trace(b"1" * 32, asked(console), span=span, heard_ms=now_ms, audit=audit(console))
    await store.move_trace(1, Progress(next_id=9, seen=5, pages=1, told=5, bare=2, head=bytes(32)))
    await store.end_trace(1, state=TraceState.ANSWERED, reason="", now_ms=now_ms + 40, audit=None)
    await store.refuse_trace(
        b"2" * 32, asked(console, 2, place_id="<b>"), reason="not_here", heard_ms=now_ms, audit=audit(console)
    )
    await store.refuse_trace(b"3" * 32, None, reason="unknown_key", heard_ms=now_ms, audit=None)


async def test_every_query_and_what_came_of_it(console, three):
    program = await console.program(Role.AUDITOR)
    answer = (await program.get("/api/v1/traces")).json()
    unsigned, refused, answered = answer["traces"]
    assert answer["next"] is None
    assert (answered["state"], answered["told"], answered["bare"], answered["pages"]) == ("answered", 5, 2, 1)
    assert (answered["issuer"], answered["kid"], answered["why"]) == ("重庆", b"a key id".hex(), "2022-CQ-1")
    assert (refused["state"], refused["reason"], refused["told"]) == ("refusing", "not_here", 0)
    assert (unsigned["state"], unsigned["reason"], unsigned["query"], unsigned["place"]) == (
        "refused", "unknown_key", None, None,
    )  # fmt: skip


async def test_page_by_page(console, three):
    program = await console.program(Role.AUDITOR)
    first = (await program.get("/api/v1/traces", params={"limit": 2})).json()
    rest = (await program.get("/api/v1/traces", params={"limit": 2, "before": first["next"]})).json()
    assert [trace["id"] for trace in (*first["traces"], *rest["traces"])] == [3, 2, 1]
    assert rest["next"] is None


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.AUDITOR])
async def test_the_page_of_those_who_audit(console, three, role):
    browser = await console.signed_in(role)
    page = (await browser.get("/traces")).text
    for text in ("2022-CQ-1", "重庆", "Answered", "Refused", "Its place or gate is not registered here."):
        assert text in page
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.RESPONSIBLE, Role.ATTENDANT])
async def test_nobody_else_sees_it(console, three, role):
    browser = await console.signed_in(role)
    assert (await browser.get("/traces")).status_code == 403
    assert (await browser.get("/api/v1/traces")).status_code == 403


async def test_nothing_was_asked_yet(console):
    browser = await console.signed_in(Role.AUDITOR)
    assert "The platform has not asked for anything yet." in (await browser.get("/traces")).text


async def test_every_reason_is_a_sentence_in_both_languages(console):
    from hub.console.pages.traces import REASONS, STATES

    say = console.site.words.of("zh")
    for sentence in (*REASONS.values(), *(title for _, title in STATES.values())):
        assert say(sentence) != sentence
