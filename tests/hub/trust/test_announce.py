import asyncio
from types import SimpleNamespace

import pytest

from hub.model import DeviceState
from hub.trust import announce as module
from hub.trust.announce import Announce
from hub.trust.ports import PlatformError, PlatformRefusedError, PlatformTimeoutError
from hub.trust.roster import Roster
from protocol.devicekey import open_device_key


@pytest.fixture
def roster(store, health):
    return Roster(store=store, health=health)


@pytest.fixture
def make_announce(*, store, platform, roster, hub_key, health, metrics, now):
    def make():
        return Announce(
            store=store, source=platform, roster=roster, key=hub_key, health=health, metrics=metrics, now_ms=now.ms
        )

    return make


@pytest.fixture
def announce(make_announce):
    return make_announce()


async def test_the_platform_is_told_before_a_key_counts_as_known(
    *, announce, add_device, roster, platform, device, device_key, hub_key, make_announce
):
    await add_device()
    await roster.load()
    await announce.load()
    assert not announce.announced(device.kid)
    assert await announce.step() == 0
    assert announce.announced(device.kid)
    told = open_device_key(platform.keys[device.kid], key=hub_key.public)
    assert (told.device, told.key, told.place, told.gate, told.from_ms) == (
        device.device_id,
        device_key.public,
        "mall",
        "north",
        5,
    )
    again = make_announce()
    await again.load()
    assert again.announced(device.kid)
    platform.keys.clear()
    assert await again.step() == 0
    assert platform.keys == {}, "once is enough"


async def test_a_revoked_device_is_announced_too_for_what_it_sent_before(
    *, announce, add_device, roster, platform, store, operator, device
):
    await add_device()
    audit = operator.entry("device.revoked", "")
    await store.set_device_state(device.device_id, state=DeviceState.REVOKED, reason="lost", audit=audit)
    await roster.load()
    await announce.step()
    assert announce.announced(device.kid)


async def test_a_platform_that_is_away_is_told_later(*, announce, add_device, roster, platform, device, metrics):
    await add_device()
    await roster.load()
    platform.broken = {"key"}
    assert await announce.step() == 1
    assert not announce.announced(device.kid)
    assert b"keys_unannounced 1.0" in metrics.text()
    platform.broken = set()
    assert await announce.step() == 0
    assert announce.announced(device.kid)


async def test_one_damaged_key_does_not_stop_the_others(*, announce, add_device, roster, signing, platform, device):
    broken = await add_device(device_id=b"device-2", gate_id="south", **signing("two") | {"cose_key": b"\xa0"})
    await add_device()
    await roster.load()
    await announce.step()
    assert (announce.announced(device.kid), announce.announced(broken.kid)) == (True, False)


async def test_a_key_that_is_newer_than_the_roster_waits_for_it(*, announce, add_device, roster, device):
    await add_device()
    assert await announce.step() == 0
    assert not announce.announced(device.kid)
    await roster.load()
    await announce.step()
    assert announce.announced(device.kid)


async def test_its_task_tells_of_new_keys_and_goes_on_after_failures(
    *, announce, add_device, roster, platform, device, eventually, monkeypatch
):
    monkeypatch.setattr(module, "pause_s", lambda *_, **__: 0.01)
    roster.on_change.append(announce.wake)
    platform.broken = {"key"}
    tasks = [asyncio.create_task(part.run()) for part in (roster, announce)]
    await add_device()
    await eventually(lambda: platform.asked.count("key") > 2)
    platform.broken = set()
    await eventually(lambda: announce.announced(device.kid))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_only_a_platform_that_answers_no_for_ten_minutes_lets_the_check_ins_go_all_the_same(
    *, announce, add_device, roster, platform, device, now, monkeypatch
):
    await add_device()
    await roster.load()
    platform.broken = {"key"}
    for _ in range(3):
        now.s += 600
        assert await announce.step() == 1
        assert not announce.announced(device.kid), "it is away, and has said nothing"

    async def refuse(kid, _):
        raise PlatformRefusedError(f"status 409 for {kid.hex()}")

    monkeypatch.setattr(platform, "put_device_key", refuse)
    assert await announce.step() == 1
    now.s += 599
    await announce.step()
    assert not announce.announced(device.kid)
    now.s += 1
    assert announce.announced(device.kid)


async def test_keys_that_the_platform_chokes_on_do_not_stop_the_others(
    *, announce, add_device, roster, platform, signing, monkeypatch
):
    devices = [
        await add_device(device_id=b"device-%d" % number, gate_id=f"g{number}", **signing(str(number)))
        for number in range(5)
    ]
    await roster.load()
    bad = {device.kid for device in devices[:2]}
    put = platform.put_device_key

    async def choke(kid, sealed):
        if kid in bad:
            raise PlatformError("status 500")
        await put(kid, sealed)

    monkeypatch.setattr(platform, "put_device_key", choke)
    for _ in range(3):
        await announce.step()
    assert [announce.announced(device.kid) for device in devices] == [False, False, True, True, True]
    bad.clear()
    assert await announce.step() == 0
    assert all(announce.announced(device.kid) for device in devices)


async def test_a_platform_that_is_away_is_asked_once_a_round_and_the_hub_does_not_look_dead(
    *, store, platform, roster, hub_key, metrics, now, add_device, signing, monkeypatch
):
    beats = []
    health = SimpleNamespace(beat=beats.append)
    announce = Announce(
        store=store, source=platform, roster=roster, key=hub_key, health=health, metrics=metrics, now_ms=now.ms
    )
    for number in range(3):
        await add_device(device_id=b"device-%d" % number, gate_id=f"g{number}", **signing(str(number)))
    await roster.load()
    seen = []

    async def hang(*_):
        seen.append(len(beats))
        raise PlatformTimeoutError("no answer within 20 s")

    monkeypatch.setattr(platform, "put_device_key", hang)
    assert await announce.step() == 3
    assert seen == [1]
