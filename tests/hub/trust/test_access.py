import pytest

from hub.model import DeviceState
from hub.trust.access import Access
from hub.trust.roster import Roster


class Control:
    """`hub.broker.access.AccessControl`, as far as it is used."""

    def __init__(self):
        self.settled, self.looks, self.wanted = False, 0, None

    def look(self):
        self.looks += 1

    def want(self, devices):
        self.wanted = devices


@pytest.fixture
def control():
    return Control()


@pytest.fixture
def roster(store, health):
    return Roster(store=store, health=health)


@pytest.fixture
def access(roster, control, health):
    return Access(roster=roster, control=control, health=health)


@pytest.mark.usefixtures("access")
async def test_the_broker_hears_of_every_change_and_a_revoked_device_is_no_longer_wanted(
    *, roster, control, add_device, store, operator, signing, device
):
    await add_device()
    other = await add_device(device_id=b"device-2", gate_id="south", **signing("two"))
    await roster.load()
    assert control.wanted == {device.device_id: "mall", other.device_id: "mall"}
    for state in (DeviceState.QUARANTINED, DeviceState.REVOKED):
        await store.set_device_state(device.device_id, state=state, reason="x", audit=operator.entry("x", ""))
        await roster.load()
        assert (device.device_id in control.wanted) is (state is DeviceState.QUARANTINED)
    assert other.device_id in control.wanted


def test_a_broker_that_never_confirms_is_told_of(access, control, health):
    access.look()
    assert health.warnings() == {}, "an answer takes its time"
    access.look()
    assert "access" in health.warnings()
    control.settled = True
    access.look()
    assert health.warnings() == {}
    assert control.looks == 3
