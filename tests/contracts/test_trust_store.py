"""What every store must do for what flows to the gates. A second implementation joins `STORES`."""

import asyncio
from dataclasses import replace

import pytest

from hub.model import AuditEntry, Device, DeviceState, Gate, Place
from hub.store.errors import RegistryConflictError, StoreWriteError
from hub.store.sqlite import open_store
from hub.store.trust_ports import (
    Believed,
    BelievedKind,
    ClosedBy,
    Closing,
    CommandRow,
    CommandState,
    DeviceSeen,
    Freshness,
    IssuedPolicy,
    PolicyVersion,
)
from protocol.health import State
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Direction

pytestmark = pytest.mark.slow

STORES = {"sqlite": open_store}
NOW_MS = 1_790_000_000_000
A, B = b"device-A", b"device-B"


def audit(action="test"):
    return AuditEntry(at_ms=NOW_MS, who="tester", action=action, detail="")


@pytest.fixture(params=STORES)
def opened(request, tmp_path):
    """Opens the same store, as often as asked: each is another process's."""
    return lambda: STORES[request.param](tmp_path / "hub.db", create=True)


@pytest.fixture
async def store(opened):
    store = await opened()
    await store.add_place(Place(place_id="mall", name="mall"), audit=audit())
    await store.add_gate(Gate(place_id="mall", gate_id="north", name=""), audit=audit())
    for device_id, seed in ((A, 1), (B, 2)):
        public = Ed25519SigningKey(bytes([seed]) * 32).public
        device = Device(
            device_id=device_id,
            place_id="mall",
            gate_id="north",
            direction=Direction.IN,
            name="",
            cose_key=encode_key(public),
            kid=public.kid,
            state=DeviceState.ACTIVE,
            reason="",
            added_ms=NOW_MS,
            changed_ms=NOW_MS,
        )
        await store.add_device(device, audit=audit())
    yield store
    await store.close()


def a_list(version=1, **changes):
    plain = Believed(
        kind=BelievedKind.LIST, name="uri", version=version, issued_s=5, kept_ms=NOW_MS, data=bytes([version])
    )
    return replace(plain, **changes)


async def test_beliefs_are_replaced_by_newer_ones_and_never_by_older_ones(store):
    trust = Believed(kind=BelievedKind.TRUST, name="", version=7, issued_s=1, kept_ms=NOW_MS, data=b"bundle")
    await store.keep_believed(trust)
    await store.keep_believed(a_list(2))
    await store.keep_believed(a_list(3))
    await store.keep_believed(a_list(1))
    assert await store.believed() == (a_list(3), trust)
    await store.keep_believed(a_list(3, data=b"signed again"))
    assert (await store.believed())[0].data == b"signed again"


async def test_a_list_can_be_forgotten(store):
    await store.keep_believed(a_list())
    await store.note_fresh((Freshness(name="uri", version=1, issued_s=5),))
    await store.forget_list("uri")
    await store.forget_list("uri")
    assert (await store.believed(), await store.freshness()) == ((), ())


async def test_a_list_of_the_longest_kind_is_kept_whole(store):
    await store.keep_believed(a_list(data=bytes(range(256)) * 2048))
    assert (await store.believed())[0].data == bytes(range(256)) * 2048


async def test_freshness_never_goes_back(store):
    for version, issued_s in ((5, 10), (6, 20), (4, 30)):
        await store.note_fresh((Freshness(name="uri", version=version, issued_s=issued_s),))
    assert await store.freshness() == (Freshness(name="uri", version=6, issued_s=20),)


def policy(version, **changes):
    plain = PolicyVersion(
        place_id="mall", version=version, rules=f'{{"n": "{version}"}}', who="wang", at_ms=NOW_MS, note=""
    )
    return replace(plain, **changes)


async def test_policies_are_numbered_without_holes_and_kept_for_ever(store):
    for version in (1, 2, 3):
        await store.add_policy(policy(version), audit=audit("policy.set"))
    for version in (3, 5, 0):
        with pytest.raises(RegistryConflictError):
            await store.add_policy(policy(version), audit=audit("not written"))
    with pytest.raises(RegistryConflictError, match="not registered"):
        await store.add_policy(policy(1, place_id="nowhere"), audit=audit("not written"))
    assert await store.current_policies() == (policy(3),)
    assert await store.policy_history("mall", limit=2) == (policy(3), policy(2))
    assert await store.policy_history("nowhere", limit=2) == ()
    assert "not written" not in [entry.action for entry in await store.audit_log(limit=99)]


async def test_of_many_writers_of_one_version_one_wins(store, opened):
    others = [await opened() for _ in range(4)]
    results = await asyncio.gather(
        *(other.add_policy(policy(1), audit=audit("policy.set")) for other in others), return_exceptions=True
    )
    for other in others:
        await other.close()
    assert sorted(repr(type(result)) for result in results) == sorted(
        [*[repr(RegistryConflictError)] * 3, repr(type(None))]
    )
    assert len(await store.policy_history("mall", limit=9)) == 1


def closing(by=ClosedBy.OPERATOR, **changes):
    return replace(Closing(place_id="mall", by=by, why="drill", since_ms=NOW_MS), **changes)


async def test_both_sides_close_and_open_for_themselves(store):
    assert await store.close_place(closing(), audit=audit())
    assert await store.close_place(closing(ClosedBy.PLATFORM), audit=audit())
    assert await store.closings() == (closing(), closing(ClosedBy.PLATFORM))
    assert await store.open_place("mall", by=ClosedBy.OPERATOR, audit=audit())
    assert await store.closings() == (closing(ClosedBy.PLATFORM),)


async def test_what_changes_nothing_is_not_audited(store):
    await store.close_place(closing(), audit=audit("first"))
    assert not await store.close_place(closing(since_ms=5), audit=audit("again"))
    assert await store.close_place(closing(why="fire"), audit=audit("other reason"))
    assert not await store.open_place("mall", by=ClosedBy.PLATFORM, audit=audit("never closed"))
    written = [entry.action for entry in await store.audit_log(limit=99)]
    assert written[:2] == ["other reason", "first"]
    assert await store.closings() == (closing(why="fire"),)


async def test_only_the_platform_may_close_what_is_not_registered(store):
    with pytest.raises(RegistryConflictError):
        await store.close_place(closing(place_id="nowhere"), audit=audit())
    assert await store.close_place(closing(ClosedBy.PLATFORM, place_id="nowhere"), audit=audit())


def issued(device_id=A, version=1):
    return IssuedPolicy(
        device_id=device_id, version=version, digest=bytes(32), sealed=bytes([version]), issued_ms=NOW_MS
    )


async def test_a_policy_version_of_a_device_only_grows_and_all_are_kept_or_none(store):
    await store.keep_issued((issued(A, 1), issued(B, 5)))
    await store.keep_issued((issued(A, 2),))
    for version in (2, 1):
        with pytest.raises(RegistryConflictError):
            await store.keep_issued((issued(B, 9), issued(A, version)))
    assert set(await store.issued_policies()) == {issued(A, 2), issued(B, 5)}


def command(number=1, device_id=A, **changes):
    plain = CommandRow(
        command_id=bytes([number]) * 16,
        device_id=device_id,
        name="locate",
        args='{"seconds": 10}',
        issued_s=NOW_MS // 1000,
        expires_s=NOW_MS // 1000 + 60,
        who="wang",
    )
    return replace(plain, **changes)


async def add(store, row, *, open_max=9):
    await store.add_command(row, audit=audit("command.send"), open_max=open_max)


def end(store, number=1, *, state=CommandState.DONE, revoke=False, **changes):
    given = {"detail": "ok", "proof": None, "at_ms": NOW_MS + 5} | changes
    revoked = audit("device.revoked") if revoke else None
    return store.finish_command(
        bytes([number]) * 16, state=state, audit=audit(f"command.{state}"), revoke=revoked, **given
    )


async def test_the_life_of_a_command(store):
    await add(store, command(2))
    await add(store, command(1))
    assert await store.open_commands() == (command(2), command(1)), "in order of issue"
    await store.keep_sealed(command(1).command_id, sealed=b"sealed")
    await store.mark_sent((command(1).command_id,), at_ms=NOW_MS + 1)
    sent = command(1, state=CommandState.SENT, sealed=b"sealed", sent_ms=NOW_MS + 1)
    assert await store.open_commands() == (command(2), sent)
    assert await end(store, proof=b"proof")
    done = replace(sent, state=CommandState.DONE, detail="ok", proof=b"proof", finished_ms=NOW_MS + 5)
    assert await store.find_command(command(1).command_id) == done
    assert await store.open_commands() == (command(2),)
    assert await store.command_list(limit=9) == (done, command(2))
    assert await store.command_list(limit=1) == (done,)
    assert await store.find_command(bytes(16)) is None


async def test_a_command_ends_once_but_an_expired_one_may_still_be_answered(store):
    await add(store, command())
    assert await end(store, state=CommandState.EXPIRED)
    assert not await end(store, state=CommandState.EXPIRED)
    assert await end(store, state=CommandState.FAILED)
    assert not await end(store, state=CommandState.DONE)
    await store.mark_sent((command().command_id,), at_ms=NOW_MS + 9)
    assert (await store.find_command(command().command_id)).state is CommandState.FAILED
    assert not await end(store, 7), "nobody knows it"
    assert [entry.action for entry in await store.audit_log(limit=2)] == ["command.failed", "command.expired"]


async def test_a_wipe_and_its_revocation_are_one_step(store):
    before = await store.registry_version(), await store.change_count()
    await add(store, command())
    assert await end(store, revoke=True)
    state = {device.device_id: (device.state, device.reason) for device in await store.devices()}
    assert state == {A: (DeviceState.REVOKED, "wiped"), B: (DeviceState.ACTIVE, "")}
    assert await store.registry_version() != before[0]
    assert await store.change_count() > before[1]
    await add(store, command(2, B))
    await store.set_device_state(B, state=DeviceState.REVOKED, reason="lost", audit=audit())
    assert await end(store, 2, revoke=True), "one that is revoked already stays as it is"
    assert (await store.devices())[1].reason == "lost"


async def test_who_cannot_be_told(store):
    await add(store, command(1))
    await add(store, command(2))
    await add(store, command(3, B))
    with pytest.raises(RegistryConflictError, match="2 commands"):
        await add(store, command(4), open_max=2)
    await end(store, 1)
    await add(store, command(4), open_max=2)
    with pytest.raises(RegistryConflictError, match="not registered"):
        await add(store, command(5, b"stranger"))
    await store.set_device_state(B, state=DeviceState.REVOKED, reason="lost", audit=audit())
    with pytest.raises(RegistryConflictError, match="revoked"):
        await add(store, command(5, B))
    with pytest.raises(StoreWriteError):
        await add(store, command(4))


async def test_devices_are_seen(store):
    first = DeviceSeen(device_id=A, seen_ms=NOW_MS, online=True, firmware="1", trust_version=0, policy_version=2)
    later = replace(first, seen_ms=NOW_MS + 1, online=False, state=State.STORAGE_FAILED, clock_trusted=False, spool=7)
    other = replace(first, device_id=B)
    await store.keep_seen((first, other))
    await store.keep_seen((later,))
    assert await store.devices_seen() == (later, other)


async def test_everything_that_gates_must_hear_of_is_counted_whoever_writes_it(store, opened):
    other = await opened()
    count = await store.change_count()

    async def counted(call):
        nonlocal count
        await call
        before, count = count, await store.change_count()
        return count > before

    assert await counted(other.add_policy(policy(1), audit=audit()))
    assert await counted(store.add_policy(policy(2), audit=audit()))
    assert await counted(other.close_place(closing(), audit=audit()))
    assert await counted(other.open_place("mall", by=ClosedBy.OPERATOR, audit=audit()))
    assert await counted(add(other, command()))
    assert await counted(other.set_device_state(A, state=DeviceState.QUARANTINED, reason="x", audit=audit()))
    assert not await counted(other.keep_believed(a_list()))
    assert not await counted(other.note_fresh((Freshness(name="uri", version=1, issued_s=1),)))
    assert not await counted(store.mark_sent((command().command_id,), at_ms=1))
    assert not await counted(other.open_place("mall", by=ClosedBy.OPERATOR, audit=audit()))
    await other.close()
