import dataclasses

from hub.ingest.directory import Directory
from hub.model import DeviceState


async def test_devices_are_loaded_only_when_the_registry_changed(memory_store, gate, make_gate):
    memory_store.register(gate)
    directory = Directory(memory_store)
    await directory.refresh()
    first = directory.find(gate.device)
    assert first.key.kid == gate.key.public.kid
    await directory.refresh()
    assert directory.find(gate.device) is first
    other = make_gate("other")
    memory_store.register(other)
    assert directory.find(other.device) is None
    await directory.refresh()
    assert directory.key_of(other.device) == other.key.public


async def test_one_damaged_key_does_not_stop_the_others(memory_store, gate, make_gate, caplog):
    other = make_gate("other")
    memory_store.register(gate)
    memory_store.register(other)
    memory_store.registered[other.device] = dataclasses.replace(other.registered(), cose_key=b"\xa0")
    directory = Directory(memory_store)
    await directory.refresh()
    assert directory.find(gate.device) is not None
    assert directory.key_of(other.device) is None
    assert caplog.messages == ["device_key_unusable"]


async def test_what_the_hub_decided_holds_at_once(memory_store, gate):
    memory_store.register(gate)
    directory = Directory(memory_store)
    await directory.refresh()
    directory.quarantine(gate.device, "fork")
    assert directory.find(gate.device).device.state is DeviceState.QUARANTINED
