"""An auditor looks at what the platform has asked."""

from playwright.async_api import expect

from hub.model import AuditEntry, Role
from hub.store.trace_ports import Asked, Progress, TraceState

HOUR_MS = 3_600_000


async def asked_before(console):
    """Answered, being answered, refused, ended, and one that nobody has signed."""
    store, now_ms = console.store, console.clock.now_ms()

    def asked(number, **changes):
        plain = {
            "query_id": bytes([number]) * 16, "kid": bytes.fromhex("9c41d0e27b5a3f18"), "issuer": "重庆 Chongqing",
            "place_id": "mall", "gate_id": None, "from_ms": now_ms - number * 9 * HOUR_MS - HOUR_MS,
            "to_ms": now_ms - number * HOUR_MS, "why": f"2022-CQ-{400 + number}", "expires_ms": now_ms + HOUR_MS,
        }  # fmt: skip
        return Asked(**plain | changes)

    audit = AuditEntry(at_ms=now_ms, who="platform 9c41d0e27b5a3f18", action="trace.query", detail="")
    for number, told, bare in ((1, 1204, 317), (2, 500, 0), (3, 0, 0)):
        await store.accept_trace(
            bytes([number]) * 32, asked(number), last_id=9, heard_ms=now_ms - number * HOUR_MS, audit=audit
        )
        await store.move_trace(number, Progress(next_id=9, pages=3, told=told, bare=bare, head=bytes(32)))
    await store.end_trace(1, state=TraceState.ANSWERED, reason="", now_ms=now_ms, audit=None)
    await store.end_trace(3, state=TraceState.ENDED, reason="expired", now_ms=now_ms, audit=None)
    for number, place, reason in ((4, "airport", "not_here"), (5, "mall", "key_use")):
        await store.refuse_trace(
            bytes([number]) * 32, asked(number, place_id=place, gate_id="G1"), reason=reason, heard_ms=now_ms,
            audit=audit,
        )  # fmt: skip
    await store.refuse_trace(b"6" * 32, None, reason="unknown_key", heard_ms=now_ms, audit=None)


async def test_an_auditor_sees_what_the_platform_asked(stage):
    await asked_before(stage.console)
    page = await stage.page(Role.AUDITOR)
    await page.goto("/")
    await page.get_by_role("link", name=stage.say("Traces")).click()
    await expect(page.get_by_role("heading", name=stage.say("Traces"))).to_be_visible()
    answered = page.get_by_role("listitem").filter(has_text="2022-CQ-401")
    await expect(answered).to_contain_text(stage.say("Answered"))
    await expect(answered).to_contain_text("1204")
    refused = page.get_by_role("listitem").filter(has_text="2022-CQ-404")
    await expect(refused).to_contain_text(stage.say("Its place or gate is not registered here."))
    await stage.check(page, "traces")
