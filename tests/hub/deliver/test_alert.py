"""Reds of stored rows, told to a real receiver on loopback that fails, answers late and comes back."""

import asyncio
import json
from collections import deque
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from hub.deliver.alert import Alerts
from hub.deliver.alert_text import Named, message
from hub.deliver.apprise_sender import AppriseSender, SendError
from hub.deliver.errands import alert_errands
from hub.deliver.tell import GIVE_UP_MS, Tell
from hub.deliver.troubles import DeviceFacts, SiteFacts
from hub.health import Health
from hub.model import AuditEntry
from hub.registry.changes import Operator
from hub.store.errors import RegistryConflictError
from hub.store.live_ports import AlertFilter, Channel, DeliveryState, Level
from protocol.checkin import parse_checkin
from protocol.slip import slip_number
from protocol.terms import Clock, Colour, Direction, Verdict

NONE = AuditEntry(at_ms=0, who="li", action="test", detail="")
RED = {"colour": Colour.RED, "verdict": Verdict.REFUSE, "masked": ("张", "11", "23")}


class Hook:
    """Somebody's webhook: does to each request what `plan` says, then takes all."""

    def __init__(self):
        self.plan, self.got, self.asked = deque(), [], 0
        self.port = 0
        self.free, self.taken = asyncio.Event(), asyncio.Event()

    async def handle(self, request):
        self.asked += 1
        step = self.plan.popleft() if self.plan else "take"
        if step == "wait":
            await self.free.wait()
        if isinstance(step, int):
            return web.Response(status=step, headers={"location": f"http://127.0.0.1:{self.port}/elsewhere"})
        self.got.append(await request.json())
        self.taken.set()
        return web.Response()

    @property
    def url(self):
        return f"json://127.0.0.1:{self.port}/alerts"


@pytest.fixture
async def hook():
    hook = Hook()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", hook.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook.port = site._server.sockets[0].getsockname()[1]
    yield hook
    hook.free.set()
    await runner.cleanup()


class Hub:
    """The part of the hub that is about alerts, started as often as one likes."""

    def __init__(self, outbox, sender):
        self.outbox, self.sender, self.health = outbox, sender, Health()
        self.devices = ()
        self.start()

    def start(self):
        now_ms = lambda: self.outbox.now_ms  # noqa: E731
        self.alerts = Alerts(store=self.outbox.store, look=self.look, health=self.health, now_ms=now_ms)
        self.tell = Tell(
            store=self.outbox.store,
            sender=self.sender,
            site="Site",
            url="https://console.example",
            timezone="Asia/Shanghai",
            health=self.health,
            now_ms=now_ms,
        )

    async def look(self):
        return self.devices, SiteFacts(started_ms=0, broker_lost_ms=None, outbox_oldest_ms=None)

    async def told(self):
        await self.tell.step()
        await self.tell.settle()

    async def listed(self):
        return (await self.outbox.store.alerts(AlertFilter(), limit=100))[::-1]


@pytest.fixture
def hub(outbox):
    sender = AppriseSender(loopback=True)
    yield Hub(outbox, sender)
    sender.close()


async def channel(outbox, url, **changes):
    made = Channel(**{"name": "duty", "level": Level.COMMUNITY, "url": url, "language": "en", **changes})
    return await outbox.store.put_channel(made, audit=NONE)


async def put(outbox, n=1, **changes):
    seq = len(outbox.gate.chain)
    changes.setdefault("at_ms", outbox.now_ms)
    rows = tuple(parse_checkin(data) for data in outbox.gate.make(n, **changes))
    await outbox.put_rows(rows, seq)
    return rows


async def test_a_red_raises_an_alert_and_no_other_colour_does(outbox, hub):
    await put(outbox, 2)
    await put(outbox, 1, colour=Colour.YELLOW, verdict=Verdict.HOLD)
    (row,) = await put(outbox, 1, **RED)
    await hub.alerts.watch()
    (alert,) = await hub.listed()
    assert (alert.kind, alert.place_id, alert.gate_id, alert.level) == ("red", "mall", "north", Level.COMMUNITY)
    assert alert.slip == slip_number(row.hash)
    assert alert.open


async def test_a_hub_that_starts_again_misses_none_and_raises_none_twice(outbox, hub):
    await put(outbox, 1, **RED)
    await hub.alerts.watch()
    await put(outbox, 5)
    await put(outbox, 1, **RED)
    hub.start()  # Before it had looked.
    await hub.alerts.watch()
    hub.start()
    await hub.alerts.watch()
    assert [alert.times for alert in await hub.listed()] == [1, 1]


async def test_what_was_stored_long_ago_raises_nothing(outbox, hub):
    await put(outbox, 1, **RED)
    outbox.now_ms += 86_400_001
    await hub.alerts.watch()
    assert await hub.listed() == ()


async def test_a_red_of_a_gate_without_the_time_is_dated_by_its_receipt(outbox, hub):
    await put(outbox, 1, at_ms=5, clock=Clock.UNTRUSTED, **RED)
    await hub.alerts.watch()
    assert (await hub.listed())[0].at_ms == outbox.now_ms


@pytest.mark.sockets
async def test_the_receiver_is_told_where_when_and_what_and_no_name(outbox, hub, hook):
    await channel(outbox, hook.url)
    (row,) = await put(outbox, 1, direction=Direction.IN, **RED)
    await hub.alerts.watch()
    await hub.told()
    (got,) = hook.got
    text = got["title"] + got["message"]
    for wanted in (
        "Red code",
        "Mall",
        "North",
        slip_number(row.hash),
        "2023-11-15",
        "https://console.example/alerts/1",
    ):
        assert wanted in text
    for personal in ("张", row.checkin.code.hex(), row.checkin.subject.hex()):
        assert personal not in json.dumps(got, ensure_ascii=False)
    (delivery,) = await outbox.store.deliveries_of(1)
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 1)


@pytest.mark.sockets
async def test_a_receiver_that_fails_is_tried_again_and_told_once(outbox, hub, hook):
    hook.plan.extend([500, 503, 302])
    await channel(outbox, hook.url)
    await put(outbox, 1, **RED)
    await hub.alerts.watch()
    for _ in range(3):
        await hub.told()
        await hub.told()  # Not before its time.
        outbox.now_ms += 60_000
    assert (hook.asked, hook.got) == (3, [])  # A redirect is not followed.
    assert "alerts to duty" in hub.health.warnings()
    hub.start()  # In the middle.
    await hub.told()
    await hub.told()
    assert len(hook.got) == 1
    assert hub.health.warnings() == {}
    (delivery,) = await outbox.store.deliveries_of(1)
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 4)


@pytest.mark.sockets
async def test_one_that_answers_late_delays_no_other(outbox, hub, hook):
    hook.plan.append("wait")
    await channel(outbox, hook.url, name="slow")
    await channel(outbox, hook.url, name="other")
    await put(outbox, 1, **RED)
    await hub.alerts.watch()
    await hub.tell.step()
    async with asyncio.timeout(5):
        await hook.taken.wait()
    await hub.tell.step()  # The slow one flies still, and is not begun a second time.
    hook.free.set()
    await hub.tell.settle()
    assert (hook.asked, len(hook.got)) == (2, 2)


async def test_after_a_day_it_is_given_up(outbox, hub):
    await channel(outbox, "json://127.0.0.1:9/alerts")  # Nobody listens there.
    await put(outbox, 1, **RED)
    await hub.alerts.watch()
    hub.tell._sender = Refusing(SendError("nobody there"))
    await hub.told()
    outbox.now_ms += GIVE_UP_MS
    await hub.told()
    (delivery,) = await outbox.store.deliveries_of(1)
    assert (delivery.state, delivery.detail) == (DeliveryState.GIVEN_UP, "nobody there")
    assert await outbox.store.waiting_deliveries() == 0


class Refusing:
    """A sender that never can."""

    def __init__(self, error):
        self.error = error

    async def send(self, url, message):
        raise self.error


async def test_the_hub_checks_the_address_again_whoever_wrote_it(outbox, hub):
    strict = AppriseSender(loopback=False)
    hub.tell._sender = strict
    await channel(outbox, "json://127.0.0.1:9/alerts")
    await put(outbox, 1, **RED)
    await hub.alerts.watch()
    await hub.told()
    (delivery,) = await outbox.store.deliveries_of(1)
    assert delivery.state is DeliveryState.GIVEN_UP
    assert "this machine" in delivery.detail
    strict.close()


async def test_a_name_that_leads_to_this_machine_is_refused(monkeypatch):
    sender = AppriseSender(loopback=False)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 0))])
    with pytest.raises(SendError, match="leads to this machine"):
        sender._look_up("json://hook.example/alerts")
    sender.close()


@pytest.mark.sockets
async def test_a_channel_can_be_tried(outbox, hub, hook):
    channel_id = await channel(outbox, hook.url, language="zh")
    test = alert_errands(store=outbox.store, sender=hub.sender, site="Site")["alerts.test"]
    operator = Operator(who="li", now_ms=1)
    assert await test(operator, {"channel": channel_id}, b"") == b""
    assert "测试" in hook.got[0]["title"]
    hook.plan.append(500)
    with pytest.raises(RegistryConflictError, match="did not go"):
        await test(operator, {"channel": channel_id}, b"")
    with pytest.raises(RegistryConflictError, match="no such channel"):
        await test(operator, {"channel": 99}, b"")


async def test_troubles_come_and_go(outbox, hub):
    gone = DeviceFacts(device_id=b"device-1", name="N", place_id="mall", gate_id="north", heard_ms=1, online=False)
    hub.devices = (gone,)
    await hub.alerts.check()
    await hub.alerts.check()
    hub.start()
    await hub.alerts.check()
    (alert,) = await hub.listed()
    assert (alert.kind, alert.open) == ("device.offline", True)
    hub.devices = (replace(gone, heard_ms=outbox.now_ms, online=True),)
    await hub.alerts.check()
    (alert,) = await hub.listed()
    assert (alert.open, alert.ended_ms) == (False, outbox.now_ms)


async def test_it_runs_by_itself_and_is_woken(outbox, hub):
    running = asyncio.create_task(hub.alerts.run())
    await asyncio.sleep(0)
    await put(outbox, 1, **RED)
    hub.alerts.wake()
    async with asyncio.timeout(2):
        while not await hub.listed():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)
    running.cancel()


async def test_both_languages_say_the_same(outbox, hub):
    await put(outbox, 1, **RED)
    await hub.alerts.watch()
    (alert,) = await hub.listed()
    named = Named(site="Site", place="人民商场", gate="北门")
    said = message(alert, named=named, zone=ZoneInfo("Asia/Shanghai"), language="zh", url="")
    assert said.title == "【红码 · 人民商场 / 北门】"
    for wanted in ("劝阻", "隔离", "社区", alert.slip, "2023-11-15 06:13:20"):
        assert wanted in said.body
