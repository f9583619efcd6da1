"""Walls, occupancy and alerts through the whole application, on a real database."""

import asyncio
import json

import pytest

from hub.console.live import feed as feeds
from hub.console.live.wall import WallView
from hub.deliver.alert import Alerts
from hub.deliver.troubles import SiteFacts
from hub.health import Health
from hub.model import AuditEntry, Gate, Role
from hub.store.errand_ports import ErrandState
from hub.store.live_ports import AlertFilter
from protocol.terms import Clock, Colour, Direction

from .live_site import Lane

HOUR_MS = 3_600_000
ENTRY = AuditEntry(at_ms=0, who="test", action="test", detail="")
SECRET = "jsons://hook.example/very-secret"


@pytest.fixture
async def mall(console, monkeypatch):
    """Two gates; 20 in and 5 out today."""
    monkeypatch.setattr(feeds, "LOOK_S", 0.0)
    await console.store.add_gate(Gate(place_id="mall", gate_id="G2", name="South"), audit=ENTRY)
    lane = Lane(console)
    await lane.show(20)
    await lane.show(5, direction=Direction.OUT)
    return lane


async def raised(console):
    async def look():
        return (), SiteFacts(started_ms=0, broker_lost_ms=None, outbox_oldest_ms=None)

    await Alerts(store=console.store, look=look, health=Health(), now_ms=console.clock.now_ms).watch()
    return (await console.store.alerts(AlertFilter(), limit=9))[::-1]


async def wall(browser, place="mall", **params):
    answer = await browser.get(f"/api/v1/live/{place}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_wall_counts_what_is_admitted_and_shows_what_is_not(console, mall):
    await mall.show(1, colour=Colour.RED)
    await mall.show(2, colour=Colour.YELLOW)
    found = await wall(await console.signed_in(Role.OPERATOR))
    first, second = found["gates"]
    assert (first["entries"], first["exits"], first["colours"]["red"], first["colours"]["yellow"]) == (20, 5, 1, 2)
    assert [light["colour"] for light in first["lights"]][:3] == ["yellow", "yellow", "red"]
    assert (second["gate"], second["entries"], second["lights"]) == ("G2", 0, [])
    assert found["occupancy"]["entries"] == 20
    assert sum(hour["entries"] for hour in found["hours"]) == 20


async def test_rows_stored_while_somebody_looks_are_counted_as_the_database_counts_them(console, mall):
    browser = await console.signed_in(Role.OPERATOR)
    await wall(browser)
    await mall.show(3)
    await mall.show(4, ago_ms=30 * HOUR_MS)  # Late, of another day.
    await mall.show(2, clock=Clock.UNTRUSTED, ago_ms=90 * 24 * HOUR_MS)  # Counts when it came.
    followed = await wall(browser)
    console.site.feed.forget_registry()
    anew = await wall(browser)
    assert anew["gates"] == followed["gates"]
    for figure in ("entries", "exits", "untimed"):
        assert anew["occupancy"][figure] == followed["occupancy"][figure]
    assert followed["occupancy"]["entries"] == 25
    assert followed["occupancy"]["untimed"] == 2


async def test_a_flood_makes_the_board_anew(console, mall, monkeypatch):
    monkeypatch.setattr(feeds, "ROWS_MOST", 5)
    view = WallView(console.site.feed, place_id="mall", gates=None, names=False)
    assert json.loads((await view.look())["wall"])["full"] == 1
    await mall.show(2)
    said = json.loads((await view.look())["wall"])
    assert "full" not in said
    assert [(gate[0], gate[1], len(gate[3])) for gate in said["g"]] == [("G1", 22, 2)]
    assert await view.look() == {}
    await mall.show(7)
    said = json.loads((await view.look())["wall"])
    assert (said["full"], said["g"][0][1]) == (1, 29)


async def test_the_day_begins_anew_where_the_place_is_empty(console, mall):
    browser = await console.signed_in(Role.OPERATOR)
    assert (await wall(browser))["occupancy"]["entries"] == 20
    console.clock.pass_s(24 * 3600)
    browser = await console.signed_in(Role.OPERATOR)
    found = (await wall(browser))["occupancy"]
    assert found["entries"] == 0
    # Yesterday's missing exits are what today's are reckoned by.
    await mall.show(10)
    await mall.show(2, direction=Direction.OUT)
    found = (await wall(browser))["occupancy"]
    assert found["missing_exits"] == 1
    assert found["inside"] == 7


async def test_names_only_where_policy_keeps_them_and_the_role_may_and_it_is_written_down(console, mall):
    responsible, operator = await console.signed_in(Role.RESPONSIBLE), await console.signed_in(Role.OPERATOR)
    await wall(responsible, names=True)
    await mall.show(1, masked=("张", "11", "23"))
    lights = (await wall(responsible, names=True))["gates"][0]["lights"]
    assert [light["masked"] for light in lights[:2]] == ["张** 11…23", None]
    assert all(light["masked"] is None for light in (await wall(responsible))["gates"][0]["lights"])
    assert (await operator.get("/api/v1/live/mall?names=true")).status_code == 403
    looked = [entry for entry in await console.store.audit_log(limit=9) if entry.action == "live.names"]
    assert [(entry.who, entry.detail) for entry in looked] == [("responsible", "mall")] * 2


async def test_an_attendant_sees_his_gate_and_nothing_of_the_place(console, mall):
    attendant = await console.signed_in(Role.ATTENDANT)
    found = await wall(attendant)
    assert [gate["gate"] for gate in found["gates"]] == ["G1"]
    assert (found["occupancy"], found["hours"], found["settings"]) == (None, [], None)
    for path in ("/live/station", "/occupancy/mall", "/occupancy/mall/hours?from_ms=0&to_ms=1"):
        assert (await attendant.get(f"/api/v1{path}")).status_code == 404
    assert (await attendant.get("/api/v1/live")).json() == {"places": [], "others": 0}
    assert (await attendant.get("/live")).headers["location"] == "/live/mall"
    answer = await attendant.put("/api/v1/live/mall/settings", json={})
    assert answer.status_code == 403


async def test_a_limit_is_near_and_passed(console, mall):
    responsible = await console.signed_in(Role.RESPONSIBLE)
    for limit, load in ((100, "fine"), (15, "near"), (13, "over"), (None, "fine")):
        answer = await responsible.put("/api/v1/live/mall/settings", json={"limit": limit})
        assert answer.status_code == 200
        assert (await responsible.get("/api/v1/occupancy/mall")).json()["load"] == load
    assert (await responsible.put("/api/v1/live/station/settings", json={})).status_code == 404
    assert (await responsible.put("/api/v1/live/mall/settings", json={"limit": 0})).status_code == 422


async def test_places_at_a_glance_the_busiest_first(console, mall):
    operator = await console.signed_in(Role.OPERATOR)
    found = (await operator.get("/api/v1/live")).json()
    assert [place["place"] for place in found["places"]] == ["mall", "station"]
    assert [place["place"] for place in (await operator.get("/api/v1/live?q=STAT")).json()["places"]] == ["station"]
    tops = (await operator.get("/api/v1/occupancy/tops")).json()
    assert [(top["place"], top["entries"]) for top in tops["places"]] == [("mall", 20)]
    assert tops["peak_entries"] == 20
    assert tops["districts"] == [{"region": "", "places": 2, "entries": 20}]


async def test_counts_by_the_hour(console, mall):
    operator = await console.signed_in(Role.OPERATOR)
    now_ms = console.clock.now_ms()
    asked = f"/api/v1/occupancy/mall/hours?from_ms={now_ms - HOUR_MS}&to_ms={now_ms + 1}"
    found = (await operator.get(asked)).json()
    assert sum(each["n"] for hour in found for each in hour["counts"]) == 25
    assert (await operator.get("/api/v1/occupancy/mall/hours?from_ms=0&to_ms=9999999999")).status_code == 422


@pytest.mark.slow
async def test_the_stream_tells_everything_then_what_changed(console, mall):
    """httpx reads a whole answer, so the stream is ended by ending the session."""
    operator = await console.signed_in(Role.OPERATOR)
    account = await console.store.find_account("operator")

    async def later():
        await asyncio.sleep(0.7)
        await mall.show(1, colour=Colour.RED)
        await raised(console)
        await asyncio.sleep(1.2)
        for session in await console.store.sessions(account.name):
            await console.store.end_session(session.session_id, audit=ENTRY)

    changing = asyncio.create_task(later())
    answer = await operator.get("/api/v1/live/mall/stream", timeout=20)
    await changing
    events = [frame.split("\n") for frame in answer.text.split("\n\n") if frame.startswith("event: ")]
    names = [lines[0].removeprefix("event: ") for lines in events]
    assert names[:2] == ["wall", "alerts"]
    assert names[-1] == "ended"
    walls = [json.loads(lines[1].removeprefix("data: ")) for lines in events if lines[0] == "event: wall"]
    assert "full" in walls[0]
    assert walls[-1]["g"][0][3][-1][0] == Colour.RED
    last = [json.loads(lines[1].removeprefix("data: ")) for lines in events if lines[0] == "event: alerts"][-1]
    assert (last["open"], last["newest"][0]["where"]) == (1, "Mall / North")


async def test_an_alert_is_acknowledged_once_by_whoever_may_see_it(console, mall):
    await mall.show(1, colour=Colour.RED)
    await Lane(console, place="station").show(1, colour=Colour.RED)
    mine, other = await raised(console)
    attendant, auditor = await console.signed_in(Role.ATTENDANT), await console.signed_in(Role.AUDITOR)
    assert [alert["id"] for alert in (await attendant.get("/api/v1/alerts")).json()["alerts"]] == [mine.alert_id]
    assert (await attendant.get(f"/api/v1/alerts/{other.alert_id}")).status_code == 404
    assert (await auditor.get("/api/v1/alerts")).status_code == 403
    path = f"/api/v1/alerts/{mine.alert_id}"
    assert (await attendant.post(f"{path}/acknowledge", json={"done": "   "})).status_code == 422
    for level in (2, 3):
        assert (await attendant.post(f"{path}/escalate", json={})).json()["level"] == level
    assert (await attendant.post(f"{path}/escalate", json={})).status_code == 409
    assert (await attendant.post(f"{path}/acknowledge", json={"done": "劝离"})).json()["state"] == "acknowledged"
    assert (await attendant.post(f"{path}/acknowledge", json={"done": "too"})).status_code == 409
    whole = (await attendant.get(path)).json()
    assert [event["what"] for event in whole["events"]] == ["raised", "escalated", "escalated", "acknowledged"]
    audited = {entry.action for entry in await console.store.audit_log(limit=20)}
    assert {"alert.acknowledge", "alert.escalate"} <= audited


async def test_a_channels_address_is_told_to_nobody(console, mall):
    administrator = await console.signed_in(Role.ADMINISTRATOR)
    body = {"name": "duty", "level": 2, "url": SECRET}
    made = (await administrator.post("/api/v1/alerts/channels", json=body)).json()
    changed = await administrator.put(
        f"/api/v1/alerts/channels/{made['id']}", json={"name": "duty room", "enabled": False}
    )
    listed = await administrator.get("/api/v1/alerts/channels")
    shown = await administrator.get("/alerts/channels")
    log = json.dumps([entry.detail for entry in await console.store.audit_log(limit=20)])
    for text in (json.dumps(made), changed.text, listed.text, shown.text, log):
        assert "very-secret" not in text
    assert "very-secret" not in repr(await console.store.channels())
    (kept,) = await console.store.channels()
    assert (kept.url, kept.name, kept.enabled) == (SECRET, "duty room", False)
    for url in ("file:///etc/passwd", "json://127.0.0.1/x", "jsons://a?verify=no", ""):
        answer = await administrator.post("/api/v1/alerts/channels", json=body | {"url": url})
        assert (answer.status_code, answer.json()["where"]) == (422, "url")
    operator = await console.signed_in(Role.OPERATOR)
    assert (await operator.get("/api/v1/alerts/channels")).status_code == 403
    assert (await operator.post("/alerts/channels", data=body)).status_code == 403
    assert (await administrator.delete(f"/api/v1/alerts/channels/{made['id']}")).status_code == 204
    assert (await administrator.delete(f"/api/v1/alerts/channels/{made['id']}")).status_code == 404


async def test_a_test_is_asked_of_the_hub(console, mall):
    administrator = await console.signed_in(Role.ADMINISTRATOR)
    body = {"name": "duty", "url": SECRET}
    made = (await administrator.post("/api/v1/alerts/channels", json=body)).json()
    asking = asyncio.create_task(administrator.post(f"/api/v1/alerts/channels/{made['id']}/test"))
    async with asyncio.timeout(5):
        while not (asked := await console.store.asked_errands(limit=1)):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)
    (errand,) = asked
    assert (errand.kind, json.loads(errand.args)) == ("alerts.test", {"channel": made["id"]})
    await console.store.finish_errand(
        errand.errand_id, state=ErrandState.FAILED, reason="conflict", answer=b"It did not go: no answer.", now_ms=1
    )
    answer = await asking
    assert (answer.status_code, answer.json()["what"]) == (409, "It did not go: no answer.")


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_pages_show_what_people_type_as_text(console, mall, language):
    await mall.show(1, colour=Colour.RED)
    (alert,) = await raised(console)
    operator = await console.signed_in(Role.OPERATOR, **{"accept-language": language})
    done = "<script>alert(1)</script>\"'&"
    answer = await operator.post(f"/alerts/{alert.alert_id}/acknowledge", data={"done": done})
    assert answer.status_code == 303
    for path in ("/live", "/live/mall", "/alerts", "/alerts?state=acknowledged", f"/alerts/{alert.alert_id}"):
        shown = await operator.get(path)
        assert shown.status_code == 200, path
        assert "<script>alert" not in shown.text
    assert (await operator.get("/live/nowhere")).status_code == 404
    assert (await operator.get("/alerts?state=open&kind=trouble&place=mall")).status_code == 200
