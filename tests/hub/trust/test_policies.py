import asyncio
from dataclasses import replace

import pytest

from hub.model import DeviceState
from hub.store.errors import StoreWriteError
from hub.store.trust_ports import ClosedBy, Closing, PolicyVersion
from hub.trust import changes
from hub.trust import policies as module
from hub.trust.fleet import Fleet
from hub.trust.policies import Policies
from hub.trust.roster import Roster
from protocol import topics
from protocol.policy import open_policy
from protocol.presence import DevicePresence
from protocol.terms import Direction, Verdict

TOPIC = topics.policy(b"device-1")


@pytest.fixture
def roster(store, health):
    return Roster(store=store, health=health)


@pytest.fixture
def fleet(store, refusals, health, now):
    return Fleet(store=store, refusals=refusals, health=health, now_ms=now.ms)


@pytest.fixture
def make_policies(*, store, shelf, roster, fleet, hub_key, health, metrics, now):
    def make(key=hub_key):
        return Policies(
            store=store,
            board=shelf,
            roster=roster,
            fleet=fleet,
            key=key,
            health=health,
            metrics=metrics,
            now_ms=now.ms,
        )

    return make


@pytest.fixture
def policies(make_policies):
    return make_policies()


@pytest.fixture
def look(roster, policies):
    async def step():
        await roster.load()
        await policies.step()

    return step


@pytest.fixture
def read(broker, hub_key):
    def opened(device=b"device-1", *, place="mall", gate="north", key=None):
        public = (key or hub_key).public
        data = broker.retained[topics.policy(device)]
        return open_policy(data, hub_keys={public.kid: public}, device=device, place=place, gate=gate)

    return opened


async def test_every_gate_gets_its_own_policy_and_keeps_it(*, add_device, look, read, broker, signing):
    await add_device()
    other = signing("two")
    await add_device(device_id=b"device-2", gate_id="south", direction=None, **other)
    await look()
    await look()
    assert (read().version, read().direction) == (1, Direction.OUT)
    assert read(b"device-2", gate="south").direction is Direction.IN, "a device of both directions counts inwards"
    assert len(broker.sent) == 2, "nothing changed, so nothing was signed again"


async def test_a_change_is_in_force_at_the_gates_of_its_place_only(*, add_device, look, read, store, operator, signing):
    await add_device()
    await add_device(device_id=b"device-2", place_id="station", **signing("two"))
    await look()
    await changes.set_policy(store, operator=operator, place_id="mall", changes={"yellow": "refuse"})
    await look()
    assert (read().version, read().yellow) == (2, Verdict.REFUSE)
    assert read(b"device-2", place="station").version == 1


async def test_going_back_gives_gates_a_higher_version_with_the_old_rules(*, add_device, look, read, store, operator):
    await add_device()
    for value in ("1000", "2000"):
        await changes.set_policy(store, operator=operator, place_id="mall", changes={"open_ms": value})
        await look()
    await changes.revert_policy(store, operator=operator, place_id="mall", to_version=1)
    await look()
    assert (read().version, read().open_ms) == (3, 1000)


async def test_a_place_is_open_only_when_nobody_keeps_it_closed(*, add_device, look, read, store, operator):
    await add_device()
    audit = operator.entry("place", "mall")
    await store.close_place(Closing(place_id="mall", by=ClosedBy.PLATFORM, why="x", since_ms=1), audit=audit)
    await changes.close_place(store, operator=operator, place_id="mall", reason="drill")
    seen = []
    await look()
    seen.append(read().closed)
    await store.open_place("mall", by=ClosedBy.PLATFORM, audit=audit)
    await look()
    seen.append(read().closed)
    await changes.open_place(store, operator=operator, place_id="mall")
    await look()
    seen.append(read().closed)
    assert seen == [True, True, False]


async def test_a_revoked_gate_gets_nothing_and_a_quarantined_one_goes_on(*, add_device, look, broker, store, operator):
    await add_device()
    await look()
    for state, stands in ((DeviceState.QUARANTINED, True), (DeviceState.REVOKED, False)):
        audit = operator.entry(f"device.{state}", "")
        await store.set_device_state(b"device-1", state=state, reason="lost", audit=audit)
        await look()
        assert (TOPIC in broker.retained) is stands


async def test_versions_go_on_after_a_restart_and_a_new_key_signs_again(
    *, add_device, look, read, make_policies, broker, roster, store, operator, device_key
):
    await add_device()
    await changes.set_policy(store, operator=operator, place_id="mall", changes={"open_ms": "1000"})
    await look()
    before = broker.retained[TOPIC]
    again = make_policies()
    await again.step()
    assert broker.retained[TOPIC] == before, "the very bytes"
    await make_policies(key=device_key).step()
    assert read(key=device_key).version == 2


def has(version):
    return DevicePresence(
        session=bytes(8),
        online=True,
        epoch=bytes(8),
        oldest_seq=1,
        newest_seq=0,
        firmware="1",
        trust_version=0,
        policy_version=version,
    )


async def test_after_a_restored_backup_a_gate_with_a_newer_policy_gets_what_holds_now(
    *, add_device, look, read, fleet, broker
):
    await add_device()
    await look()
    fleet.present(b"device-1", has(1))
    await look()
    assert read().version == 1
    fleet.present(b"device-1", has(7))
    await look()
    await look()
    assert (read().version, len(broker.sent)) == (8, 2), "once, and above what the gate would refuse"
    fleet.present(b"device-1", has(8))
    await look()
    assert read().version == 8


async def test_a_gate_cannot_use_up_the_versions(*, add_device, look, read, fleet, store, operator):
    await add_device()
    await look()
    for version in (2**62 - 1, 2**62, 2**63 - 1):
        fleet.present(b"device-1", has(version))
        await look()
    await changes.set_policy(store, operator=operator, place_id="mall", changes={"yellow": "refuse"})
    await look()
    assert (read().version, read().yellow) == (2**62 + 1, Verdict.REFUSE)


async def test_a_policy_that_could_not_be_kept_is_not_published(
    *, add_device, look, read, broker, store, monkeypatch, policies
):
    async def fail(_):
        raise StoreWriteError("the disk is full")

    await add_device()
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep_issued", fail)
        with pytest.raises(StoreWriteError):
            await look()
    assert broker.retained == {}
    await policies.step()
    assert read().version == 1


async def test_a_number_is_never_given_twice_though_nobody_knows_whether_it_was_kept(
    *, add_device, look, read, store, operator, monkeypatch, policies
):
    await add_device()
    await look()
    plain = store.keep_issued

    async def kept_but_unheard(rows):
        await plain(rows)
        raise StoreWriteError("the answer was lost")

    await changes.set_policy(store, operator=operator, place_id="mall", changes={"open_ms": "1000"})
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep_issued", kept_but_unheard)
        with pytest.raises(StoreWriteError):
            await look()
    await policies.step()
    assert (read().version, read().open_ms) == (2, 1000)
    await changes.set_policy(store, operator=operator, place_id="mall", changes={"open_ms": "2000"})
    await look()
    assert read().version == 3


async def test_a_place_whose_rules_cannot_be_read_keeps_what_it_has_and_holds_up_no_other(
    *, add_device, look, read, store, operator, signing
):
    await add_device()
    await add_device(device_id=b"device-2", place_id="station", **signing("two"))
    await look()
    broken = PolicyVersion(place_id="mall", version=1, rules='{"future": "x"}', who="x", at_ms=1, note="")
    await store.add_policy(broken, audit=operator.entry("policy.set", ""))
    await changes.set_policy(store, operator=operator, place_id="station", changes={"open_ms": "1000"})
    await look()
    assert (read().version, read(b"device-2", place="station").version) == (1, 2)


async def test_a_gate_that_is_being_enrolled_gets_the_policy_that_it_will_have(*, policies, add_device, look, broker):
    asked = {"device": b"device-1", "place": "mall", "gate": "north", "direction": Direction.OUT}
    first, second = await asyncio.gather(policies.policy_for(**asked), policies.policy_for(**asked))
    await add_device()
    await look()
    assert first == second == broker.retained[TOPIC]


async def test_two_hundred_gates_are_served_in_one_go(*, policies, roster, store, device, broker, metrics, monkeypatch):
    made = {number.to_bytes(8, "big"): number for number in range(200)}
    roster._devices = {name: replace(device, device_id=name, gate_id=f"g{number}") for name, number in made.items()}
    await policies.step()
    assert len(broker.retained) == 200
    assert len(await store.issued_policies()) == 200
    assert b"policies_issued_total 200.0" in metrics.text()


async def test_its_task_sees_what_another_process_changed(
    *, add_device, look, read, store, operator, policies, roster, eventually, monkeypatch
):
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    await add_device()
    roster.on_change.append(policies.wake)
    tasks = [asyncio.create_task(part.run()) for part in (roster, policies)]
    await eventually(lambda: TOPIC in policies._board._wanted)
    await changes.set_policy(store, operator=operator, place_id="mall", changes={"yellow": "refuse"})
    await eventually(lambda: read().yellow is Verdict.REFUSE, wait_s=1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_its_task_does_not_look_at_every_gate_again_while_nothing_changes(
    *, add_device, policies, roster, fleet, read, eventually, monkeypatch
):
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    steps, step = [], policies.step

    async def counted():
        steps.append(len(steps))
        await step()

    monkeypatch.setattr(policies, "step", counted)
    await add_device()
    await roster.load()
    task = asyncio.create_task(policies.run())
    await eventually(lambda: TOPIC in policies._board._wanted)
    for _ in range(20):
        await asyncio.sleep(0)
    assert steps == [0]
    fleet.present(b"device-1", has(7))
    await eventually(lambda: read().version == 8, wait_s=1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_others_get_their_turn_while_thousands_are_published(*, policies, roster, device):
    names = [number.to_bytes(8, "big") for number in range(1000)]
    roster._devices = {name: replace(device, device_id=name, gate_id=name.hex()) for name in names}
    await policies.policy_for(device=names[0], place="mall", gate="north", direction=Direction.OUT)
    published = []

    async def watch():
        while True:
            published.append(len(policies._board._wanted))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await policies.step()
    watching.cancel()
    assert {64, 128, 960} <= set(published)
