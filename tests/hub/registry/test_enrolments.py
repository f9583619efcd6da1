import asyncio
import dataclasses
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from hub.model import DeviceState
from hub.registry import changes, decisions, enrolments
from hub.registry.changes import Operator
from hub.registry.checks import RegistryError, RequestRefusedError
from hub.registry.enrolments import WAITING_MAX, make_token, take_request
from hub.store.errors import RegistryConflictError
from hub.store.sqlite import open_store
from protocol import cbor, envelope
from protocol.enrolment import EnrolmentState, fingerprint_words
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.terms import Direction

pytestmark = pytest.mark.slow

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
WANG = Operator(who="wang", now_ms=NOW_MS)


@pytest.fixture
async def store(tmp_path):
    store = await open_store(tmp_path / "hub.db", create=True)
    await changes.add_place(store, operator=WANG, place_id="mall", name="", region="", responsible="")
    await changes.add_place(store, operator=WANG, place_id="station", name="", region="", responsible="")
    for gate in ("north", "south"):
        await changes.add_gate(store, operator=WANG, place_id="mall", gate_id=gate, name="")
    yield store
    await store.close()


async def token_for(store, **changes):
    values = {"place_id": "mall", "gate_id": None, "direction": Direction.IN, "devices": 1, "minutes": 10}
    return await make_token(store, operator=WANG, **(values | changes))


async def take(store, data, *, now_ms=NOW_MS, address="192.0.2.7"):
    return await take_request(store, data, address=address, now_ms=now_ms)


async def reason_of(awaited):
    with pytest.raises(RequestRefusedError) as refused:
        await awaited
    return refused.value.reason


@pytest.fixture
def waiting(store, make_newcomer):
    """Makes a code, and a newcomer who waits with it."""

    async def make(name="a", **token):
        secret, _ = await token_for(store, **token)
        newcomer = make_newcomer(name, token=secret)
        return newcomer, await take(store, newcomer.request())

    return make


async def actions(store, n=50):
    return [entry.action for entry in await store.audit_log(limit=n)]


# ---- tokens


async def test_only_the_hash_of_a_token_is_stored(store, tmp_path):
    secret, token = await token_for(store, gate_id="north", direction=Direction.OUT)
    assert token.hash == hashlib.sha256(secret).digest()
    assert await store.find_token(token.hash) == token
    assert (token.expires_ms, token.used, token.who) == (NOW_MS + 10 * MINUTE_MS, 0, "wang")
    assert [path.name for path in tmp_path.iterdir() if secret in path.read_bytes()] == []
    (entry, *_) = await store.audit_log(limit=1)
    assert (entry.action, entry.who) == ("enrol.token", "wang")
    assert secret.hex() not in entry.detail


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"devices": 0}, "devices"),
        ({"devices": 501}, "devices"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": 1441}, "minutes"),
        ({"place_id": "a b"}, "place id"),
        ({"place_id": "nowhere"}, "not registered"),
        ({"gate_id": "west"}, "not registered"),
        ({"gate_id": "north", "devices": 2}, "one gate"),
    ],
)
async def test_a_code_that_makes_no_sense_is_not_made(store, wrong, said):
    with pytest.raises((RegistryError, RegistryConflictError), match=said):
        await token_for(store, **wrong)
    assert "enrol.token" not in await actions(store)


# ---- requests


async def test_a_device_waits_with_what_it_said(store, waiting):
    newcomer, enrolment = await waiting()
    asked = enrolment.asked
    assert (enrolment.state, enrolment.place_id, enrolment.gate_id) == (EnrolmentState.WAITING, "mall", None)
    assert (asked.serial, asked.model, asked.firmware, asked.address) == ("SN-a", "pi-5", "0.3.0", "192.0.2.7")
    assert asked.cose_key == encode_key(newcomer.key.public)
    assert await store.find_enrolment(asked.enrolment_id) == enrolment
    assert await store.enrolments(limit=9) == (enrolment,)
    (entry, *_) = await store.audit_log(limit=1)
    assert entry.action == "enrol.asked"
    assert await store.devices() == ()


async def test_the_same_key_and_code_again_is_the_same_enrolment_also_after_the_code_has_ended(store, waiting):
    newcomer, enrolment = await waiting()
    assert await take(store, newcomer.request()) == enrolment
    assert await take(store, newcomer.request(), now_ms=NOW_MS + 60 * MINUTE_MS) == enrolment
    assert await take(store, newcomer.request(serial="other")) == enrolment
    assert (await store.find_token(enrolment.asked.token_hash)).used == 1


@pytest.mark.parametrize("late_ms", [0, 1, MINUTE_MS])
async def test_a_code_that_has_ended_takes_nobody(store, make_newcomer, late_ms):
    secret, token = await token_for(store)
    newcomer = make_newcomer("a", token=secret)
    assert await reason_of(take(store, newcomer.request(), now_ms=token.expires_ms + late_ms)) == "token_expired"
    assert (await take(store, newcomer.request(), now_ms=token.expires_ms - 1)).state is EnrolmentState.WAITING


async def test_a_code_nobody_made_takes_nobody(store, make_newcomer):
    assert await reason_of(take(store, make_newcomer("a", token=b"guessed-guessed-").request())) == "token_unknown"
    assert await store.enrolments(limit=9) == ()


async def test_a_used_code_takes_no_second_device(store, waiting, make_newcomer):
    newcomer, _ = await waiting()
    assert await reason_of(take(store, make_newcomer("b", token=newcomer.token).request())) == "token_used"


async def test_a_hundred_at_once_get_no_more_than_the_code_is_good_for(store, make_newcomer):
    secret, token = await token_for(store, devices=30)
    answers = await asyncio.gather(
        *(take(store, make_newcomer(str(n), token=secret).request()) for n in range(100)), return_exceptions=True
    )
    refused = [answer.reason for answer in answers if isinstance(answer, RequestRefusedError)]
    assert refused == ["token_used"] * 70
    assert len({answer.asked.enrolment_id for answer in answers if not isinstance(answer, Exception)}) == 30
    assert (await store.find_token(token.hash)).used == 30


async def test_a_refused_device_leaves_its_place_to_another(store, waiting, make_newcomer):
    newcomer, enrolment = await waiting()
    await decisions.refuse(
        store, operator=WANG, enrolment_id=enrolment.asked.enrolment_id, reason="not one of our scanners"
    )
    refused = await take(store, newcomer.request())
    assert (refused.state, refused.reason, refused.who) == (EnrolmentState.REFUSED, "not one of our scanners", "wang")
    other = await take(store, make_newcomer("b", token=newcomer.token).request())
    assert other.state is EnrolmentState.WAITING
    assert await reason_of(take(store, make_newcomer("c", token=newcomer.token).request())) == "token_used"


async def test_a_waiting_device_that_sees_another_code_waits_with_that_one(store, waiting):
    newcomer, first = await waiting()
    newcomer.token, _ = await token_for(store, place_id="station")
    second = await take(store, newcomer.request())
    assert (second.place_id, second.state) == ("station", EnrolmentState.WAITING)
    gone = await store.find_enrolment(first.asked.enrolment_id)
    assert (gone.state, gone.reason) == (EnrolmentState.REFUSED, "asked again with another code")
    assert (await store.find_token(first.asked.token_hash)).used == 0


async def test_the_queue_is_bounded(store, make_newcomer, monkeypatch):
    monkeypatch.setattr(enrolments, "WAITING_MAX", 3)
    assert WAITING_MAX == 200
    secret, token = await token_for(store, devices=10)
    for n in range(3):
        await take(store, make_newcomer(str(n), token=secret).request())
    assert await reason_of(take(store, make_newcomer("4", token=secret).request())) == "too_many_waiting"
    assert (await store.find_token(token.hash)).used == 3
    other, _ = await token_for(store, devices=10)
    # Who waits already is not one more.
    again = await take(store, make_newcomer("1", token=other).request())
    assert again.state is EnrolmentState.WAITING


async def test_who_is_not_looked_at_for_a_day_makes_room(store, waiting):
    _, enrolment = await waiting()
    day_ms = 24 * 60 * MINUTE_MS
    assert await decisions.lapse(store, now_ms=NOW_MS + day_ms) == 0
    assert await decisions.lapse(store, now_ms=NOW_MS + day_ms + 1) == 1
    lapsed = await store.find_enrolment(enrolment.asked.enrolment_id)
    assert (lapsed.state, lapsed.reason) == (EnrolmentState.REFUSED, "undecided for 24 h")
    (entry, *_) = await store.audit_log(limit=1)
    assert (entry.who, entry.action) == ("hub", "enrol.refuse")
    assert enrolment.asked.enrolment_id.hex() in entry.detail


# ---- requests that lie


async def test_a_request_that_another_key_signed_is_refused(store, make_newcomer):
    """Proof of possession: whoever names a key holds it."""
    secret, _ = await token_for(store)
    data = bytearray(make_newcomer("a", token=secret).request())
    data[-1] ^= 1
    assert await reason_of(take(store, bytes(data))) == "bad_signature"
    thief, victim = make_newcomer("thief", token=secret), make_newcomer("victim", token=secret)
    thief.key = _Claiming(thief.key, victim.key.public)
    assert await reason_of(take(store, thief.request())) == "bad_signature"


class _Claiming:
    """Signs with its own key and says that it was another."""

    def __init__(self, key, public):
        self._key, self.public = key, public

    def sign(self, message):
        return self._key.sign(message)


@pytest.mark.parametrize("data", [b"", b"\xd2\x84", b"rubbish" * 100, bytes(5000), b"\xa0"])
async def test_what_is_no_request_is_refused(store, data):
    assert await reason_of(take(store, data)) in {"malformed", "limit"}


async def test_a_csr_that_its_own_key_did_not_sign_is_refused(store, make_newcomer):
    secret, _ = await token_for(store)
    newcomer = make_newcomer("a", token=secret)
    broken = bytearray(newcomer.csr())
    broken[-1] ^= 1
    assert await reason_of(take(store, newcomer.request(csr=bytes(broken)))) == "bad_csr"
    assert await reason_of(take(store, newcomer.request(csr=b"rubbish"))) == "bad_csr"


async def test_one_key_for_both_is_refused(store, make_newcomer):
    secret, _ = await token_for(store)
    newcomer = make_newcomer("a", token=secret)
    seed = hashlib.sha256(b"both").digest()
    newcomer.key = Ed25519SigningKey(seed)
    csr = newcomer.csr(key=ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    assert await reason_of(take(store, newcomer.request(csr=csr))) == "bad_csr"


async def test_the_key_of_another_device_is_refused(store, waiting, make_newcomer, hub_authority):
    newcomer, enrolment = await waiting()
    secret, _ = await token_for(store, devices=9)
    other = make_newcomer("b", token=secret)
    other.tls_key = newcomer.tls_key
    assert await reason_of(take(store, other.request())) == "key_known"
    await decisions.approve(store, operator=WANG, authority=hub_authority, enrolment_id=enrolment.asked.enrolment_id)
    # A registered device does not enrol again under a second name, and nobody under its TLS key.
    newcomer.token = secret
    assert await reason_of(take(store, newcomer.request())) == "key_known"
    assert await reason_of(take(store, other.request())) == "key_known"


async def test_one_key_and_code_with_another_tls_key_is_refused(store, waiting, make_newcomer):
    newcomer, _ = await waiting()
    newcomer.tls_key = make_newcomer("elsewhere").tls_key
    assert await reason_of(take(store, newcomer.request())) == "key_known"


@pytest.mark.parametrize("label", ["\u202egpj.exe", "a\u200bb", "\x1b[2J", "", "x" * 65])
async def test_a_label_that_steers_a_terminal_is_refused(store, make_newcomer, label):
    secret, _ = await token_for(store)
    newcomer = make_newcomer("a", token=secret)
    fields = {1: secret, 2: newcomer.csr(), 3: newcomer.key.public.cose_key, 4: label, 5: "pi", 6: "1"}
    data = envelope.seal(cbor.encode(fields), key=newcomer.key, aad=envelope.AAD_ENROLMENT)
    assert await reason_of(take(store, data)) == "malformed"
    assert await store.enrolments(limit=9) == ()


# ---- decisions


async def test_an_approved_device_is_registered_with_key_certificate_and_gate(store, waiting, hub_authority):
    newcomer, enrolment = await waiting(gate_id="north", direction=Direction.OUT)
    version = await store.registry_version()
    device = await decisions.approve(
        store, operator=WANG, authority=hub_authority, enrolment_id=enrolment.asked.enrolment_id, name="北门"
    )
    assert (device.place_id, device.gate_id, device.direction, device.name) == ("mall", "north", Direction.OUT, "北门")
    assert (device.state, device.kid) == (DeviceState.ACTIVE, newcomer.key.public.kid)
    assert await store.devices() == (device,)
    assert await store.registry_version() > version
    done = await store.find_enrolment(enrolment.asked.enrolment_id)
    assert (done.state, done.device_id, done.who) == (EnrolmentState.APPROVED, device.device_id, "wang")
    certificate = x509.load_der_x509_certificate(done.certificate)
    assert certificate.subject.rfc4514_string() == f"CN={device.device_id.hex()}"
    assert certificate.public_key() == newcomer.tls_key.public_key()
    assert (await actions(store))[:2] == ["enrol.approve", "device.add"]
    (key,) = await store.keys_to_announce(limit=9)
    assert (key.device_id, key.kid) == (device.device_id, newcomer.key.public.kid)


async def test_gates_are_numbered_where_the_code_names_none(store, make_newcomer, hub_authority):
    secret, _ = await token_for(store, devices=4)
    devices = []
    for n in range(4):
        enrolment = await take(store, make_newcomer(str(n), token=secret).request())
        if n == 3:
            # The first one is gone meanwhile: its gate is free.
            await store.set_device_state(
                devices[0].device_id, state=DeviceState.REVOKED, reason="x", audit=WANG.entry("x", "")
            )
        devices.append(
            await decisions.approve(
                store, operator=WANG, authority=hub_authority, enrolment_id=enrolment.asked.enrolment_id
            )
        )
    assert [device.gate_id for device in devices] == ["G1", "G2", "G3", "G1"]
    assert {gate.gate_id for gate in await store.gates()} == {"north", "south", "G1", "G2", "G3"}
    assert len({device.device_id for device in devices}) == 4


async def test_the_operator_may_choose_gate_direction_and_place(store, waiting, hub_authority):
    _, enrolment = await waiting(place_id="station")
    enrolment_id = enrolment.asked.enrolment_id
    for choice, said in (({"place_id": "mall"}, "name the gate"), ({"gate_id": "west"}, "not registered")):
        with pytest.raises((RegistryError, RegistryConflictError), match=said):
            await decisions.approve(store, operator=WANG, authority=hub_authority, enrolment_id=enrolment_id, **choice)
    device = await decisions.approve(
        store,
        operator=WANG,
        authority=hub_authority,
        enrolment_id=enrolment_id,
        place_id="mall",
        gate_id="south",
        direction=Direction.OUT,
    )
    assert (device.place_id, device.gate_id, device.direction) == ("mall", "south", Direction.OUT)


async def test_a_refused_change_registers_nothing_and_audits_nothing(store, waiting, hub_authority):
    _, enrolment = await waiting()
    before = await actions(store)
    with pytest.raises(RegistryConflictError):
        await decisions.approve(
            store,
            operator=WANG,
            authority=hub_authority,
            enrolment_id=enrolment.asked.enrolment_id,
            gate_id="west",
        )
    assert await store.devices() == ()
    assert await store.device_keys() == ()
    assert await actions(store) == before
    assert (await store.find_enrolment(enrolment.asked.enrolment_id)).state is EnrolmentState.WAITING


async def test_words_of_another_device_stop_the_approval(store, waiting, hub_authority, make_newcomer):
    newcomer, enrolment = await waiting()
    shown = " ".join(fingerprint_words(newcomer.key.public))
    others = " ".join(fingerprint_words(make_newcomer("intruder").key.public))
    asked = {"operator": WANG, "authority": hub_authority, "enrolment_id": enrolment.asked.enrolment_id}
    for words in (others, "", shown.rpartition(" ")[0], shown + " zoo"):
        with pytest.raises(RegistryError, match="words"):
            await decisions.approve(store, **asked, words=words)
    assert (await decisions.approve(store, **asked, words=f" {shown.upper()} ")).kid == newcomer.key.public.kid


async def test_a_decision_is_made_once(store, waiting, hub_authority):
    _, enrolment = await waiting()
    enrolment_id = enrolment.asked.enrolment_id
    results = await asyncio.gather(
        *(
            decisions.approve(store, operator=WANG, authority=hub_authority, enrolment_id=enrolment_id)
            for _ in range(5)
        ),
        return_exceptions=True,
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [RegistryConflictError] * 4
    assert len(await store.devices()) == 1
    with pytest.raises(RegistryConflictError, match="approved already"):
        await decisions.refuse(store, operator=WANG, enrolment_id=enrolment_id, reason="no")
    with pytest.raises(RegistryConflictError, match="no enrolment"):
        await decisions.approve(store, operator=WANG, authority=hub_authority, enrolment_id=bytes(16))


async def test_a_refusal_needs_a_reason(store, waiting):
    _, enrolment = await waiting()
    for reason in ("", "x" * 201, "\x1b[2J"):
        with pytest.raises(RegistryError, match="reason"):
            await decisions.refuse(store, operator=WANG, enrolment_id=enrolment.asked.enrolment_id, reason=reason)


# ---- replacing


@pytest.fixture
async def old(store):
    public = Ed25519SigningKey(hashlib.sha256(b"old").digest()).public
    return await changes.add_device(
        store,
        operator=WANG,
        device_id="00112233445566ff",
        cose_key=encode_key(public),
        place_id="mall",
        gate_id="south",
        direction=None,
        name="南门",
    )


async def test_a_new_device_takes_over_where_the_old_one_stood(store, waiting, hub_authority, old):
    newcomer, enrolment = await waiting(place_id="station")
    new = await decisions.replace(
        store,
        operator=WANG,
        authority=hub_authority,
        old_id=old.device_id.hex(),
        enrolment_id=enrolment.asked.enrolment_id,
    )
    assert (new.place_id, new.gate_id, new.direction, new.name) == ("mall", "south", None, "南门")
    assert new.kid == newcomer.key.public.kid
    devices = {device.device_id: device for device in await store.devices()}
    assert devices[old.device_id].state is DeviceState.REVOKED
    assert devices[old.device_id].reason == f"replaced by {new.device_id.hex()}"
    assert (await actions(store))[:3] == ["device.replace", "device.revoked", "device.add"]


async def test_what_cannot_be_replaced_changes_nothing(store, waiting, hub_authority, old):
    _, enrolment = await waiting()
    asked = {"operator": WANG, "authority": hub_authority, "enrolment_id": enrolment.asked.enrolment_id}
    with pytest.raises(RegistryConflictError, match="not registered"):
        await decisions.replace(store, **asked, old_id="f" * 16)
    with pytest.raises(RegistryError, match="words"):
        await decisions.replace(store, **asked, old_id=old.device_id.hex(), words="abandon")
    revoked = WANG.entry("x", "")
    await store.set_device_state(old.device_id, state=DeviceState.REVOKED, reason="x", audit=revoked)
    with pytest.raises(RegistryConflictError, match="final"):
        await decisions.replace(store, **asked, old_id=old.device_id.hex())
    assert [dataclasses.replace(device, state=None, reason="") for device in await store.devices()] == [
        dataclasses.replace(old, state=None, reason="")
    ]
    assert (await store.find_enrolment(enrolment.asked.enrolment_id)).state is EnrolmentState.WAITING
