import dataclasses

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hub.model import DeviceState
from hub.registry import changes, decisions
from hub.registry.changes import Operator
from hub.registry.checks import RequestRefusedError
from hub.registry.enrolments import make_token, take_request
from hub.registry.renewals import KEYS_IN_USE_MAX, connected_device, renew
from hub.store.sqlite import open_store
from protocol import cbor, envelope
from protocol.keys import Ed25519SigningKey, decode_key
from protocol.terms import Direction

pytestmark = pytest.mark.slow

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
WANG = Operator(who="wang", now_ms=NOW_MS)


@pytest.fixture
async def store(tmp_path):
    store = await open_store(tmp_path / "hub.db", create=True)
    await changes.add_place(store, operator=WANG, place_id="mall", name="", region="", responsible="")
    yield store
    await store.close()


@dataclasses.dataclass
class Enrolled:
    newcomer: object
    device_id: bytes
    certificate: bytes

    def renewal(self, **more):
        return self.newcomer.renewal(self.device_id, **more)


@pytest.fixture
def enrol(store, make_newcomer, hub_authority):
    """A registered device with its keys and its certificate."""

    async def make(name):
        secret, _ = await make_token(
            store, operator=WANG, place_id="mall", gate_id=None, direction=Direction.IN, devices=1, minutes=10
        )
        newcomer = make_newcomer(name, token=secret)
        enrolment = await take_request(store, newcomer.request(), address="::1", now_ms=NOW_MS)
        device = await decisions.approve(
            store, operator=WANG, authority=hub_authority, enrolment_id=enrolment.asked.enrolment_id
        )
        done = await store.find_enrolment(enrolment.asked.enrolment_id)
        return Enrolled(newcomer, device.device_id, done.certificate)

    return make


@pytest.fixture
def ask(store, hub_authority):
    async def ask(device, data, *, now_ms=NOW_MS + 61 * DAY_MS):
        answer = await renew(store, data, authority=hub_authority, device_id=device.device_id, now_ms=now_ms)
        (der,) = answer.chain
        return x509.load_der_x509_certificate(der)

    return ask


async def reason_of(awaited):
    with pytest.raises(RequestRefusedError) as refused:
        await awaited
    return refused.value.reason


def new_key(n):
    return Ed25519SigningKey(bytes([n]) * 32)


async def test_a_device_gets_its_next_certificate(store, enrol, ask):
    device = await enrol("a")
    before = x509.load_der_x509_certificate(device.certificate)
    device.newcomer.tls_key = ec.generate_private_key(ec.SECP256R1())
    after = await ask(device, device.renewal())
    assert after.subject == before.subject
    assert after.public_key() == device.newcomer.tls_key.public_key() != before.public_key()
    assert (after.not_valid_after_utc - before.not_valid_after_utc).days == 61
    (entry, *_) = await store.audit_log(limit=1)
    assert (entry.who, entry.action) == ("hub", "device.renew")


async def test_who_asks_again_gets_the_same_certificate_while_it_is_fresh(store, enrol, ask):
    device = await enrol("a")
    device.newcomer.tls_key = ec.generate_private_key(ec.SECP256R1())
    first = await ask(device, device.renewal())
    again = await ask(device, device.renewal(), now_ms=NOW_MS + 62 * DAY_MS)
    assert again == first
    later = await ask(device, device.renewal(), now_ms=NOW_MS + 130 * DAY_MS)
    assert later.serial_number != first.serial_number
    assert later.public_key() == first.public_key()


async def test_a_new_key_is_the_newer_one_though_the_clock_was_set_back(store, enrol, ask):
    device = await enrol("a")
    old, new = device.newcomer.key, new_key(1)
    await ask(device, device.renewal(new_key=new), now_ms=NOW_MS - DAY_MS // 100)
    keys = await store.device_keys(device.device_id)
    assert [decode_key(key.cose_key) for key in keys] == [old.public, new.public]
    audit = WANG.entry("device.key", "")
    await store.end_older_keys(device.device_id, kid=old.public.kid, audit=audit)
    assert [key.until_ms for key in await store.device_keys(device.device_id)] == [None, None]


async def test_a_new_key_is_added_and_the_present_one_stays_until_the_new_one_was_used(store, enrol, ask):
    device = await enrol("a")
    old, new = device.newcomer.key, new_key(1)
    await ask(device, device.renewal(new_key=new))
    keys = await store.device_keys(device.device_id)
    assert [decode_key(key.cose_key) for key in keys] == [old.public, new.public]
    assert [key.until_ms for key in keys] == [None, None]
    assert (await store.find_device(device.device_id)).kid == new.public.kid
    # The answer was lost: it asks again, by its present key and the same new one.
    await ask(device, device.renewal(new_key=new))
    assert len(await store.device_keys(device.device_id)) == 2
    # Either may ask until the new one was used.
    await ask(device, device.renewal(key=new))
    await store.end_older_keys(device.device_id, kid=new.public.kid, audit=WANG.entry("device.key", ""))
    assert [key.until_ms for key in await store.device_keys(device.device_id)] == [NOW_MS, None]
    assert await reason_of(ask(device, device.renewal(key=old))) == "unknown_key"
    assert await reason_of(ask(device, device.renewal(key=new, new_key=old))) == "key_known"
    assert new.public.kid in {key.kid for key in await store.keys_to_announce(limit=9)}
    await store.mark_key_announced(new.public.kid, at_ms=NOW_MS)
    assert {key.kid for key in await store.keys_to_announce(limit=9)} == {old.public.kid}


async def test_the_use_of_an_older_key_ends_no_newer_one(store, enrol, ask):
    device = await enrol("a")
    await ask(device, device.renewal(new_key=new_key(1)))
    old_kid = device.newcomer.key.public.kid
    await store.end_older_keys(device.device_id, kid=old_kid, audit=WANG.entry("device.key", ""))
    assert [key.until_ms for key in await store.device_keys(device.device_id)] == [None, None]


async def test_a_device_collects_no_keys(store, enrol, ask):
    device = await enrol("a")
    for n in range(1, KEYS_IN_USE_MAX):
        await ask(device, device.renewal(new_key=new_key(n)))
    assert await reason_of(ask(device, device.renewal(new_key=new_key(9)))) == "too_many_keys"
    await ask(device, device.renewal(new_key=new_key(1)))


async def test_a_renewal_for_another_device_is_refused(store, enrol, ask):
    device, other = await enrol("a"), await enrol("b")
    # Its own certificate and key, another's name.
    assert await reason_of(ask(device, device.newcomer.renewal(other.device_id))) == "wrong_device"
    # Its own certificate, another's signature.
    assert await reason_of(ask(device, other.renewal())) == "unknown_key"
    # A good request of another device over its own connection.
    assert await reason_of(ask(device, other.newcomer.renewal(device.device_id))) == "unknown_key"


async def test_a_key_of_another_device_is_refused(store, enrol, ask):
    device, other = await enrol("a"), await enrol("b")
    assert await reason_of(ask(device, device.renewal(new_key=other.newcomer.key))) == "key_known"
    device.newcomer.tls_key = other.newcomer.tls_key
    assert await reason_of(ask(device, device.renewal())) == "key_known"
    assert len(await store.device_keys(device.device_id)) == 1


async def test_a_forged_proof_of_possession_is_refused(store, enrol, ask):
    device = await enrol("a")

    async def refused(proof, at_ms):
        fields = {1: device.device_id, 2: device.newcomer.csr(), 3: new_key(1).public.cose_key, 4: at_ms, 5: proof}
        data = envelope.seal(cbor.encode(fields), key=device.newcomer.key, aad=envelope.AAD_RENEWAL)
        return await reason_of(ask(device, data))

    def proof_in(data):
        return cbor.decode(envelope.parse(data, what="", limit=4096).payload, what="", limit=4096)[5]

    # By another key than the one that is named.
    assert await refused(proof_in(device.renewal(new_key=new_key(2))), 1_790_000_000_000) == "bad_signature"
    # A true proof, taken from another request.
    assert await refused(proof_in(device.renewal(new_key=new_key(1))), 1) == "bad_signature"
    assert len(await store.device_keys(device.device_id)) == 1


async def test_rubbish_is_refused(store, enrol, ask):
    device = await enrol("a")
    broken = bytearray(device.renewal())
    broken[-1] ^= 1
    for data, reasons in (
        (bytes(broken), {"bad_signature"}),
        (b"", {"malformed"}),
        (bytes(5000), {"limit"}),
        (device.renewal(csr=b"rubbish"), {"bad_csr"}),
        (device.newcomer.request(), {"bad_signature"}),
    ):
        assert await reason_of(ask(device, data)) in reasons


async def test_nobody_renews_after_revocation(store, enrol, ask):
    device = await enrol("a")
    await changes.set_device_state(
        store, operator=WANG, device_id=device.device_id.hex(), state=DeviceState.REVOKED, reason="stolen"
    )
    assert await reason_of(connected_device(store, device.certificate)) == "device_revoked"
    # Not even when the revocation comes between the two steps.
    with pytest.raises(RequestRefusedError):
        await ask(device, device.renewal())


# ---- who is connected


async def test_a_connection_is_its_certificates_device(store, enrol):
    device = await enrol("a")
    assert await connected_device(store, device.certificate) == device.device_id
    assert await reason_of(connected_device(store, None)) == "certificate_needed"


async def test_a_quarantined_device_may_renew(store, enrol, ask):
    device = await enrol("a")
    await changes.set_device_state(
        store, operator=WANG, device_id=device.device_id.hex(), state=DeviceState.QUARANTINED, reason="odd"
    )
    assert await connected_device(store, device.certificate) == device.device_id
    await ask(device, device.renewal())


async def test_a_certificate_that_was_not_written_down_is_nobodys(store, enrol, hub_authority):
    device = await enrol("a")
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    for made in (
        hub_authority.issue_device(public, device_id=device.device_id, now_ms=NOW_MS),
        hub_authority.issue_client(public, name="hub", now_ms=NOW_MS),
        hub_authority.issue_server(public, hosts=("hub",), now_ms=NOW_MS),
    ):
        assert await reason_of(connected_device(store, made.der)) == "certificate_unknown"
    named = hub_authority.issue_client(public, name=device.device_id.hex(), now_ms=NOW_MS)
    await store.add_certificate(named, audit=WANG.entry("ca.issue", ""))
    assert await reason_of(connected_device(store, named.der)) == "certificate_unknown"
    assert await reason_of(connected_device(store, b"rubbish")) == "certificate_unknown"
