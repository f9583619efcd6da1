import pytest

from hub.store.errors import StoreWriteError
from hub.trust.fleet import Fleet
from protocol.health import Health, State
from protocol.presence import DevicePresence

A, B = b"device-A", b"device-B"


@pytest.fixture
def fleet(store, refusals, health, now):
    return Fleet(store=store, refusals=refusals, health=health, now_ms=now.ms)


def presence(*, online=True, **changes):
    plain = {"oldest_seq": 1, "newest_seq": 0, "firmware": "1.2", "trust_version": 3, "policy_version": 4}
    return DevicePresence(session=bytes(8), online=online, epoch=bytes(8), **plain | changes)


def fares(**changes):
    plain = dict.fromkeys(
        ("frames", "frames_dropped", "decode_us", "scans", "decoder_restarts", "camera_restarts", "foreign"), 0
    )
    known = {"at_ms": 1, "state": State.IN_SERVICE, "clock_trusted": True, "spool": 7}
    return Health(**plain | known | changes)


def test_it_knows_who_is_there(fleet):
    assert not fleet.online(A)
    fleet.present(A, presence())
    assert fleet.online(A)
    fleet.present(A, presence(online=False))
    assert not fleet.online(A)


def test_what_a_device_says_is_there_at_once(fleet, now):
    fleet.present(A, presence())
    now.s += 30
    fleet.fares(A, fares(state=State.STORAGE_FAILED))
    seen = fleet.seen[A]
    assert (seen.seen_ms, seen.firmware, seen.policy_version, seen.spool, seen.state) == (
        now.ms(),
        "1.2",
        4,
        7,
        State.STORAGE_FAILED,
    )
    assert (fleet.presences[A].trust_version, fleet.healths[A].spool) == (3, 7)


def test_a_last_will_does_not_say_that_it_was_still_there(fleet, now):
    fleet.present(A, presence())
    before = now.ms()
    now.s += 100
    fleet.present(A, presence(online=False))
    assert fleet.seen[A].seen_ms == before


def test_health_before_presence_says_too_little(fleet):
    fleet.fares(A, fares())
    assert A not in fleet.seen


async def test_it_is_written_at_most_once_a_minute_but_a_farewell_at_once(*, fleet, store, now, monkeypatch):
    written = []
    plain = store.keep_seen

    async def count(seen):
        written.append(len(seen))
        await plain(seen)

    monkeypatch.setattr(store, "keep_seen", count)
    for _ in range(180):
        fleet.present(A, presence())
        fleet.present(B, presence())
        await fleet.step()
        now.s += 1
    assert written == [2, 2, 2]
    fleet.present(A, presence(online=False))
    await fleet.step()
    await fleet.step()
    assert written == [2, 2, 2, 1]
    assert [(seen.device_id, seen.online) for seen in await store.devices_seen()] == [(A, False), (B, True)]


async def test_a_restart_knows_when_they_were_heard_but_not_that_they_are_there(*, fleet, store, refusals, health, now):
    fleet.present(A, presence())
    fleet.fares(A, fares())
    await fleet.step()
    again = Fleet(store=store, refusals=refusals, health=health, now_ms=now.ms)
    await again.load()
    assert again.seen == fleet.seen
    assert not again.online(A)


async def test_what_the_database_did_not_take_is_written_later(*, fleet, store, monkeypatch):
    async def fail(_):
        raise StoreWriteError("the disk is full")

    fleet.present(A, presence())
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep_seen", fail)
        with pytest.raises(StoreWriteError):
            await fleet.step()
    await fleet.step()
    assert len(await store.devices_seen()) == 1


async def test_what_somebody_tried_at_a_gate_is_in_the_audit_log(*, fleet, refusals, store):
    fleet.present(A, presence())
    fleet.fares(A, fares(refused=0, provisioning=0))
    await refusals.step()
    assert await store.audit_log(limit=9) == ()
    fleet.fares(A, fares(refused=2, provisioning=1))
    await refusals.step()
    told = {entry.detail for entry in await store.audit_log(limit=9)}
    assert any("object refused by gate" in detail and A.hex() in detail for detail in told)
    assert any("provisioning code shown to gate" in detail for detail in told)
