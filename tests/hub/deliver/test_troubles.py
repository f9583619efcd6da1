import dataclasses

import pytest

from hub.deliver import troubles as rules
from hub.deliver.facts import Facts
from hub.deliver.guidance import AT_THE_GATE, STEPS, TITLES
from hub.deliver.troubles import DeviceFacts, SiteFacts, troubles
from hub.model import Device, DeviceState, Head, StoreStatus
from hub.store.firmware_ports import Rollout, RolloutState
from hub.store.trust_ports import DeviceSeen
from protocol.health import Health, State, UpdateFailure
from protocol.terms import Colour, Direction

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
FINE = DeviceFacts(
    device_id=b"device-1", name="North 1", place_id="mall", gate_id="G1", heard_ms=NOW_MS - 1000, online=True
)
SITE = SiteFacts(started_ms=NOW_MS - HOUR_MS, broker_lost_ms=None, outbox_oldest_ms=None)


def kinds(site=SITE, **changes):
    found = troubles([dataclasses.replace(FINE, **changes)], site, now_ms=NOW_MS)
    return [alert.kind for alert in found.found]


def test_nothing_is_wrong_with_one_that_fares_well():
    assert kinds() == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"heard_ms": NOW_MS - rules.OFFLINE_MS - 1}, "device.offline"),
        ({"camera_still_ms": NOW_MS - rules.CAMERA_MS - 1}, "device.camera"),
        ({"spool_stuck_ms": NOW_MS - rules.SPOOL_MS - 1}, "device.spool"),
        ({"clock_wrong_ms": NOW_MS - rules.CLOCK_MS - 1}, "device.clock"),
        ({"storage_failed": True}, "device.storage"),
        ({"update_failed": True}, "device.update"),
        ({"certificate_until_ms": NOW_MS + rules.CERTIFICATE_MS - 1}, "device.certificate"),
        ({"certificate_until_ms": NOW_MS - 1}, "device.certificate"),
    ],
)
def test_each_fact_raises_its_own_and_one_less_of_it_nothing(changes, kind):
    assert kinds(**changes) == [kind]
    ((name, value),) = changes.items()
    if value is not True and value != NOW_MS - 1:
        assert kinds(**{name: value + 1}) == []


def test_one_that_is_gone_is_only_gone():
    gone = {"heard_ms": NOW_MS - HOUR_MS, "online": False}
    assert kinds(**gone, clock_wrong_ms=1, spool_stuck_ms=1, storage_failed=True) == ["device.offline"]


def test_one_that_left_a_moment_ago_is_given_time():
    assert kinds(online=False) == []


def test_one_that_was_never_heard_is_not_missed():
    assert kinds(heard_ms=None, online=None) == []


def test_a_deaf_hub_accuses_nobody_and_forgives_nobody():
    lost = SiteFacts(started_ms=NOW_MS - HOUR_MS, broker_lost_ms=NOW_MS - HOUR_MS, outbox_oldest_ms=None)
    found = troubles([dataclasses.replace(FINE, heard_ms=1)], lost, now_ms=NOW_MS)
    assert [alert.kind for alert in found.found] == ["site.broker"]
    assert "device.offline" in found.unknown
    fresh = dataclasses.replace(SITE, started_ms=NOW_MS - rules.OFFLINE_MS + 1)
    assert kinds(fresh, heard_ms=1) == []


def test_an_old_outbox_is_the_platforms_trouble():
    assert kinds(dataclasses.replace(SITE, outbox_oldest_ms=NOW_MS - rules.PLATFORM_MS - 1)) == ["site.platform"]


def test_a_halted_rollout_is_a_trouble_of_the_site():
    assert kinds(dataclasses.replace(SITE, rollout_halted_ms=NOW_MS)) == ["site.rollout"]


def test_every_kind_has_a_name_and_something_to_do():
    assert TITLES.keys() == STEPS.keys()
    assert AT_THE_GATE.keys() == set(Colour)
    for said in (*TITLES.values(), *(step for steps in (*STEPS.values(), *AT_THE_GATE.values()) for step in steps)):
        assert said.zh
        assert said.en
        assert said.into("zh") != said.into("en")


class Known:
    """A store of one device."""

    def __init__(self):
        self.head_ms = NOW_MS
        self.rollout = None

    async def newest_rollout(self):
        return self.rollout

    async def devices(self):
        device = Device(
            device_id=b"device-1",
            place_id="mall",
            gate_id="G1",
            direction=Direction.IN,
            name="North 1",
            cose_key=b"",
            kid=b"",
            state=DeviceState.ACTIVE,
            reason="",
            added_ms=0,
            changed_ms=0,
        )
        return device, dataclasses.replace(device, device_id=b"device-2", state=DeviceState.REVOKED)

    async def devices_seen(self):
        return ()

    async def heads(self):
        return (Head(device_id=b"device-1", epoch=b"", seq=1, hash=b"", updated_ms=self.head_ms),)

    async def certificates_until(self):
        return {b"device-1": 5}

    async def status(self):
        return StoreStatus(
            rows=0, outbox_rows=0, outbox_oldest_ms=None, batches_open=0, batches_refused=0, quarantined=0, gaps=0
        )


async def test_facts_learn_what_lasts_by_being_asked():
    now = {"ms": NOW_MS}
    store, ready, said = Known(), {"ready": True}, {}
    seen = DeviceSeen(
        device_id=b"device-1", seen_ms=NOW_MS, online=True, firmware="", trust_version=1, policy_version=1
    )
    facts = Facts(
        store=store,
        seen=lambda: {b"device-1": seen},
        healths=lambda: said,
        broker_ready=lambda: ready["ready"],
        now_ms=lambda: now["ms"],
    )

    def says(at_ms, **changes):
        values = {"frames": 10, "spool": 3, "clock_trusted": False, "state": State.STORAGE_FAILED, **changes}
        rest = dict.fromkeys(
            ("frames_dropped", "decode_us", "scans", "decoder_restarts", "camera_restarts", "foreign"), 0
        )
        said[b"device-1"] = Health(at_ms=at_ms, **values, **rest)

    (one,), site = await facts.look()
    assert (one.heard_ms, one.camera_still_ms, one.certificate_until_ms) == (NOW_MS, None, 5)
    assert site == SiteFacts(started_ms=NOW_MS, broker_lost_ms=None, outbox_oldest_ms=None)
    says(1)
    await facts.look()
    now["ms"] += 30_000
    (one,), _ = await facts.look()
    assert one.camera_still_ms is None  # It has said nothing new.
    says(2)
    (one,), _ = await facts.look()
    assert (one.camera_still_ms, one.clock_wrong_ms) == (NOW_MS + 30_000, NOW_MS)
    assert one.storage_failed
    now["ms"] += 30_000
    says(3)
    store.head_ms = NOW_MS + 7
    (one,), _ = await facts.look()
    assert (one.camera_still_ms, one.spool_stuck_ms) == (NOW_MS + 30_000, NOW_MS + 7)
    says(4, frames=11, spool=0, clock_trusted=True, state=State.IN_SERVICE)
    (one,), _ = await facts.look()
    assert (one.camera_still_ms, one.spool_stuck_ms, one.clock_wrong_ms, one.storage_failed) == (
        None,
        None,
        None,
        False,
    )
    ready["ready"] = False
    assert (await facts.look())[1].broker_lost_ms == now["ms"]
    ready["ready"] = True
    now["ms"] += 5
    assert (await facts.look())[1].started_ms == now["ms"]


@pytest.mark.parametrize(("state", "since_ms"), [("running", None), ("halted", 7), ("done", None), ("cancelled", None)])
async def test_facts_know_a_halted_rollout_and_an_update_that_failed(state, since_ms):
    store, said = Known(), {}
    store.rollout = Rollout(
        release=2_000, soak_min=1, failures_max=0, patience_min=5, who="w", made_ms=1, state=RolloutState(state),
        moved_ms=7,
    )  # fmt: skip
    facts = Facts(store=store, seen=dict, healths=lambda: said, broker_ready=lambda: True, now_ms=lambda: NOW_MS)
    (one,), site = await facts.look()
    assert (one.update_failed, site.rollout_halted_ms) == (False, since_ms)
    zeros = dict.fromkeys(
        ("spool", "frames", "frames_dropped", "decode_us", "scans", "decoder_restarts", "camera_restarts", "foreign"), 0
    )
    said[b"device-1"] = Health(
        at_ms=1, state=State.IN_SERVICE, clock_trusted=True, update_failed=2_000,
        update_failure=UpdateFailure.UNHEALTHY, **zeros,
    )  # fmt: skip
    (one,), _ = await facts.look()
    assert one.update_failed
