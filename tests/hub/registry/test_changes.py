import pytest

from hub.model import DeviceState
from hub.registry import changes
from hub.registry.checks import RegistryError
from hub.store.sqlite import open_store
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Direction

OPERATOR = changes.Operator(who="wang", now_ms=1_790_000_000_000)
DEVICE = "00112233445566ff"
PUBLIC = Ed25519SigningKey(bytes(32)).public


@pytest.fixture
async def store(tmp_path):
    store = await open_store(tmp_path / "hub.db", create=True)
    yield store
    await store.close()


async def fill(store, **device):
    await changes.add_place(store, operator=OPERATOR, place_id="mall", name="商场", region="110105", responsible="王五")
    await changes.add_gate(store, operator=OPERATOR, place_id="mall", gate_id="north", name="北门")
    values = {
        "device_id": DEVICE,
        "cose_key": encode_key(PUBLIC),
        "place_id": "mall",
        "gate_id": "north",
        "direction": Direction.OUT,
        "name": "",
    }
    return await changes.add_device(store, operator=OPERATOR, **(values | device))


async def test_what_is_registered_is_checked_stored_and_audited(store):
    device = await fill(store)
    assert await store.devices() == (device,)
    assert (device.kid, device.state, device.direction) == (PUBLIC.kid, DeviceState.ACTIVE, Direction.OUT)
    log = await store.audit_log(limit=9)
    assert [(entry.who, entry.action) for entry in log] == [
        ("wang", "device.add"),
        ("wang", "gate.add"),
        ("wang", "place.add"),
    ]
    assert log[0].detail == f"{DEVICE} at mall/north, key {PUBLIC.kid.hex()}"


async def test_a_device_goes_to_quarantine_and_back_and_out(store):
    await fill(store)
    for state, reason in (
        (DeviceState.QUARANTINED, "odd"),
        (DeviceState.ACTIVE, ""),
        (DeviceState.REVOKED, "stolen"),
    ):
        await changes.set_device_state(store, operator=OPERATOR, device_id=DEVICE, state=state, reason=reason)
        (device,) = await store.devices()
        assert (device.state, device.reason) == (state, reason)
    (newest, *_) = await store.audit_log(limit=1)
    assert (newest.action, newest.detail) == ("device.revoked", f"{DEVICE}: stolen")


async def test_taking_trust_away_needs_a_reason(store):
    await fill(store)
    for state in (DeviceState.QUARANTINED, DeviceState.REVOKED):
        with pytest.raises(RegistryError, match="reason"):
            await changes.set_device_state(store, operator=OPERATOR, device_id=DEVICE, state=state, reason="")


@pytest.mark.parametrize(
    "wrong", [{"device_id": "xyz"}, {"cose_key": b""}, {"place_id": "a b"}, {"gate_id": ""}, {"name": "\x07"}]
)
async def test_nothing_unchecked_reaches_the_store(store, wrong):
    with pytest.raises(RegistryError):
        await fill(store, **wrong)
    assert await store.devices() == ()
