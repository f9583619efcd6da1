"""SQLite: counts that become hours, newest rows, alerts in one transaction with their cursor."""

import pytest

from hub.deliver.retention import MINUTES_KEPT, Retention
from hub.health import Health, Metrics
from hub.model import AuditEntry, Gate, HeadChange, MinuteCount, Place
from hub.store.errors import RegistryConflictError
from hub.store.live_ports import AlertFilter, Channel, DeliveryState, Level, NewAlert, PlaceLive
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from protocol.checkin import parse_checkin
from protocol.terms import Colour, Direction, Verdict

NOW_MS = 1_790_000_000_000
AUDIT = AuditEntry(at_ms=NOW_MS, who="li", action="test", detail="")


@pytest.fixture
async def store(tmp_path):
    store = await open_store(tmp_path / "hub.sqlite", create=True)
    for place, region in (("mall", "110105"), ("station", "310101")):
        await store.add_place(Place(place_id=place, name=place, region=region), audit=AUDIT)
        await store.add_gate(Gate(place_id=place, gate_id="G1", name="North"), audit=AUDIT)
    yield store
    await store.close()


def counted(n, minute, **changes):
    values = {"colour": Colour.GREEN, "verdict": Verdict.ADMIT, "direction": Direction.IN, **changes}
    return MinuteCount(place_id="mall", gate_id="G1", minute=minute, n=n, **values)


async def put(store, *counts):
    await store.commit(IngestCommit(received_ms=NOW_MS, counts=counts))


def red(row, *, about=None, place="mall", gate="G1"):
    return NewAlert(
        kind="red",
        about=about or f"code-{row}",
        place_id=place,
        gate_id=gate,
        row_id=row,
        slip="AAAA-BBBB",
        at_ms=NOW_MS,
    )


def trouble(about="d1", kind="device.offline", place="mall"):
    return NewAlert(kind=kind, about=about, place_id=place, gate_id="G1", at_ms=NOW_MS)


async def raised(store, *alerts, upto=None, now_ms=NOW_MS, most=50):
    await store.raise_alerts(alerts, looked_upto=upto, now_ms=now_ms, most_at_gate=most)
    return (await store.alerts(AlertFilter(), limit=100))[::-1]


async def test_minutes_become_hours_and_nothing_is_lost(store):
    minute = NOW_MS // 60_000 // 60 * 60
    await put(store, counted(2, minute), counted(3, minute + 59), counted(5, minute + 60), counted(7, minute + 600))
    ask = {"place_id": "mall", "from_hour": 0, "to_hour": 2**31}
    before = await store.hour_counts(**ask)
    assert [(one.hour - minute // 60, one.n) for one in before] == [(0, 5), (1, 5), (10, 7)]
    while await store.roll_up(before_minute=minute + 100, limit_minutes=7):
        pass
    assert await store.hour_counts(**ask) == before
    assert [one.minute for one in await store.minute_counts(from_minute=0, to_minute=2**40)] == [minute + 600]
    # One that comes for that hour later is added to it, by the next call.
    await put(store, counted(1, minute + 3))
    assert (await store.hour_counts(**ask))[0].n == 6
    assert await store.roll_up(before_minute=minute + 100, limit_minutes=7) == 1
    assert (await store.hour_counts(**ask))[0].n == 6


async def test_retention_keeps_two_days_of_minutes_and_thirteen_months_of_hours(store):
    now = {"ms": NOW_MS}
    retention = Retention(
        store=store, personal_h=24, quarantine_h=48, health=Health(), metrics=Metrics(), now_ms=lambda: now["ms"]
    )
    minute = NOW_MS // 60_000
    await put(store, counted(1, minute), counted(1, minute - MINUTES_KEPT - 1), counted(1, minute - 400 * 24 * 60))
    await retention.step()
    assert len(await store.minute_counts(from_minute=0, to_minute=2**40)) == 1
    assert len(await store.hour_counts(place_id="mall", from_hour=0, to_hour=2**31)) == 3
    now["ms"] += 10 * 86_400_000
    await retention.step()
    assert await store.minute_counts(from_minute=0, to_minute=2**40) == ()
    assert len(await store.hour_counts(place_id="mall", from_hour=0, to_hour=2**31)) == 2


async def test_counts_and_the_newest_row_are_of_one_moment(store, gate):
    await store.add_gate(Gate(place_id="mall", gate_id="north", name="N"), audit=AUDIT)
    await store.add_device(gate.registered(), audit=AUDIT)
    assert (await store.counts_since(from_hour=0)).newest_id == 0
    rows = tuple(parse_checkin(data) for data in gate.make(3, colour=Colour.RED, verdict=Verdict.REFUSE))
    head = HeadChange(device_id=gate.device, epoch=gate.epoch, was_seq=0, seq=3, hash=rows[-1].hash)
    counts = (counted(3, 60, untimed=2),)
    await store.commit(IngestCommit(received_ms=NOW_MS, rows=rows, heads=(head,), counts=counts))
    found = await store.counts_since(from_hour=0)
    assert found.newest_id == 3
    assert found.untimed == {("mall", 1): 2}
    assert [one.n for one in found.counts] == [3]
    newest = await store.live_rows(after_id=1, limit=10, masked=True)
    assert [row.row_id for row in newest] == [2, 3]
    assert [row.row_id for row in await store.red_rows(after_id=0, upto_id=2)] == [1, 2]


async def test_a_row_raises_nothing_twice(store):
    assert len(await raised(store, red(5), upto=9)) == 1
    assert len(await raised(store, red(5), upto=9)) == 1
    assert len(await raised(store, red(5), red(8), upto=8)) == 1
    assert await store.alert_cursor() == 9
    assert len(await raised(store, red(12), upto=12)) == 2


async def test_the_same_code_again_joins_its_alert_until_somebody_has_looked(store):
    (alert,) = await raised(store, red(1, about="x"), upto=1)
    (alert,) = await raised(store, red(2, about="x"), upto=2, now_ms=NOW_MS + 5)
    assert (alert.times, alert.newest_ms, alert.row_id) == (2, NOW_MS + 5, 2)
    alert = await store.acknowledge(alert.alert_id, done="talked", audit=AUDIT)
    assert (alert.open, alert.acknowledged_by, alert.ended_ms) == (False, "li", NOW_MS)
    assert len(await raised(store, red(3, about="x"), upto=3)) == 2
    assert [event.what for event in await store.alert_events(alert.alert_id)] == ["raised", "again", "acknowledged"]
    with pytest.raises(RegistryConflictError, match="li has acknowledged"):
        await store.acknowledge(alert.alert_id, done="", audit=AUDIT)


async def test_a_gate_that_shows_nothing_but_red_fills_no_table(store):
    found = await raised(store, *(red(row) for row in range(1, 21)), upto=20, most=5)
    assert [alert.times for alert in found] == [1, 1, 1, 1, 16]


async def test_a_trouble_stands_once_and_ends(store):
    (alert,) = await raised(store, trouble(), trouble())
    assert await store.standing_troubles() == (("device.offline", "d1"),)
    acknowledged = await store.acknowledge(alert.alert_id, done="", audit=AUDIT)
    assert acknowledged.ended_ms is None
    assert len(await raised(store, trouble())) == 1
    await store.end_troubles([("device.offline", "d1")], now_ms=NOW_MS + 9)
    assert await store.standing_troubles() == ()
    assert len(await raised(store, trouble())) == 2


async def test_reds_that_nobody_answers_go_up(store):
    await store.set_place_live(PlaceLive(place_id="station", escalate_min=1), audit=AUDIT)
    mall, station, _ = await raised(store, red(1), red(2, place="station"), trouble(), upto=2)
    assert await store.escalate_due(now_ms=NOW_MS + 59_999, after_min=5) == 0
    assert await store.escalate_due(now_ms=NOW_MS + 60_000, after_min=5) == 1
    assert (await store.find_alert(station.alert_id)).level is Level.REGULATOR
    assert await store.escalate_due(now_ms=NOW_MS + 300_000, after_min=5) == 2
    assert (await store.find_alert(station.alert_id)).level is Level.HEADQUARTERS
    assert await store.escalate_due(now_ms=NOW_MS + 900_000, after_min=5) == 1
    assert await store.escalate_due(now_ms=NOW_MS + 9_000_000, after_min=5) == 0
    with pytest.raises(RegistryConflictError, match="highest"):
        await store.escalate(mall.alert_id, note="", audit=AUDIT)


async def test_channels_are_told_by_level_place_region_and_kind_once(store):
    def channel(name, **changes):
        return Channel(**{"name": name, "level": Level.COMMUNITY, "url": "json://x", **changes})

    for one in (
        channel("all"),
        channel("mall only", place_id="mall"),
        channel("station only", place_id="station"),
        channel("beijing", region="11"),
        channel("off", enabled=False),
        channel("troubles", reds=False, troubles=True),
        channel("regulator", level=Level.REGULATOR),
    ):
        await store.put_channel(one, audit=AUDIT)
    (alert,) = await raised(store, red(1, about="x"), upto=1)
    await raised(store, red(2, about="x"), upto=2)
    told = await store.deliveries_of(alert.alert_id)
    assert [delivery.channel for delivery in told] == ["all", "mall only", "beijing"]
    await store.escalate(alert.alert_id, note="", audit=AUDIT)
    assert [delivery.channel for delivery in await store.deliveries_of(alert.alert_id)][3:] == ["regulator"]
    first = (await store.due_deliveries(now_ms=NOW_MS, limit=1))[0]
    await store.end_delivery(first.delivery_id, state=DeliveryState.SENT, detail="", now_ms=NOW_MS)
    await store.remove_channel(told[1].channel_id, audit=AUDIT)
    states = [delivery.state for delivery in await store.deliveries_of(alert.alert_id)]
    assert states == ["sent", "given_up", "waiting", "waiting"]
    assert await store.waiting_deliveries() == 2


async def test_alerts_are_found_by_what_is_asked(store):
    await raised(store, red(1), red(2, place="station"), trouble(), upto=2)

    async def places(**wanted):
        return {(alert.place_id, alert.kind) for alert in await store.alerts(AlertFilter(**wanted), limit=9)}

    assert await places(kind="trouble") == {("mall", "device.offline")}
    assert await places(scope=frozenset({("station", "")})) == {("station", "red")}
    assert await places(scope=frozenset({("mall", "G2")})) == set()
    assert await places(scope=frozenset()) == set()
    assert len(await places(state="open", from_ms=NOW_MS, to_ms=NOW_MS + 1)) == 3
    assert await places(state="ended") == set()
    assert len(await places(before_id=2)) == 1
