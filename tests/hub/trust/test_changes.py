import pytest

from hub.model import DeviceState
from hub.registry.checks import RegistryError
from hub.store.errors import RegistryConflictError
from hub.store.trust_ports import ClosedBy, Closing, CommandState
from hub.trust import changes
from hub.trust.rules import Rules
from protocol.command import ARGUMENTS, CommandName

DEVICE = b"device-1".hex()
VALUES = {"seconds": 10, "minutes": 5, "lines": 200, "release": 2_001, "even_unsent": False}


@pytest.fixture(autouse=True)
async def _registered(add_device):
    await add_device()


async def rules_of(store):
    return Rules.from_json((await changes.policy_of(store, "mall")).rules).texts()


async def test_a_place_begins_with_version_0_and_the_defaults(store):
    policy = await changes.policy_of(store, "mall")
    assert (policy.version, await rules_of(store)) == (0, Rules.defaults().texts())


async def test_each_change_is_a_version_with_who_when_and_why(store, operator, actions):
    for given in ({"yellow": "refuse"}, {"open_ms": "1000"}):
        await changes.set_policy(store, operator=operator, place_id="mall", changes=given, note="rain")
    assert await rules_of(store) == Rules.defaults().texts() | {"yellow": "refuse", "open_ms": "1000"}
    history = await store.policy_history("mall", limit=9)
    assert [(row.version, row.who, row.note, row.at_ms) for row in history] == [
        (2, "wang", "rain", operator.now_ms),
        (1, "wang", "rain", operator.now_ms),
    ]
    assert (await actions())[-2:] == [
        ("wang", "policy.set", "mall: version 1: yellow refuse"),
        ("wang", "policy.set", "mall: version 2: open_ms 1000"),
    ]


async def test_going_back_is_a_new_version_with_the_old_rules(store, operator):
    for value in ("1000", "2000"):
        await changes.set_policy(store, operator=operator, place_id="mall", changes={"open_ms": value})
    policy = await changes.revert_policy(store, operator=operator, place_id="mall", to_version=1)
    assert (policy.version, (await rules_of(store))["open_ms"]) == (3, "1000")
    with pytest.raises(RegistryError, match="never had version 9"):
        await changes.revert_policy(store, operator=operator, place_id="mall", to_version=9)


async def test_a_change_that_cannot_be_changes_nothing(store, operator):
    async def refused(error, **asked):
        with pytest.raises(error):
            await changes.set_policy(store, operator=operator, **asked)

    await refused(RegistryError, place_id="mall", changes={})
    await refused(RegistryError, place_id="mall", changes={"green": "refuse"})
    await refused(RegistryError, place_id="mall", changes={"green": "hold"}, note="x\n")
    await refused(RegistryError, place_id="a/b", changes={"green": "hold"})
    await refused(RegistryConflictError, place_id="station", changes={"green": "hold"})
    assert await store.policy_history("mall", limit=9) == ()


async def test_of_two_operators_at_once_only_one_wins(store, operator, monkeypatch):
    plain = store.policy_history

    async def late(place_id, *, limit):
        found = await plain(place_id, limit=limit)
        monkeypatch.undo()
        await changes.set_policy(store, operator=operator, place_id="mall", changes={"open_ms": "1000"})
        return found

    monkeypatch.setattr(store, "policy_history", late)
    with pytest.raises(RegistryConflictError, match="somebody else"):
        await changes.set_policy(store, operator=operator, place_id="mall", changes={"open_ms": "2000"})
    assert (await rules_of(store))["open_ms"] == "1000"


async def test_an_operator_closes_with_a_reason_and_opens_only_his_own(store, operator, actions):
    theirs = Closing(place_id="mall", by=ClosedBy.PLATFORM, why="violation", since_ms=1)
    await store.close_place(theirs, audit=operator.entry("place.close", "mall"))
    close = {"operator": operator, "place_id": "mall", "reason": "fire drill"}
    assert [await changes.close_place(store, **close), await changes.close_place(store, **close)] == [True, False]
    assert await changes.open_place(store, operator=operator, place_id="mall")
    assert not await changes.open_place(store, operator=operator, place_id="mall")
    assert await store.closings() == (theirs,)
    assert (await actions())[-2:] == [("wang", "place.close", "mall: fire drill"), ("wang", "place.open", "mall")]
    with pytest.raises(RegistryError, match="reason"):
        await changes.close_place(store, operator=operator, place_id="mall", reason="")
    with pytest.raises(RegistryConflictError):
        await changes.close_place(store, operator=operator, place_id="station", reason="x")


def queue(store, operator, *, number=1, **asked):
    given = {"device_id": DEVICE, "name": "locate", "args": {"seconds": 10}} | asked
    return changes.queue_command(store, operator=operator, command_id=bytes([number]) * 16, **given)


@pytest.mark.parametrize("name", CommandName)
async def test_every_command_can_be_queued(store, operator, name):
    args = {key: VALUES[key] for key in ARGUMENTS.get(name, {})}
    row = await queue(store, operator, name=name, args=args)
    assert await store.open_commands() == (row,)
    assert changes.command_of(row).args == args
    assert row.state is CommandState.QUEUED


async def test_a_gate_does_not_open_for_somebody_who_left(store, operator):
    row = await queue(store, operator, name="open_once", args={})
    assert row.expires_s - row.issued_s == 30
    row = await queue(store, operator, number=2, name="disable", args={})
    assert row.expires_s - row.issued_s == 86_400
    row = await queue(store, operator, number=3, name="disable", args={}, life_s=5)
    assert row.expires_s - row.issued_s == 5


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "explode"},
        {"name": "Locate"},
        {"args": {}},
        {"args": {"seconds": 301}},
        {"args": {"seconds": 10, "colour": 1}},
        {"args": {"minutes": 10}},
        {"name": "restart", "args": {"seconds": 1}},
        {"name": "wipe", "args": {"even_unsent": 1}},
        {"life_s": 0},
        {"life_s": 86_401},
        {"life_s": -5},
        {"device_id": "device-1"},
    ],
)
async def test_what_a_device_would_refuse_is_not_queued(store, operator, asked):
    with pytest.raises(RegistryError):
        await queue(store, operator, **asked)
    assert await store.open_commands() == ()


async def test_strangers_and_revoked_devices_are_told_nothing(store, operator):
    with pytest.raises(RegistryConflictError, match="not registered"):
        await queue(store, operator, device_id="00" * 8)
    audit = operator.entry("device.revoked", DEVICE)
    await store.set_device_state(b"device-1", state=DeviceState.REVOKED, reason="lost", audit=audit)
    with pytest.raises(RegistryConflictError, match="revoked"):
        await queue(store, operator)


async def test_a_device_that_never_answers_is_not_told_more_and_more(store, operator):
    for number in range(changes.OPEN_COMMANDS_MAX):
        await queue(store, operator, number=number)
    with pytest.raises(RegistryConflictError, match="wait for its answer"):
        await queue(store, operator, number=200)
