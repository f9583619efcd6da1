from dataclasses import replace

import pytest

from hub.model import DeviceState
from hub.store.errors import StoreWriteError
from hub.trust.roster import Roster


@pytest.fixture
def roster(store, health):
    return Roster(store=store, health=health)


async def test_it_loads_only_when_something_changed_and_says_so(*, roster, add_device, store, operator, device):
    said = []
    roster.on_change.append(lambda: said.append(len(roster.devices)))
    await roster.load()
    await roster.load()
    await add_device()
    await roster.load()
    await roster.load()
    assert said == [0, 1]
    assert roster.find(device.device_id) == device
    assert roster.keys_of(device.device_id).keys() == {device.kid}
    assert roster.keys_of(b"stranger") == {}


async def test_who_may_speak(*, roster, add_device, store, operator, device):
    await add_device()
    await roster.load()
    name = device.device_id
    assert (roster.speaks(name), roster.is_revoked(name)) == (True, False)
    assert (roster.speaks(b"stranger"), roster.is_revoked(b"stranger")) == (False, False)
    for state, speaks in ((DeviceState.QUARANTINED, True), (DeviceState.REVOKED, False)):
        audit = operator.entry(f"device.{state}", "")
        await store.set_device_state(name, state=state, reason="x", audit=audit)
        await roster.load()
        assert (roster.speaks(name), roster.is_revoked(name)) == (speaks, not speaks)


async def test_one_damaged_key_does_not_stop_the_others(*, roster, add_device, signing, device):
    await add_device(device_id=b"device-2", gate_id="south", **signing("two") | {"cose_key": b"\xa0"})
    await add_device()
    await roster.load()
    assert (roster.keys_of(b"device-2"), len(roster.keys_of(device.device_id))) == ({}, 1)


async def test_what_could_not_be_read_is_read_at_the_next_look(*, roster, add_device, store, monkeypatch, device):
    async def fail():
        raise StoreWriteError("the disk is full")

    await add_device()
    with monkeypatch.context() as patch:
        patch.setattr(store, "device_keys", fail)
        with pytest.raises(StoreWriteError):
            await roster.load()
    assert roster.find(device.device_id) is None
    await roster.load()
    assert roster.find(device.device_id) == replace(device)
