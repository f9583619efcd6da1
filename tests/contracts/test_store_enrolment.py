"""What every store must do for the life of devices. The same stores as in test_store.py."""

import asyncio
import hashlib
from dataclasses import replace

import pytest

from hub.model import AuditEntry, Device, DeviceState, Gate, Place
from hub.store.enrol_ports import AskedEnrolment, Certificate, EnrolToken, NewDevice, Refusal, StoredKey
from hub.store.errors import RegistryConflictError
from hub.store.sqlite import open_store
from protocol.enrolment import EnrolmentState
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Direction

pytestmark = pytest.mark.slow

STORES = {"sqlite": open_store}
NOW_MS = 1_790_000_000_000
TOKEN = hashlib.sha256(b"token").digest()


def audit(action="test", detail=""):
    return AuditEntry(at_ms=NOW_MS, who="tester", action=action, detail=detail)


def token(**changes):
    plain = EnrolToken(
        hash=TOKEN,
        place_id="mall",
        gate_id=None,
        direction=Direction.IN,
        devices=3,
        used=0,
        made_ms=NOW_MS,
        expires_ms=NOW_MS + 600_000,
        who="tester",
    )
    return replace(plain, **changes)


def asked(n, **changes):
    public = Ed25519SigningKey(bytes([n]) * 32).public
    plain = AskedEnrolment(
        enrolment_id=bytes([n]) * 16,
        token_hash=TOKEN,
        kid=public.kid,
        cose_key=encode_key(public),
        csr=b"csr",
        tls_key=bytes([n]) * 32,
        serial=f"SN-{n}",
        model="pi",
        firmware="1",
        address="::1",
        asked_ms=NOW_MS + n,
    )
    return replace(plain, **changes)


def certificate(n, device_id=b"device-A", **changes):
    plain = Certificate(
        serial=bytes([n]) * 16,
        device_id=device_id,
        name=device_id.hex() if device_id else "hub",
        key=bytes([n]) * 32,
        der=b"der",
        issued_ms=NOW_MS + n,
        not_after_ms=NOW_MS + 90 * 86_400_000,
    )
    return replace(plain, **changes)


def new_device(n, device_id=b"device-A", **changes):
    plain = NewDevice(
        device_id=device_id,
        place_id="mall",
        gate_id=None,
        direction=Direction.IN,
        name="",
        certificate=certificate(n, device_id),
    )
    return replace(plain, **changes)


@pytest.fixture(params=sorted(STORES))
def opened(request, tmp_path):
    async def again():
        return await STORES[request.param](tmp_path / "hub.db", create=True)

    return again


@pytest.fixture
async def store(opened):
    store = await opened()
    await store.add_place(Place(place_id="mall", name=""), audit=audit())
    await store.add_gate(Gate(place_id="mall", gate_id="north", name=""), audit=audit())
    yield store
    await store.close()


async def take(store, request, *, waiting_max=200):
    return await store.take_enrolment(request, waiting_max=waiting_max, audit=audit("enrol.asked"))


async def approved(store, n=1, device_id=b"device-A"):
    """The token and everything after it, up to a registered device."""
    if await store.find_token(TOKEN) is None:
        await store.add_token(token(), audit=audit())
    await take(store, asked(n))
    return await store.approve_enrolment(
        bytes([n]) * 16, new_device(n, device_id), replaced_id=None, audit=audit("enrol.approve")
    )


async def test_everything_is_there_after_reopening(store, opened):
    device = await approved(store)
    await take(store, asked(2))
    before = (
        await store.enrolments(limit=9),
        await store.device_keys(),
        await store.find_token(TOKEN),
        await store.find_certificate(bytes([1]) * 16),
        await store.devices(),
    )
    await store.close()
    store = await opened()
    after = (
        await store.enrolments(limit=9),
        await store.device_keys(),
        await store.find_token(TOKEN),
        await store.find_certificate(bytes([1]) * 16),
        await store.devices(),
    )
    assert after == before
    assert await store.find_device(device.device_id) == device
    assert (await store.find_token(TOKEN)).used == 2
    await store.close()


async def test_who_waits_comes_first(store):
    await approved(store, 1)
    await approved(store, 2, b"device-B")
    await take(store, asked(3))
    found = await store.enrolments(limit=9)
    assert [(enrolment.asked.serial, enrolment.state) for enrolment in found] == [
        ("SN-3", EnrolmentState.WAITING),
        ("SN-2", EnrolmentState.APPROVED),
        ("SN-1", EnrolmentState.APPROVED),
    ]
    assert [enrolment.asked.serial for enrolment in await store.enrolments(limit=1)] == ["SN-3"]


async def test_a_refusal_writes_nothing(store):
    await store.add_token(token(devices=1), audit=audit())
    version, log = await store.registry_version(), await store.audit_log(limit=99)
    assert await take(store, asked(1, token_hash=bytes(32))) is Refusal.TOKEN_UNKNOWN
    assert await take(store, asked(1, asked_ms=NOW_MS + 600_000)) is Refusal.TOKEN_EXPIRED
    assert await take(store, asked(1), waiting_max=0) is Refusal.TOO_MANY_WAITING
    assert await store.registry_version() == version
    assert await store.audit_log(limit=99) == log
    assert (await store.find_token(TOKEN)).used == 0
    assert await store.enrolments(limit=9) == ()


async def test_two_connections_share_no_place_of_a_token(store, opened):
    await store.add_token(token(devices=5), audit=audit())
    other = await opened()
    answers = await asyncio.gather(*(take((store, other)[n % 2], asked(n)) for n in range(1, 31)))
    await other.close()
    assert sum(answer is Refusal.TOKEN_USED for answer in answers) == 25
    assert (await store.find_token(TOKEN)).used == 5


async def test_our_own_changes_show_in_the_registry_version_and_check_ins_do_not(store):
    seen = [await store.registry_version()]

    async def changed():
        seen.append(await store.registry_version())
        return seen[-1] > seen[-2]

    await store.add_token(token(), audit=audit())
    assert await changed()
    await take(store, asked(1))
    assert await changed()
    await store.approve_enrolment(bytes([1]) * 16, new_device(1), replaced_id=None, audit=audit())
    assert await changed()
    await store.set_device_state(b"device-A", state=DeviceState.QUARANTINED, reason="x", audit=audit())
    assert await changed()
    await store.end_older_keys(b"device-A", kid=asked(1).kid, audit=audit())
    assert await changed()
    await store.audit(audit("export"))
    await store.mark_key_announced(asked(1).kid, at_ms=NOW_MS)
    assert not await changed()


async def test_a_failed_approval_registers_nothing(store):
    await approved(store)
    await take(store, asked(2))
    before = (await store.devices(), await store.device_keys(), await store.gates(), await store.audit_log(limit=99))
    for new in (
        new_device(2, b"device-A"),
        new_device(2, b"device-B", gate_id="west"),
        new_device(2, b"device-B", place_id="nowhere"),
        new_device(2, b"device-B", certificate=certificate(1, b"device-B")),
    ):
        with pytest.raises(RegistryConflictError):
            await store.approve_enrolment(bytes([2]) * 16, new, replaced_id=None, audit=audit("no"))
    with pytest.raises(RegistryConflictError):
        await store.approve_enrolment(
            bytes([2]) * 16, new_device(2, b"device-B"), replaced_id=b"unknown!", audit=audit("no")
        )
    after = (await store.devices(), await store.device_keys(), await store.gates(), await store.audit_log(limit=99))
    assert after == before
    assert (await store.find_enrolment(bytes([2]) * 16)).state is EnrolmentState.WAITING


async def test_revoking_a_device_ends_its_certificates_and_no_others(store):
    await approved(store)
    await approved(store, 2, b"device-B")
    await store.add_certificate(certificate(3), audit=audit())
    await store.add_certificate(certificate(4, None), audit=audit())
    await store.set_device_state(b"device-A", state=DeviceState.REVOKED, reason="stolen", audit=audit())
    ended = [(await store.find_certificate(bytes([n]) * 16)).revoked_ms for n in (1, 2, 3, 4)]
    assert ended == [NOW_MS, None, NOW_MS, None]
    with pytest.raises(RegistryConflictError):
        await store.renew(certificate(5), new_key=None, audit=audit())
    assert await store.find_certificate(bytes([5]) * 16) is None


async def test_keys_over_time(store):
    await approved(store)
    public = Ed25519SigningKey(bytes([9]) * 32).public
    key = StoredKey(kid=public.kid, device_id=b"device-A", cose_key=encode_key(public), from_ms=NOW_MS + 5)
    await store.renew(certificate(2), new_key=key, audit=audit())
    # Its answer was lost: the same key comes again.
    await store.renew(certificate(3), new_key=key, audit=audit())
    assert [stored.kid for stored in await store.device_keys(b"device-A")] == [asked(1).kid, public.kid]
    assert await store.device_keys(b"unknown!") == ()
    await store.end_older_keys(b"device-A", kid=public.kid, audit=audit())
    assert [stored.until_ms for stored in await store.device_keys()] == [NOW_MS, None]
    (device,) = await store.devices()
    assert (device.kid, device.cose_key) == (public.kid, encode_key(public))
    # A key of another device, and one that has ended.
    await approved(store, 8, b"device-B")
    with pytest.raises(RegistryConflictError):
        await store.renew(certificate(4, b"device-B"), new_key=replace(key, device_id=b"device-B"), audit=audit())
    first = StoredKey(kid=asked(1).kid, device_id=b"device-A", cose_key=asked(1).cose_key, from_ms=NOW_MS)
    with pytest.raises(RegistryConflictError):
        await store.renew(certificate(4), new_key=first, audit=audit())
    assert await store.find_certificate(bytes([4]) * 16) is None


async def test_the_platform_is_told_of_each_key_once_oldest_first(store):
    await approved(store)
    await approved(store, 2, b"device-B")
    assert [key.kid for key in await store.keys_to_announce(limit=9)] == sorted((asked(1).kid, asked(2).kid))
    (first, *_) = await store.keys_to_announce(limit=1)
    await store.mark_key_announced(first.kid, at_ms=NOW_MS + 9)
    assert first.kid not in {key.kid for key in await store.keys_to_announce(limit=9)}
    assert {key.announced_ms for key in await store.device_keys()} == {None, NOW_MS + 9}


async def test_a_device_entered_by_hand_has_its_key_too(store):
    public = Ed25519SigningKey(bytes([3]) * 32).public
    device = Device(
        device_id=b"device-C",
        place_id="mall",
        gate_id="north",
        direction=None,
        name="",
        cose_key=encode_key(public),
        kid=public.kid,
        state=DeviceState.ACTIVE,
        reason="",
        added_ms=NOW_MS,
        changed_ms=NOW_MS,
    )
    await store.add_device(device, audit=audit())
    (key,) = await store.device_keys(b"device-C")
    assert (key.kid, key.from_ms, key.until_ms) == (public.kid, NOW_MS, None)
    # So it cannot enrol as another.
    await store.add_token(token(), audit=audit())
    assert await take(store, asked(3)) is Refusal.KEY_KNOWN


async def test_certificates_of_a_key_newest_first(store):
    await approved(store)
    for n in (5, 6):
        await store.add_certificate(certificate(n, key=b"k" * 32), audit=audit())
    assert [found.serial[0] for found in await store.certificates_of_key(b"k" * 32)] == [6, 5]
    assert await store.certificates_of_key(bytes(32)) == ()
    with pytest.raises(RegistryConflictError):
        await store.add_certificate(certificate(5), audit=audit())
