"""The loop on a real store: who is told is written down, a restart goes on, and operators are never overrun."""

import json
from dataclasses import replace

import pytest

from hub.firmware import changes
from hub.firmware.bundles import Bundle
from hub.firmware.loop import COMMAND_LIFE_S, WHO, Rollouts
from hub.firmware.mirror import Contents
from hub.health import Health, Metrics
from hub.model import AuditEntry, Device, DeviceState, Gate, Place
from hub.registry.changes import Operator
from hub.registry.checks import RegistryError
from hub.store.errors import RegistryConflictError
from hub.store.firmware_ports import Outcome, RolloutState
from hub.store.sqlite import open_store
from hub.store.trust_ports import CommandState, DeviceSeen
from hub.trust.changes import queue_command
from protocol.command import CommandName
from protocol.health import Health as DeviceHealth
from protocol.health import State, UpdateFailure
from protocol.keys import Ed25519SigningKey, encode_key

pytestmark = pytest.mark.slow

MIN_MS = 60_000
T = 1_790_000_000_000
A, B, C = b"device-A", b"device-B", b"device-C"
DAY_MS = 86_400_000


class Fleet:
    def __init__(self):
        self.seen, self.healths, self.present = {}, {}, set()

    def online(self, device):
        return device in self.present


class Site:
    """A hub's loop over a store, and devices that do as the test says."""

    def __init__(self, store, mirror):
        self.store, self.mirror = store, mirror
        self.now_ms, self.ready, self.refusing = T, True, set()
        self.fleet, self.health, self.metrics = Fleet(), Health(), Metrics()
        self.begin()

    def begin(self):
        self.loop = Rollouts(
            store=self.store, mirror=self.mirror, fleet=self.fleet, order=self.order,
            broker_ready=lambda: self.ready, health=self.health, metrics=self.metrics, now_ms=lambda: self.now_ms,
        )  # fmt: skip

    @property
    def operator(self):
        return Operator(who="wang", now_ms=self.now_ms)

    async def order(self, device, command_id, release):
        if device in self.refusing:
            raise RegistryConflictError("too many")
        await queue_command(
            self.store, operator=Operator(who=WHO, now_ms=self.now_ms), command_id=command_id,
            device_id=device.hex(), name=CommandName.UPDATE, args={"release": release}, life_s=COMMAND_LIFE_S,
        )  # fmt: skip

    async def stage(self, **more):
        plain = {"operator": self.operator, "contents": self.mirror.contents(), "version": "0.2.0"}
        return await changes.stage(self.store, **plain | more)

    def runs(self, device, firmware="0.1.0", *, online=True):
        self.fleet.seen[device] = DeviceSeen(
            device_id=device, seen_ms=self.now_ms, online=online, firmware=firmware, trust_version=1, policy_version=1
        )
        (self.fleet.present.add if online else self.fleet.present.discard)(device)

    def says_failed(self, device, release=2_000):
        zeros = dict.fromkeys(
            (
                "spool",
                "frames",
                "frames_dropped",
                "decode_us",
                "scans",
                "decoder_restarts",
                "camera_restarts",
                "foreign",
            ),
            0,
        )
        self.fleet.healths[device] = DeviceHealth(
            at_ms=1, state=State.IN_SERVICE, clock_trusted=True, update_failed=release,
            update_failure=UpdateFailure.UNHEALTHY, **zeros,
        )  # fmt: skip

    async def told(self):
        return {command.device_id: command for command in await self.store.open_commands()}

    async def answer(self, device, *, ok=True, detail=""):
        command = (await self.told())[device]
        await self.store.mark_sent((command.command_id,), at_ms=self.now_ms)
        await self.store.finish_command(
            command.command_id, state=CommandState.DONE if ok else CommandState.FAILED, detail=detail, proof=None,
            at_ms=self.now_ms, audit=AuditEntry(at_ms=self.now_ms, who="hub", action="x", detail=""),
        )  # fmt: skip

    async def outcomes(self):
        rollout = await self.store.newest_rollout()
        return {each.device_id: each.outcome for each in await self.store.told_devices(rollout.rollout_id)}

    async def audits(self):
        return [entry.action for entry in await self.store.audit_log(limit=99) if entry.action.startswith("firmware.")]


@pytest.fixture
async def site(tmp_path, mirror):
    mirror.folder.mkdir()
    bundle = Bundle(version="0.2.0", release=2_000, platform="sandbox", size_bytes=1, sha256="0" * 64)
    plain = Contents(
        bundles=(bundle,), root_version=1, targets_version=1, timestamp_version=1, expires_ms=T + 30 * DAY_MS,
        imported_ms=T,
    )  # fmt: skip
    mirror.write_index(plain)
    store = await open_store(tmp_path / "hub.db", create=True)
    entry = AuditEntry(at_ms=T, who="test", action="test", detail="")
    for place in ("mall", "station"):
        await store.add_place(Place(place_id=place, name=place), audit=entry)
        await store.add_gate(Gate(place_id=place, gate_id="G1", name=""), audit=entry)
    for number, (device_id, place) in enumerate(((A, "mall"), (B, "mall"), (C, "station"))):
        public = Ed25519SigningKey(bytes([number]) * 32).public
        device = Device(
            device_id=device_id, place_id=place, gate_id="G1", direction=None, name="", cose_key=encode_key(public),
            kid=public.kid, state=DeviceState.ACTIVE, reason="", added_ms=1, changed_ms=1,
        )  # fmt: skip
        await store.add_device(device, audit=entry)
    built = Site(store, mirror)
    for device_id in (A, B, C):
        built.runs(device_id)
    await changes.set_ring(store, operator=built.operator, device_id=A.hex(), ring=0)
    yield built
    await store.close()


async def test_a_release_goes_ring_by_ring_through_the_fleet(site):
    await site.stage(soak_min=10)
    await site.loop.step()
    told = await site.told()
    assert told.keys() == {A}
    assert (told[A].name, json.loads(told[A].args), told[A].who) == ("update", {"release": 2_000}, "rollout")
    assert told[A].expires_s - told[A].issued_s == COMMAND_LIFE_S
    await site.answer(A)
    site.runs(A, "0.2.0")
    await site.loop.step()
    assert await site.outcomes() == {A: Outcome.UPDATED}
    assert await site.told() == {}
    site.now_ms += 10 * MIN_MS
    for device in (A, B, C):
        site.runs(device, site.fleet.seen[device].firmware)
    await site.loop.step()
    assert (await site.told()).keys() == {B, C}
    for device in (B, C):
        await site.answer(device)
        site.runs(device, "0.2.0")
    await site.loop.step()
    site.now_ms += 10 * MIN_MS
    # Nobody has been heard meanwhile: whether they are well is not known.
    await site.loop.step()
    assert (await site.store.newest_rollout()).state is RolloutState.RUNNING
    for device in (A, B, C):
        site.runs(device, "0.2.0")
    await site.loop.step()
    assert (await site.store.newest_rollout()).state is RolloutState.DONE
    assert await site.audits() == [
        "firmware.ring_passed",
        "firmware.ring_passed",
        "firmware.stage",
        "firmware.ring",
    ]
    assert b'updates_total{outcome="updated"} 3.0' in site.metrics.text()


async def test_a_failure_in_the_first_ring_keeps_it_from_the_others(site):
    await site.stage()
    await site.loop.step()
    await site.answer(A)
    site.says_failed(A)
    await site.loop.step()
    rollout = await site.store.newest_rollout()
    assert (rollout.state, rollout.reason) == (RolloutState.HALTED, "failures")
    assert await site.audits() == ["firmware.halt", "firmware.failed", "firmware.stage", "firmware.ring"]
    site.now_ms += DAY_MS
    await site.loop.step()
    assert await site.told() == {}


async def test_a_hub_that_ends_goes_on_where_it_was(site):
    await site.stage()
    await site.loop.step()
    site.begin()
    await site.loop.step()
    assert len(await site.store.command_list(limit=9)) == 1
    assert await site.outcomes() == {A: Outcome.TOLD}


async def test_one_that_was_written_down_and_not_queued_is_told_at_the_next_look(site):
    await site.stage()
    site.refusing = {A}
    await site.loop.step()
    assert (await site.outcomes(), await site.told()) == ({A: Outcome.TOLD}, {})
    site.refusing = set()
    await site.loop.step()
    assert (await site.told()).keys() == {A}


async def test_one_that_does_not_know_the_command_is_counted_and_halts_nothing(site):
    await site.stage(soak_min=0)
    await site.loop.step()
    await site.answer(A, ok=False, detail="unsupported")
    await site.loop.step()
    assert (await site.outcomes())[A] is Outcome.UNABLE
    assert (await site.told()).keys() == {B, C}


@pytest.mark.parametrize("state", [RolloutState.HALTED, RolloutState.CANCELLED])
async def test_an_operator_who_is_faster_is_not_overrun(site, monkeypatch, state):
    await site.stage()
    before = site.store.told_devices

    async def then_stopped(number):
        found = await before(number)
        stop = changes.halt if state is RolloutState.HALTED else changes.cancel
        await stop(site.store, operator=site.operator)
        return found

    monkeypatch.setattr(site.store, "told_devices", then_stopped)
    await site.loop.step()
    assert (await site.store.newest_rollout()).state is state
    assert await site.told() == {}


@pytest.mark.parametrize("what", ["broker", "mirror gone", "mirror empty", "metadata ended", "release taken back"])
async def test_nobody_is_told_while_it_could_not_be_fetched(site, what):
    await site.stage()
    contents = site.mirror.contents()
    match what:
        case "broker":
            site.ready = False
        case "mirror gone":
            (site.mirror.folder / "index.json").write_text("{}")
        case "mirror empty":
            (site.mirror.folder / "index.json").unlink()
        case "metadata ended":
            site.now_ms = contents.expires_ms
        case "release taken back":
            site.mirror.write_index(
                Contents(**{f: getattr(contents, f) for f in contents.__struct_fields__} | {"bundles": ()})
            )
    for device in (A, B, C):
        site.runs(device)
    await site.loop.step()
    assert await site.told() == {}
    site.ready, site.now_ms = True, T
    for device in (A, B, C):
        site.runs(device)
    site.mirror.write_index(contents)
    await site.loop.step()
    assert (await site.told()).keys() == {A}


async def test_a_mirror_that_ends_soon_is_a_warning(site):
    await site.loop.step()
    assert "firmware" not in site.health.warnings()
    site.now_ms = T + 28 * DAY_MS
    await site.loop.step()
    assert "import them anew" in site.health.warnings()["firmware"]


async def test_the_broker_gone_for_a_while_is_no_device_gone(site):
    await site.stage(patience_min=5)
    await site.loop.step()
    await site.answer(A)
    site.runs(A, online=False)
    site.ready = False
    site.now_ms += 60 * MIN_MS
    await site.loop.step()
    site.ready = True
    await site.loop.step()
    site.now_ms += 5 * MIN_MS
    await site.loop.step()
    assert (await site.store.newest_rollout()).state is RolloutState.RUNNING
    site.now_ms += 1
    await site.loop.step()
    assert (await site.store.newest_rollout()).state is RolloutState.HALTED


async def test_a_rollout_of_one_place_concerns_nobody_else(site):
    await site.stage(place_id="station")
    await site.loop.step()
    assert (await site.told()).keys() == {C}


async def test_a_device_in_quarantine_is_not_told(site):
    entry = AuditEntry(at_ms=T, who="test", action="test", detail="")
    await site.store.set_device_state(A, state=DeviceState.QUARANTINED, reason="fork", audit=entry)
    await site.stage()
    await site.loop.step()
    assert (await site.told()).keys() == {B, C}


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"version": "0.3.0"}, "no bundle"),
        ({"version": "0.2"}, "three numbers"),
        ({"contents": None}, "empty"),
        ({"soak_min": -1}, "soak"),
        ({"soak_min": 10_081}, "soak"),
        ({"failures_max": -1}, "failures"),
        ({"patience_min": 4}, "patience"),
        ({"place_id": "airport"}, "not registered"),
        ({"place_id": "a b"}, "place id"),
    ],
)
async def test_what_cannot_be_staged_is_said(site, more, match):
    with pytest.raises(RegistryError, match=match):
        await site.stage(**more)
    assert await site.store.newest_rollout() is None


async def test_nothing_is_staged_from_a_mirror_that_has_ended(site):
    site.now_ms = site.mirror.contents().expires_ms
    with pytest.raises(RegistryError, match="ended"):
        await site.stage()


async def test_a_halted_rollout_is_resumed_with_those_that_failed_or_without(site):
    await site.stage()
    await site.loop.step()
    await site.answer(A)
    site.says_failed(A)
    await site.loop.step()
    resume = {"store": site.store, "operator": site.operator}
    with pytest.raises(RegistryError, match="1 failed, and 0 may"):
        await changes.resume(**resume)
    assert (await changes.resume(**resume, failures_max=1)).failures_max == 1
    assert await site.outcomes() == {A: Outcome.FAILED}
    await changes.halt(site.store, operator=site.operator, reason="let me look")
    assert (await site.store.newest_rollout()).reason == "let me look"
    await changes.resume(**resume, retry=True)
    assert await site.outcomes() == {}
    await site.loop.step()
    (again,) = await site.store.told_devices(1)
    assert (again.tries, again.was_failing) == (1, True)


async def test_what_is_not_there_cannot_be_moved(site):
    for act in (changes.halt, changes.resume, changes.cancel):
        with pytest.raises(RegistryConflictError, match="no rollout"):
            await act(site.store, operator=site.operator)
    rollout = await site.stage()
    with pytest.raises(RegistryConflictError, match="not the newest"):
        await changes.halt(site.store, operator=site.operator, expected=rollout.rollout_id + 1)
    with pytest.raises(RegistryConflictError, match="resumed"):
        await changes.resume(site.store, operator=site.operator)
    await changes.cancel(site.store, operator=site.operator, expected=rollout.rollout_id)
    with pytest.raises(RegistryConflictError, match="cancelled"):
        await changes.cancel(site.store, operator=site.operator)
    assert await site.stage()


async def test_somebody_who_moves_it_at_the_same_time_is_told_so(site, monkeypatch):
    rollout = await site.stage()

    async def as_it_was():
        return rollout

    moved = replace(rollout, state=RolloutState.DONE)
    await site.store.move_rollout(moved, expected=RolloutState.RUNNING)
    monkeypatch.setattr(site.store, "newest_rollout", as_it_was)
    with pytest.raises(RegistryConflictError, match="meanwhile"):
        await changes.halt(site.store, operator=site.operator)


@pytest.mark.parametrize("ring", [-1, 10])
async def test_there_are_ten_rings(site, ring):
    with pytest.raises(RegistryError, match="ring: from 0 to 9"):
        await changes.set_ring(site.store, operator=site.operator, device_id=A.hex(), ring=ring)
