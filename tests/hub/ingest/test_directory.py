import dataclasses

import pytest

from hub.ingest.directory import Directory
from hub.model import DeviceState
from hub.store.enrol_ports import StoredKey
from hub.store.errors import StoreWriteError
from protocol.keys import encode_key


async def test_devices_are_loaded_only_when_the_registry_changed(memory_store, gate, make_gate):
    memory_store.register(gate)
    directory = Directory(memory_store)
    await directory.refresh()
    first = directory.find(gate.device)
    assert list(first.keys) == [gate.key.public.kid]
    await directory.refresh()
    assert directory.find(gate.device) is first
    other = make_gate("other")
    memory_store.register(other)
    assert directory.find(other.device) is None
    await directory.refresh()
    assert directory.key_of(other.device, other.key.public.kid) == other.key.public


async def test_one_damaged_key_does_not_stop_the_others(memory_store, gate, make_gate, caplog):
    other = make_gate("other")
    memory_store.register(gate)
    memory_store.register(other)
    memory_store.registered[other.device] = dataclasses.replace(other.registered(), cose_key=b"\xa0")
    directory = Directory(memory_store)
    await directory.refresh()
    assert directory.find(gate.device) is not None
    assert directory.key_of(other.device, other.key.public.kid) is None
    assert caplog.messages == ["device_key_unusable"]


async def test_what_the_hub_decided_holds_at_once(memory_store, gate):
    memory_store.register(gate)
    directory = Directory(memory_store)
    await directory.refresh()
    directory.quarantine(gate.device, "fork")
    assert directory.find(gate.device).device.state is DeviceState.QUARANTINED


@pytest.fixture
async def rotated(memory_store, gate, make_gate):
    """A directory with a device that has been given a second key; returns it with the two keys."""
    memory_store.register(gate)
    newer = make_gate("newer").key.public
    memory_store.later_keys.append(
        StoredKey(kid=newer.kid, device_id=gate.device, cose_key=encode_key(newer), from_ms=1)
    )
    directory = Directory(memory_store)
    await directory.refresh()
    return directory, gate.key.public, newer


async def test_an_older_key_ends_when_the_newer_one_was_used_and_not_before(rotated, memory_store, gate):
    directory, older, newer = rotated
    assert list(directory.find(gate.device).keys.values()) == [older, newer]
    directory.note_use(gate.device, older.kid)
    await directory.refresh()
    assert directory.find(gate.device).ended == frozenset()
    directory.note_use(gate.device, newer.kid)
    await directory.refresh()
    assert directory.find(gate.device).ended == {older.kid}
    assert directory.key_of(gate.device, older.kid) == older
    version = memory_store.version
    directory.note_use(gate.device, newer.kid)
    await directory.refresh()
    assert memory_store.version == version, "an end is written once"


async def test_an_end_that_could_not_be_written_is_written_next_time(rotated, memory_store, gate):
    directory, older, newer = rotated
    directory.note_use(gate.device, newer.kid)
    memory_store.failures = 1
    with pytest.raises(StoreWriteError):
        await directory.refresh()
    await directory.refresh()
    assert directory.find(gate.device).ended == {older.kid}
