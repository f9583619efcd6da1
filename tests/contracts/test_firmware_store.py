"""What every store must do with rings and rollouts. A second implementation joins `STORES`."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from hub.model import AuditEntry, Device, DeviceState, Gate, Place
from hub.store.errors import RegistryConflictError, StoreWriteError
from hub.store.firmware_ports import RING_PLAIN, Outcome, Rollout, RolloutState, Told
from hub.store.sqlite import open_store
from hub.store.trust_ports import CommandRow, CommandState
from protocol.keys import Ed25519SigningKey, encode_key

pytestmark = pytest.mark.slow

STORES = {"sqlite": open_store}
NOW_MS = 1_790_000_000_000
A, B = b"device-A", b"device-B"
PLAN = Rollout(
    release=2_000, place_id="mall", soak_min=30, failures_max=1, patience_min=40, who="wang", made_ms=NOW_MS,
    moved_ms=NOW_MS,
)  # fmt: skip


def audit(action="test", detail=""):
    return AuditEntry(at_ms=NOW_MS, who="tester", action=action, detail=detail)


def told(device_id=A, **changes):
    plain = Told(
        device_id=device_id, command_id=device_id * 2, tries=2, was_failing=True, told_ms=NOW_MS + 1,
        outcome_ms=NOW_MS + 2,
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.fixture(params=STORES)
async def store(request, tmp_path):
    store = await STORES[request.param](tmp_path / "hub.db", create=True)
    await store.add_place(Place(place_id="mall", name="mall"), audit=audit())
    await store.add_gate(Gate(place_id="mall", gate_id="north", name=""), audit=audit())
    for device_id, seed in ((A, 1), (B, 2)):
        public = Ed25519SigningKey(bytes([seed]) * 32).public
        device = Device(
            device_id=device_id, place_id="mall", gate_id="north", direction=None, name="",
            cose_key=encode_key(public), kid=public.kid, state=DeviceState.ACTIVE, reason="", added_ms=1, changed_ms=1,
        )  # fmt: skip
        await store.add_device(device, audit=audit())
    yield store
    await store.close()


async def actions(store):
    return [entry.action for entry in await store.audit_log(limit=99) if entry.action != "test"]


async def test_a_device_is_in_one_ring_and_the_fleet_knows_it(store):
    assert await store.rings() == {}
    await store.set_ring(A, ring=3, audit=audit("firmware.ring"))
    await store.set_ring(A, ring=0, audit=audit("firmware.ring"))
    assert await store.rings() == {A: 0}
    assert [row.ring for row in await store.fleet(slot=0)] == [0, RING_PLAIN]
    assert await actions(store) == ["firmware.ring"] * 2


async def test_a_strange_device_and_a_strange_ring_are_refused(store):
    with pytest.raises(RegistryConflictError, match="not registered"):
        await store.set_ring(b"stranger", ring=1, audit=audit("firmware.ring"))
    with pytest.raises(StoreWriteError):
        await store.set_ring(A, ring=10, audit=audit("firmware.ring"))
    assert await actions(store) == []


async def test_a_rollout_comes_back_as_it_was_staged_and_moved(store):
    assert await store.newest_rollout() is None
    number = await store.add_rollout(PLAN, audit=audit("firmware.stage"))
    assert await store.newest_rollout() == replace(PLAN, rollout_id=number)
    moved = replace(
        PLAN, rollout_id=number, state=RolloutState.HALTED, reason="failures", ring=2, soak_from_ms=5, moved_ms=6,
        soak_min=7, failures_max=8, patience_min=9,
    )  # fmt: skip
    assert await store.move_rollout(moved, expected=RolloutState.RUNNING, audit=[audit("firmware.halt")])
    assert await store.newest_rollout() == moved
    assert await actions(store) == ["firmware.halt", "firmware.stage"]


async def test_a_rollout_that_somebody_else_has_moved_stays_as_it_is(store):
    number = await store.add_rollout(PLAN, audit=audit("firmware.stage"))
    halted = replace(PLAN, rollout_id=number, state=RolloutState.HALTED)
    assert await store.move_rollout(halted, expected=RolloutState.RUNNING)
    late = replace(halted, state=RolloutState.DONE)
    assert not await store.move_rollout(late, expected=RolloutState.RUNNING, told=[told()], audit=[audit("late")])
    assert await store.newest_rollout() == halted
    assert await store.told_devices(number) == ()
    assert await actions(store) == ["firmware.stage"]


@pytest.mark.parametrize(
    ("state", "free"), [("running", False), ("halted", False), ("done", True), ("cancelled", True)]
)
async def test_one_rollout_is_open_at_a_time(store, state, free):
    number = await store.add_rollout(PLAN, audit=audit())
    moved = replace(PLAN, rollout_id=number, state=RolloutState(state))
    assert await store.move_rollout(moved, expected=RolloutState.RUNNING)
    if free:
        assert await store.add_rollout(PLAN, audit=audit()) == number + 1
        assert (await store.newest_rollout()).rollout_id == number + 1
    else:
        with pytest.raises(RegistryConflictError, match="another rollout"):
            await store.add_rollout(PLAN, audit=audit())


async def test_who_was_told_is_known_with_what_became_of_the_command(store):
    number = await store.add_rollout(PLAN, audit=audit())
    plan = replace(PLAN, rollout_id=number)
    await store.move_rollout(plan, expected=RolloutState.RUNNING, told=[told(B), told(reason="x")])
    assert await store.told_devices(number) == (told(reason="x"), told(B))
    command = CommandRow(
        command_id=A * 2, device_id=A, name="update", args='{"release": 2000}', issued_s=1, expires_s=2, who="rollout"
    )
    await store.add_command(command, audit=audit(), open_max=9)
    assert (await store.told_devices(number))[0].command is CommandState.QUEUED
    await store.mark_sent((A * 2,), at_ms=NOW_MS)
    await store.finish_command(
        A * 2, state=CommandState.FAILED, detail="unsupported", proof=None, at_ms=NOW_MS, audit=audit()
    )
    first = (await store.told_devices(number))[0]
    assert (first.command, first.sent, first.answer) == (CommandState.FAILED, True, "unsupported")


async def test_some_outcomes_are_forgotten_before_others_are_written(store):
    number = await store.add_rollout(PLAN, audit=audit())
    plan = replace(PLAN, rollout_id=number)
    rows = [told(outcome=Outcome.FAILED), told(B, outcome=Outcome.UPDATED)]
    await store.move_rollout(plan, expected=RolloutState.RUNNING, told=rows)
    gone = frozenset({Outcome.FAILED, Outcome.UNABLE})
    await store.move_rollout(plan, expected=RolloutState.RUNNING, forget=gone)
    assert await store.told_devices(number) == (told(B, outcome=Outcome.UPDATED),)


async def test_what_was_staged_stays(store, tmp_path):
    number = await store.add_rollout(PLAN, audit=audit())
    with closing(sqlite3.connect(tmp_path / "hub.db")) as database:
        for statement, why in (
            ("DELETE FROM rollout", "never deleted"),
            ("UPDATE rollout SET release = 9", "never changed"),
        ):
            with pytest.raises(sqlite3.IntegrityError, match=why):
                database.execute(statement)
    cancelled = replace(PLAN, rollout_id=number, state=RolloutState.CANCELLED)
    await store.move_rollout(cancelled, expected=RolloutState.RUNNING)
    with pytest.raises(StoreWriteError, match="stays as it is"):
        await store.move_rollout(replace(cancelled, ring=3), expected=RolloutState.CANCELLED)
