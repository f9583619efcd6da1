"""What every store must do for the fleet's pages. A second implementation joins `STORES`."""

from dataclasses import fields, replace

import pytest

from hub.model import AuditEntry, Device, DeviceState, Gate, MinuteCount, Place, QuarantineEntry
from hub.store.enrol_ports import Certificate
from hub.store.fleet_ports import HOUR_SLOTS, DeviceHealth, DeviceSample
from hub.store.ports import IngestCommit
from hub.store.sqlite import open_store
from hub.store.trust_ports import CommandRow, DeviceSeen
from protocol.health import ClockSource, State, Supply, UpdateFailure
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Colour, Direction, Verdict

pytestmark = pytest.mark.slow

STORES = {"sqlite": open_store}
NOW_MS = 1_790_000_000_000
SLOT = NOW_MS // 300_000
A, B = b"device-A", b"device-B"


def audit(action="test", detail=""):
    return AuditEntry(at_ms=NOW_MS, who="tester", action=action, detail=detail)


@pytest.fixture(params=STORES)
async def store(request, tmp_path):
    store = await STORES[request.param](tmp_path / "hub.db", create=True)
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


def health(device_id=A, **changes):
    """Every number differs, so that no two columns can be mistaken for each other."""
    numbers = {field.name: 100 + place for place, field in enumerate(fields(DeviceHealth))}
    known = {
        "device_id": device_id,
        "state": State.STORAGE_FAILED,
        "clock_trusted": False,
        "clock_source": ClockSource.HUB,
        "enabled": True,
        "thermometer_ok": False,
        "supply": Supply.LOW,
        "update_failure": UpdateFailure.UNHEALTHY,
    }
    return DeviceHealth(**numbers | known | changes)


def sample(slot, device_id=A, **changes):
    plain = DeviceSample(
        device_id=device_id, slot=slot, scans=5, spool=1, board_cc=None, frame_rate_c=1500, decode_us=None
    )
    return replace(plain, **changes)


async def test_a_device_of_which_nothing_is_known_is_in_the_fleet(store):
    first, second = await store.fleet(slot=SLOT)
    assert (first.device.device_id, second.device.device_id) == (A, B)
    assert (first.seen, first.health, first.scans_hour, first.certificate_ms) == (None, None, 0, None)
    assert await store.fleet_row(A, slot=SLOT) == first
    assert await store.fleet_row(b"stranger", slot=SLOT) is None


async def test_health_comes_back_and_is_replaced(store):
    unknown = dict.fromkeys(
        [
            "clock_source",
            "enabled",
            "unsent_s",
            "lists_stale",
            "trust_days",
            "thermometer_ok",
            "refused",
            "provisioning",
            "board_cc",
            "supply",
            "disk_free_mib",
            "disk_mib",
            "update_failed",
            "update_failure",
            "frame_rate_c",
            "decode_us",
        ]
    )
    await store.keep_fares((health(), health(B)), (), forget_before_slot=0)
    await store.keep_fares((health(B, **unknown),), (), forget_before_slot=0)
    first, second = await store.fleet(slot=SLOT)
    assert (first.health, second.health) == (health(), health(B, **unknown))


async def test_the_scans_of_an_hour_are_those_of_its_samples(store):
    samples = tuple(sample(SLOT - ago) for ago in range(HOUR_SLOTS + 3))
    await store.keep_fares((), samples, forget_before_slot=0)
    first, second = await store.fleet(slot=SLOT)
    assert (first.scans_hour, second.scans_hour) == (5 * HOUR_SLOTS, 0)
    assert (await store.fleet_row(A, slot=SLOT)).scans_hour == 5 * HOUR_SLOTS


async def test_samples_of_a_device_in_order(store):
    kept = (sample(SLOT - 2), sample(SLOT - 1, board_cc=5000), sample(SLOT), sample(SLOT, B))
    await store.keep_fares((), kept, forget_before_slot=0)
    assert await store.device_samples(A, from_slot=SLOT - 1, to_slot=SLOT + 1) == kept[1:3]
    assert await store.device_samples(A, from_slot=SLOT, to_slot=SLOT) == ()


async def test_old_samples_go_a_slot_at_a_time(store):
    await store.keep_fares((), tuple(sample(SLOT - ago) for ago in range(4)), forget_before_slot=0)
    left = []
    for _ in range(4):
        await store.keep_fares((), (), forget_before_slot=SLOT - 1)
        left.append(len(await store.device_samples(A, from_slot=SLOT - 9, to_slot=SLOT + 1)))
    assert left == [3, 2, 2, 2]


async def test_what_was_seen_and_certified(store):
    seen = DeviceSeen(device_id=A, seen_ms=NOW_MS, online=True, firmware="1", trust_version=3, policy_version=4)
    await store.keep_seen((seen,))
    ends = [Certificate(
        serial=bytes([n]), device_id=A, name="a", key=b"k", der=b"d", issued_ms=n, not_after_ms=NOW_MS + n
    ) for n in (1, 2)]  # fmt: skip
    for certificate in ends:
        await store.add_certificate(certificate, audit=audit())
    row = await store.fleet_row(A, slot=SLOT)
    assert (row.seen, row.certificate_ms) == (seen, NOW_MS + 2)
    assert await store.device_certificates(A) == (ends[1], ends[0])
    assert await store.device_certificates(B) == ()


async def test_counts_of_one_gate(store):
    def count(minute, gate="north"):
        return MinuteCount(
            place_id="mall",
            gate_id=gate,
            minute=minute,
            colour=Colour.RED,
            verdict=Verdict.REFUSE,
            direction=Direction.IN,
            n=minute,
        )

    counts = (count(10), count(11), count(12), count(11, "south"))
    await store.commit(IngestCommit(received_ms=NOW_MS, counts=counts))
    assert await store.minutes_of_gate("mall", "north", from_minute=11, to_minute=13) == (count(11), count(12))
    assert await store.minutes_of_gate("mall", "west", from_minute=0, to_minute=99) == ()


async def test_what_one_device_was_told(store):
    def command(number, device_id=A):
        return CommandRow(
            command_id=bytes([number]) * 16,
            device_id=device_id,
            name="locate",
            args="{}",
            issued_s=number,
            expires_s=9,
            who="tester",
        )

    for row in (command(1), command(2), command(3, B)):
        await store.add_command(row, audit=audit(), open_max=9)
    assert await store.device_commands(A, limit=9) == (command(2), command(1))
    assert await store.device_commands(A, limit=1) == (command(2),)


async def test_what_is_kept_against_a_device(store):
    entry = QuarantineEntry(device_id=A, epoch=None, seq=None, reason="fork", detail="two", data=b"x")
    await store.commit(IngestCommit(received_ms=NOW_MS, quarantine=(entry, replace(entry, device_id=B))))
    (row,) = await store.device_quarantine(A, limit=9)
    assert (row.device_id, row.reason, row.data, row.received_ms) == (A, "fork", b"x", NOW_MS)
    assert await store.device_gaps(A, limit=9) == ()


async def test_what_was_written_down_about_something(store):
    for detail in ("aa: one", "bb: two", "aa: three%"):
        await store.audit(audit("x", detail))
    found = await store.audit_about("aa", limit=9)
    assert [entry.detail for entry in found] == ["aa: three%", "aa: one"]
    assert len(await store.audit_about("aa", limit=1)) == 1
    assert await store.audit_about("%", limit=9) == (found[0],)
