"""The wall and its alerts: a red at a gate until somebody has looked after it."""

import asyncio
import contextlib
import time
from datetime import datetime
from zoneinfo import ZoneInfo

from playwright.async_api import expect

from hub.deliver.alert import Alerts
from hub.deliver.troubles import SiteFacts
from hub.health import Health
from hub.model import AuditEntry, Gate, Role
from hub.store.live_ports import AlertFilter, Channel, Level, PlaceLive
from protocol.slip import slip_number
from protocol.terms import Colour, Direction
from tests.hub.console.live_site import Lane

ENTRY = AuditEntry(at_ms=0, who="test", action="test", detail="")


@contextlib.asynccontextmanager
async def alerting(stage):
    """The hub's part: alerts are raised in its process."""

    async def look():
        return (), SiteFacts(started_ms=0, broker_lost_ms=None, outbox_oldest_ms=None)

    alerts = Alerts(store=stage.console.store, look=look, health=Health(), now_ms=stage.console.clock.now_ms)
    task = asyncio.create_task(alerts.run())
    yield alerts
    task.cancel()


async def busy_mall(stage):
    """A mall with four gates and something going on."""
    store = stage.console.store
    for number, name in ((2, "南门 South"), (3, "地下车库 Garage"), (4, "西门 West")):
        await store.add_gate(Gate(place_id="mall", gate_id=f"G{number}", name=name), audit=ENTRY)
    # Four hours ago, so that all of it is today's at whatever hour this runs.
    begins_h = (datetime.now(ZoneInfo("Asia/Shanghai")).hour - 4) % 24
    await store.set_place_live(PlaceLive(place_id="mall", people_most=120, day_begins_h=begins_h), audit=ENTRY)
    lanes = [Lane(stage.console, gate=f"G{number}") for number in (1, 2, 3, 4)]
    for hours, n in ((3, 20), (2, 45), (1, 60), (0, 22)):
        await lanes[hours].show(n, ago_ms=hours * 3_600_000)
    await lanes[0].show(30, direction=Direction.OUT)
    for colour in (Colour.YELLOW, Colour.NOTICE, Colour.GREY):
        await lanes[1].show(1, colour=colour)
    return lanes


async def test_a_red_shows_on_the_wall_within_a_second_and_is_looked_after(stage):
    lanes = await busy_mall(stage)
    page = await stage.page(Role.OPERATOR)
    async with alerting(stage) as alerts:
        await page.goto("/live/mall")
        gate = page.locator('[data-gate="G3"]')
        await expect(gate.locator("[data-lights] li").first).to_contain_text(stage.say("green"))
        await expect(page.locator("[data-open]")).to_have_text("0")
        began_s = time.monotonic()
        (row,) = await lanes[2].show(1, colour=Colour.RED, person="zhang")
        alerts.wake()
        await expect(gate.locator("[data-lights] li").first).to_contain_text(stage.say("red"))
        await expect(page.locator("[data-open]")).to_have_text("1")
        took_s = time.monotonic() - began_s
        print(f"red to wall and alert: {took_s:.2f} s")
        assert took_s < 3  # 0.75 s and the drawing, on a machine that others keep busy.
        await stage.check(page, "live-place")
        await page.locator("[data-alerts] a").first.click()
        await expect(page.get_by_text(slip_number(row.hash))).to_be_visible()
        await stage.check(page, "alert-open")
        regulator = stage.say("trade's regulator")
        await page.get_by_role("button", name=regulator).click()
        await expect(page.locator("dl.facts").get_by_text(regulator)).to_be_visible()
        await page.get_by_label(stage.say("What was done")).fill("已劝离并上报社区")
        await page.get_by_role("button", name=stage.say("Acknowledge")).click()
        await expect(page.locator(".note.good")).to_contain_text("operator")
        await stage.check(page, "alert-acknowledged")
        (alert,) = await stage.console.store.alerts(AlertFilter(), limit=9)
        assert (alert.level, alert.acknowledged_by) == (Level.REGULATOR, "operator")
        await page.goto("/alerts?state=")
        await expect(page.get_by_role("cell", name=stage.say("acknowledged"))).to_be_visible()
        await stage.check(page, "alerts")


async def test_sound_after_a_press(one_stage):
    stage = one_stage
    page = await stage.page(Role.OPERATOR)
    await page.goto("/live/mall")
    await page.get_by_role("button", name=stage.say("Turn the sound on")).click()
    await expect(page.get_by_role("button", name=stage.say("Sound is on"))).to_have_attribute("aria-pressed", "true")


async def test_all_places_at_a_glance(stage):
    lanes = await busy_mall(stage)
    page = await stage.page(Role.OPERATOR)
    await page.goto("/live")
    row = page.locator('[data-place="mall"]')
    await expect(row.locator("[data-entries]")).to_have_text("147")
    await lanes[0].show(2)
    await expect(row.locator("[data-entries]")).to_have_text("149")
    await stage.check(page, "live")


async def test_an_attendant_sees_his_gate_only(stage):
    await busy_mall(stage)
    page = await stage.page(Role.ATTENDANT)
    await page.goto("/live")
    await expect(page.locator("[data-gate]")).to_have_count(1)
    await expect(page.locator("[data-figures]")).to_have_count(0)
    await stage.check(page, "live-attendant")


async def test_who_is_told(stage):
    page = await stage.page(Role.ADMINISTRATOR)
    await page.goto("/alerts/channels")
    await page.get_by_label(stage.say("Channel name")).fill("值班室")
    await page.get_by_label(stage.say("Address")).fill("file:///etc/passwd")
    stage.expects("422")
    await page.get_by_role("button", name=stage.say("Add"), exact=True).click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.get_by_label(stage.say("Channel name"))).to_have_value("值班室")
    await page.get_by_label(stage.say("Address")).fill("jsons://hook.example/secret-path")
    await page.get_by_role("button", name=stage.say("Add"), exact=True).click()
    await expect(page.get_by_role("cell", name="jsons://hook.example/")).to_be_visible()
    assert "secret-path" not in await page.content()
    await stage.check(page, "alert-channels")
    (channel,) = await stage.console.store.channels()
    assert isinstance(channel, Channel)
    assert channel.url == "jsons://hook.example/secret-path"


async def test_a_limit_is_set(one_stage):
    stage = one_stage
    await busy_mall(stage)
    page = await stage.page(Role.RESPONSIBLE)
    await page.goto("/live/mall?names=true")
    await page.get_by_text(stage.say("Limit and escalation")).click()
    await page.get_by_label(stage.say("People at most")).fill("50")
    await page.get_by_role("button", name=stage.say("Save")).click()
    await expect(page.locator("[data-figures] .load")).to_have_text(stage.say("over the limit"))
