"""Adding a scanner, telling it something, and the fleet, as an operator sees them."""

import asyncio
import hashlib
import math
from contextlib import asynccontextmanager
from dataclasses import fields

from playwright.async_api import expect

from hub.console.site import Enrolling
from hub.enrol.errands import enrol_errands
from hub.errands import Errands
from hub.health import Health
from hub.model import AuditEntry, Device, DeviceState, MinuteCount, QuarantineEntry, Role
from hub.registry.authority import create_authority, load_authority
from hub.registry.enrolments import take_request
from hub.store.fleet_ports import SLOT_MS, DeviceHealth, DeviceSample
from hub.store.ports import IngestCommit
from hub.store.trust_ports import CommandState, DeviceSeen
from protocol.health import ClockSource, State, Supply
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.provisioning import parse_provisioning
from protocol.terms import Colour, Direction, Verdict
from tests.hub.conftest import Newcomer


def audit(action="test", detail=""):
    return AuditEntry(at_ms=1, who="test", action=action, detail=detail)


@asynccontextmanager
async def hub(console, folder):
    """What of the hub's process enrols."""
    now_ms = console.site.now_ms()
    files = {"cert": folder / "ca.pem", "key": folder / "ca.key"}
    create_authority(**files, name="hub", now_ms=now_ms)
    authority = load_authority(**files, days=90, now_ms=now_ms)
    enrolling = Enrolling(url="https://hub.example:8444", ca_hash=authority.key_hash)
    console.be_patient(enrolling=enrolling)
    handlers = enrol_errands(store=console.store, authority=authority)
    errands = Errands(store=console.store, handlers=handlers, health=Health(), now_ms=console.site.now_ms)
    task = asyncio.create_task(errands.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def health(device_id, now_ms, **changes):
    known = dict.fromkeys((field.name for field in fields(DeviceHealth)), 0)
    plain = {
        "device_id": device_id,
        "heard_ms": now_ms,
        "at_ms": now_ms,
        "state": State.IN_SERVICE,
        "clock_trusted": True,
        "clock_source": ClockSource.KERNEL,
        "enabled": True,
        "unsent_s": None,
        "lists": 32,
        "trust_days": 29,
        "thermometer_ok": None,
        "board_cc": 5512,
        "supply": Supply.GOOD,
        "disk_free_mib": 21_504,
        "disk_mib": 29_184,
        "update_failed": None,
        "update_failure": None,
        "frame_rate_c": 1480,
        "decode_us": 6400,
    }
    return DeviceHealth(**known | plain | changes)


async def add_fleet(console, count=8):
    """Scanners at the two places; the first of them are in some trouble."""
    now_ms = console.site.now_ms()
    wrong = [
        {"state": State.STORAGE_FAILED, "disk_free_mib": 90},
        {"board_cc": 8310, "supply": Supply.LOW},
        {"spool": 340, "unsent_s": 2100, "lists_stale": 3},
        {"clock_trusted": False, "frame_rate_c": 0},
    ]
    ids = [hashlib.sha256(bytes([number])).digest()[:8] for number in range(count)]
    for number, device_id in enumerate(ids):
        public = Ed25519SigningKey(bytes([number + 1]) * 32).public
        device = Device(
            device_id=device_id,
            place_id="mall" if number % 3 else "station",
            gate_id="G1",
            direction=Direction.OUT if number % 2 else Direction.IN,
            name=f"北门 {number + 1} 号",
            cose_key=encode_key(public),
            kid=public.kid,
            state=DeviceState.ACTIVE,
            reason="",
            added_ms=now_ms,
            changed_ms=now_ms,
        )
        await console.store.add_device(device, audit=audit("device.add", device_id.hex()))
    seen = tuple(
        DeviceSeen(
            device_id=device_id,
            seen_ms=now_ms - (900_000 if number == 4 else 0),
            online=number != 4,
            firmware="0.3.0",
            trust_version=12,
            policy_version=4,
        )
        for number, device_id in enumerate(ids)
    )
    await console.store.keep_seen(seen)
    healths = tuple(
        health(device_id, now_ms, **(wrong[number] if number < len(wrong) else {}))
        for number, device_id in enumerate(ids)
    )
    slot = now_ms // SLOT_MS
    samples = tuple(
        DeviceSample(
            device_id=device_id,
            slot=slot - ago,
            scans=20 + ago % 7,
            spool=max(0, 60 - abs(ago - 200)),
            board_cc=5200 + round(600 * math.sin(ago / 60)),
            frame_rate_c=1500,
            decode_us=6000 + ago % 50 * 20,
        )
        for device_id in ids
        for ago in range(1, 500)
        if not 300 < ago < 330
    )
    await console.store.keep_fares(healths, samples, forget_before_slot=0)
    minute = now_ms // 60_000
    counts = tuple(
        MinuteCount(
            place_id=place,
            gate_id="G1",
            minute=minute - ago,
            colour=colour,
            verdict=Verdict.ADMIT,
            direction=Direction.IN,
            n=n + ago % 5,
        )
        for ago in range(0, 1300, 10)
        for place in ("mall", "station")
        for colour, n in ((Colour.GREEN, 20), (Colour.YELLOW, 2), (Colour.RED, 1), (Colour.GREY, 1))
    )
    kept = QuarantineEntry(device_id=ids[0], epoch=None, seq=7, reason="fork", detail="two of one number", data=b"x")
    await console.store.commit(IngestCommit(received_ms=now_ms, counts=counts, quarantine=(kept,)))
    return ids


async def test_a_scanner_is_added_by_the_code_that_it_is_shown(stage, tmp_path):
    console, say = stage.console, stage.say
    async with hub(console, tmp_path):
        page = await stage.page(Role.OPERATOR)
        await page.goto("/scanners")
        await page.get_by_role("link", name=say("Add scanner")).click()
        await stage.check(page, "scanner-add")
        await page.get_by_label(say("Place"), exact=True).select_option("mall")
        await page.get_by_role("button", name=say("Show the code")).click()
        await expect(page.get_by_role("timer")).to_contain_text("9:")
        await stage.check(page, "scanner-code")

        text = await page.locator("#code-text").text_content()
        newcomer = Newcomer("one", token=parse_provisioning(text).token)
        now_ms = console.site.now_ms()
        asked = await take_request(console.store, newcomer.request(), address="10.0.0.7", now_ms=now_ms)
        # It appears by itself.
        await expect(page.get_by_text("SN-one")).to_be_visible()
        await stage.check(page, "scanner-asks")
        await page.get_by_role("link", name=say("Compare and decide")).click()
        await stage.check(page, "scanner-decide")
        await page.get_by_label(say("The scanner shows the same words")).check()
        await page.get_by_label(say("Scanner's name")).fill("北门左侧")
        await page.get_by_role("button", name=say("Approve")).click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("北门左侧")

        found = await console.store.find_enrolment(asked.asked.enrolment_id)
        await page.goto("/scanners")
        await expect(page.get_by_role("link", name="北门左侧")).to_be_visible()
        assert found.device_id is not None


async def test_the_fleet_and_one_of_it(stage):
    console, say = stage.console, stage.say
    ids = await add_fleet(console)
    page = await stage.page(Role.OPERATOR)
    await page.goto("/scanners")
    await expect(page.locator("tbody tr").first).to_contain_text(say("Storage failed"))
    await stage.check(page, "scanners")
    await page.get_by_label(say("Trouble")).select_option("hot")
    await page.locator("form.filters button").click()
    await expect(page.locator("tbody tr")).to_have_count(1)

    await page.goto(f"/scanners/{ids[0].hex()}")
    await expect(page.locator(".charts .uplot")).to_have_count(3)
    await stage.check(page, "scanner")

    await page.get_by_role("button", name=say("Locate")).click()
    await expect(page.get_by_text(say("waits for the hub"))).to_be_visible()
    (row,) = await console.store.device_commands(ids[0], limit=2)
    await console.store.finish_command(
        row.command_id, state=CommandState.DONE, detail="blinked 10 s", proof=None, at_ms=5, audit=audit()
    )
    # The answer comes by itself.
    await expect(page.get_by_text("blinked 10 s")).to_be_visible()

    await page.get_by_role("button", name=say("Wipe …")).click()
    await stage.check(page, "scanner-sure")
    await page.get_by_role("button", name=say("Yes, do it")).click()
    (row, _) = await console.store.device_commands(ids[0], limit=2)
    await console.store.finish_command(
        row.command_id,
        state=CommandState.DONE,
        detail="",
        proof=b"\xab\xcd",
        at_ms=5,
        audit=audit(),
        revoke=audit("device.revoked", ids[0].hex()),
    )
    await expect(page.get_by_text(say("Proof that it forgot everything, signed by its key"))).to_be_visible()
    await expect(page.locator("[data-event=facts]")).to_contain_text(say("Revoked"))


async def test_every_gate_of_a_place_opens_in_an_evacuation(stage):
    console, say = stage.console, stage.say
    await add_fleet(console, count=4)
    page = await stage.page(Role.OPERATOR)
    await page.goto("/scanners")
    await page.get_by_role("link", name=say("Evacuation")).click()
    await stage.check(page, "evacuation")
    await page.locator("#place").select_option("mall")
    await page.get_by_role("button", name=say("Open every gate …")).click()
    await page.get_by_role("button", name=say("Open every gate now")).click()
    await expect(page.get_by_role("status")).to_contain_text("2")
    assert {row.name for row in await console.store.command_list(limit=9)} == {"hold_open"}
    await stage.check(page, "evacuated")


async def test_without_scripts_the_pages_still_work(one_stage):
    await add_fleet(one_stage.console, count=2)
    page = await one_stage.page(Role.OPERATOR)
    await page.route("**/*.js", lambda route: route.abort())
    one_stage.expects("ERR_FAILED")
    await page.goto("/scanners")
    await expect(page.locator("tbody tr")).to_have_count(2)
