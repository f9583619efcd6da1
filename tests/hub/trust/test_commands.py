import asyncio

import pytest

from hub.model import DeviceState
from hub.store.errors import StoreWriteError
from hub.store.trust_ports import CommandRow, CommandState
from hub.trust import changes
from hub.trust import commands as module
from hub.trust.commands import Commands
from hub.trust.fleet import Fleet
from hub.trust.roster import Roster
from protocol import topics
from protocol.command import CommandResult, WipeProof, encode_result, open_command, seal_wipe_proof
from protocol.presence import DevicePresence

DEVICE = b"device-1"
TOPIC = topics.commands(DEVICE)
ID = bytes([1]) * 16


@pytest.fixture
def roster(store, health):
    return Roster(store=store, health=health)


@pytest.fixture
def fleet(store, refusals, health, now):
    return Fleet(store=store, refusals=refusals, health=health, now_ms=now.ms)


@pytest.fixture
def make_commands(*, store, shelf, roster, fleet, hub_key, refusals, health, metrics, now):
    def make():
        return Commands(
            store=store,
            board=shelf,
            roster=roster,
            fleet=fleet,
            key=hub_key,
            refusals=refusals,
            health=health,
            metrics=metrics,
            now_ms=now.ms,
        )

    return make


@pytest.fixture
async def commands(make_commands, add_device, roster):
    await add_device()
    await roster.load()
    return make_commands()


@pytest.fixture
def here(fleet):
    """Says that the device is there, or that it is gone."""

    def say(commands, *, online=True):
        presence = DevicePresence(
            session=bytes(8),
            online=online,
            epoch=bytes(8),
            oldest_seq=1,
            newest_seq=0,
            firmware="1",
            trust_version=0,
            policy_version=0,
        )
        fleet.present(DEVICE, presence)
        if online:
            commands.present(DEVICE)

    return say


@pytest.fixture
def queue(store, operator):
    def add(name="locate", *, number=1, args=None, life_s=None):
        return changes.queue_command(
            store,
            operator=operator,
            command_id=bytes([number]) * 16,
            device_id=DEVICE.hex(),
            name=name,
            args={"seconds": 10} if args is None else args,
            life_s=life_s,
        )

    return add


@pytest.fixture
def state(store):
    async def read(number=1):
        row = await store.find_command(bytes([number]) * 16)
        return row.state, row.detail

    return read


def answer(*, number=1, ok=True, detail="done", proof=None):
    return encode_result(CommandResult(id=bytes([number]) * 16, ok=ok, detail=detail, proof=proof))


def proof_of(key, **changes):
    plain = {
        "device": DEVICE,
        "command_id": ID,
        "at_ms": 1,
        "epoch": b"epoch--1",
        "newest_seq": 9,
        "head_hash": bytes(32),
        "unsent": 2,
    }
    return seal_wipe_proof(WipeProof(**plain | changes), key=key)


async def test_a_command_goes_to_a_device_that_is_there(*, commands, here, queue, broker, hub_key, state):
    here(commands)
    row = await queue()
    commands.wake()
    await commands.step()
    sent = open_command(broker.live(TOPIC)[0], hub_keys={hub_key.public.kid: hub_key.public}, device=DEVICE)
    assert (sent.id, sent.name, sent.args, sent.expires_s) == (ID, "locate", {"seconds": 10}, row.expires_s)
    assert await state() == (CommandState.SENT, "")
    await commands.step()
    assert len(broker.live(TOPIC)) == 1


async def test_it_waits_for_a_device_that_is_away(*, commands, here, queue, broker, state):
    await queue()
    await commands.step()
    assert (broker.live(TOPIC), await state()) == ([], (CommandState.QUEUED, ""))
    here(commands)
    await commands.step()
    assert len(broker.live(TOPIC)) == 1
    here(commands, online=False)
    commands.wake()
    await commands.step()
    assert len(broker.live(TOPIC)) == 1


async def test_the_same_bytes_go_again_when_the_device_comes_back_or_stays_silent(
    *, commands, here, queue, broker, now
):
    here(commands)
    await queue()
    await commands.step()
    here(commands)
    await commands.step()
    sent = []
    for _ in range(50):
        now.s += 1
        await commands.step()
        sent.append(len(broker.live(TOPIC)))
    assert [sent[second] for second in (8, 10, 28, 32)] == [2, 3, 3, 4]
    assert len(set(broker.live(TOPIC))) == 1


async def test_a_clock_that_was_ahead_does_not_silence_the_hub_until_then(*, commands, here, queue, broker, now):
    here(commands)
    await queue(life_s=600)
    now.s += 200
    await commands.step()
    now.s -= 200
    await commands.step()
    assert len(broker.live(TOPIC)) == 2


async def test_a_result_ends_it_once(*, commands, here, queue, broker, state, actions, now):
    here(commands)
    await queue()
    await commands.step()
    for detail in ("first", "second"):
        commands.result(DEVICE, answer(detail=detail))
    await commands.step()
    now.s += 20
    here(commands)
    await commands.step()
    assert await state() == (CommandState.DONE, "first")
    assert len(broker.live(TOPIC)) == 1
    said = [(who, action) for who, action, _ in await actions() if action.startswith("command")]
    assert said == [("wang", "command.send"), ("hub", "command.done")]


async def test_a_device_that_could_not_do_it_says_so(*, commands, here, queue, state):
    here(commands)
    await queue()
    commands.result(DEVICE, answer(ok=False, detail="the relay does not answer"))
    await commands.step()
    assert await state() == (CommandState.FAILED, "the relay does not answer")


async def test_its_life_ends_and_a_late_result_still_counts(*, commands, here, queue, state, now, broker):
    await queue(life_s=10)
    await commands.step()
    now.s += 11
    await commands.step()
    assert (await state())[0] is CommandState.EXPIRED
    here(commands)
    await commands.step()
    assert broker.live(TOPIC) == [], "it is not sent any more"
    commands.result(DEVICE, answer())
    await commands.step()
    assert await state() == (CommandState.DONE, "done")


async def test_results_of_others_and_of_nothing_are_refused(
    *, commands, here, queue, state, refusals, actions, add_device, signing
):
    await add_device(device_id=b"device-2", gate_id="south", **signing("two"))
    await queue()
    commands.result(b"device-2", answer())
    commands.result(DEVICE, answer(number=9))
    commands.result(DEVICE, b"nonsense")
    await commands.step()
    await refusals.step()
    assert await state() == (CommandState.QUEUED, "")
    said = [detail.split(": ")[1] for _, action, detail in await actions() if action == "trust.refused"]
    assert said == ["malformed", "unknown_command (2 times)"]


@pytest.fixture
def wipe(commands, here, queue):
    async def tell():
        here(commands)
        await queue("wipe", args={"even_unsent": False})
        await commands.step()

    return tell


async def test_a_proven_wipe_revokes_the_device(*, wipe, commands, store, state, actions, device_key, roster):
    await wipe()
    version = await store.registry_version()
    commands.result(DEVICE, answer(proof=proof_of(device_key)))
    await commands.step()
    assert await state() == (CommandState.DONE, f"epoch {b'epoch--1'.hex()}, newest 9, unsent 2")
    row = await store.find_command(ID)
    assert row.proof == proof_of(device_key)
    device = (await store.devices())[0]
    assert (device.state, device.reason) == (DeviceState.REVOKED, "wiped")
    assert await store.registry_version() != version, "ingest and broker look at this"
    assert [action for _, action, _ in await actions()][-2:] == ["command.done", "device.revoked"]


async def test_a_wipe_that_the_device_refused_revokes_nothing(*, wipe, commands, store, state):
    await wipe()
    commands.result(DEVICE, answer(ok=False, detail="2 check-ins are not received yet"))
    await commands.step()
    assert (await state())[0] is CommandState.FAILED
    assert (await store.devices())[0].state is DeviceState.ACTIVE


@pytest.mark.parametrize("sort", ["none", "another key", "another device", "another command", "noise", "a result"])
async def test_a_wipe_without_a_good_proof_is_failed_kept_and_audited(
    *, sort, wipe, commands, store, state, actions, refusals, device_key, hub_key
):
    await wipe()
    proof = {
        "none": None,
        "another key": proof_of(hub_key),
        "another device": proof_of(device_key, device=b"device-2"),
        "another command": proof_of(device_key, command_id=bytes(16)),
        "noise": b"\xd2\x84" + bytes(80),
        "a result": answer(),
    }[sort]
    commands.result(DEVICE, answer(proof=proof))
    await commands.step()
    await refusals.step()
    found, detail = await state()
    assert found is CommandState.FAILED
    assert detail.startswith("its proof was refused")
    assert (await store.find_command(ID)).proof == proof
    assert (await store.devices())[0].state is DeviceState.ACTIVE
    assert "trust.refused" in [action for _, action, _ in await actions()]


async def test_a_revoked_device_is_told_nothing_more(*, commands, here, queue, store, operator, roster, state, broker):
    await queue()
    audit = operator.entry("device.revoked", "")
    await store.set_device_state(DEVICE, state=DeviceState.REVOKED, reason="lost", audit=audit)
    await roster.load()
    here(commands)
    await commands.step()
    assert await state() == (CommandState.FAILED, "the device is revoked")
    assert broker.live(TOPIC) == []


async def test_a_restart_forgets_nothing(*, commands, here, queue, broker, make_commands, state):
    here(commands)
    await queue()
    await commands.step()
    again = make_commands()
    await again.step()
    assert len(set(broker.live(TOPIC))) == 1
    assert len(broker.live(TOPIC)) == 2
    again.result(DEVICE, answer())
    await again.step()
    assert await state() == (CommandState.DONE, "done")


@pytest.mark.parametrize("call", ["open_commands", "keep_sealed", "mark_sent", "find_command", "finish_command"])
async def test_when_the_database_fails_nothing_is_lost(*, call, commands, here, queue, state, store, monkeypatch):
    async def fail(*_, **__):
        raise StoreWriteError("the disk is full")

    here(commands)
    await queue()
    if call in {"find_command", "finish_command"}:
        await commands.step()
        commands.result(DEVICE, answer())
    with monkeypatch.context() as patch:
        patch.setattr(store, call, fail)
        with pytest.raises(StoreWriteError):
            await commands.step()
    await commands.step()
    commands.result(DEVICE, answer())
    await commands.step()
    assert await state() == (CommandState.DONE, "done")


async def test_without_a_broker_it_stays_queued(*, commands, here, queue, state, broker):
    broker.there = False
    here(commands)
    await queue()
    await commands.step()
    assert await state() == (CommandState.QUEUED, "")
    broker.there = True
    await commands.step()
    assert await state() == (CommandState.SENT, "")


async def test_a_device_that_talks_without_end_takes_no_other_ones_place(*, commands, here, queue, state):
    here(commands)
    await queue()
    await commands.step()
    for number in range(1000):
        commands.result(b"device-2", answer(number=number % 256))
    commands.result(DEVICE, answer())
    await commands.step()
    assert await state() == (CommandState.DONE, "done")


async def test_results_that_wait_are_bounded(commands, monkeypatch):
    monkeypatch.setattr(module, "_RESULTS_MAX", 3)
    for number in range(9):
        commands.result(DEVICE, answer(number=number))
    assert len(commands._results) == 3


async def test_a_row_that_nobody_of_ours_wrote_fails_alone(*, commands, here, queue, store, operator, state):
    broken = CommandRow(
        command_id=bytes([2]) * 16,
        device_id=DEVICE,
        name="explode",
        args="{}",
        issued_s=operator.now_ms // 1000,
        expires_s=operator.now_ms // 1000 + 60,
        who="x",
    )
    await store.add_command(broken, audit=operator.entry("command.send", ""), open_max=9)
    await queue()
    here(commands)
    await commands.step()
    assert ((await state(2))[0], (await state())[0]) == (CommandState.FAILED, CommandState.SENT)


async def test_its_task_sends_at_once_what_another_process_queued(*, commands, here, queue, broker, roster, eventually):
    here(commands)
    roster.on_change.append(commands.wake)
    tasks = [asyncio.create_task(part.run()) for part in (roster, commands)]
    await asyncio.sleep(0)
    await queue()
    await eventually(lambda: broker.live(TOPIC), wait_s=1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
