"""The way of a device through the pages, with real TLS."""

import hashlib
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub.model import DeviceState
from hub.registry import changes, decisions
from hub.store.errors import StoreWriteError
from protocol.enrolment import EnrolmentState, decode_answer, decode_renewal_answer
from protocol.keys import Ed25519SigningKey
from protocol.terms import Direction

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


def reason_of(answer):
    status, body, kind = answer
    assert kind == "application/json"
    said = json.loads(body)
    assert set(said) == {"error", "what"}
    assert said["what"]
    return status, said["error"]


async def test_the_authority_is_for_everybody_and_is_what_the_code_pins(hub):
    status, body, kind = await hub.ask("GET", "/v1/ca")
    assert (status, kind) == (200, "application/pkix-cert")
    info = x509.load_der_x509_certificate(body).public_key()
    info = info.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(info).digest() == hub.authority.key_hash


async def test_from_the_box_to_a_gate(hub, make_newcomer, hub_key):
    newcomer = make_newcomer("a", token=await hub.token(direction=Direction.OUT))
    waiting = await hub.enrol(newcomer)
    assert (waiting.state, waiting.configuration) == (EnrolmentState.WAITING, None)
    assert await hub.look(waiting.id) == waiting
    assert await hub.enrol(newcomer) == waiting
    device = await hub.approve(waiting)
    answer = await hub.look(waiting.id)
    found = answer.configuration
    assert answer.state is EnrolmentState.APPROVED
    assert (found.device, found.place, found.gate, found.direction) == (device.device_id, "mall", "G1", Direction.OUT)
    assert (found.broker_host, found.broker_port, found.hub_url) == ("broker.example", 8883, "https://127.0.0.1:8444")
    assert (found.hub_keys, found.ca) == ((hub_key.public,), hub.authority.der)
    assert (found.policy, found.trust) == (b"sealed policy", b"sealed trust")
    assert hub.policies[-1] == (device.device_id, "mall", "G1", Direction.OUT)
    (certificate,) = (x509.load_der_x509_certificate(der) for der in found.chain)
    certificate.verify_directly_issued_by(hub.authority.certificate)
    assert certificate.public_key() == newcomer.tls_key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={device.device_id.hex()}"
    # Asked once more after a power cut: the same device and certificate.
    assert (await hub.enrol(newcomer)).configuration == found


async def test_a_refused_device_is_told_so(hub, make_newcomer):
    waiting = await hub.enrol(make_newcomer("a", token=await hub.token()))
    await decisions.refuse(hub.store, operator=hub.operator, enrolment_id=waiting.id, reason="unknown box")
    answer = await hub.look(waiting.id)
    assert (answer.state, answer.configuration) == (EnrolmentState.REFUSED, None)


async def test_a_device_that_is_revoked_before_it_comes_back_gets_nothing(hub, make_newcomer):
    waiting = await hub.enrol(make_newcomer("a", token=await hub.token()))
    device = await hub.approve(waiting)
    await changes.set_device_state(
        hub.store, operator=hub.operator, device_id=device.device_id.hex(), state=DeviceState.REVOKED, reason="x"
    )
    assert await hub.look(waiting.id) == decode_answer_of(waiting.id, EnrolmentState.REFUSED)


def decode_answer_of(enrolment_id, state):
    return decode_answer(b"\xa2\x01\x50" + enrolment_id + b"\x02" + bytes([state]))


async def test_a_day_after_the_decision_the_answer_is_gone(hub, make_newcomer):
    waiting = await hub.enrol(make_newcomer("a", token=await hub.token()))
    await hub.approve(waiting)
    hub.clock.now_ms += 24 * 3_600_000
    await hub.look(waiting.id)
    hub.clock.now_ms += 1
    assert reason_of(await hub.ask("GET", f"/v1/enrolments/{waiting.id.hex()}")) == (404, "not_found")


async def test_a_certificate_is_renewed_over_the_present_one(hub, make_newcomer):
    newcomer = make_newcomer("a")
    found, identity = await hub.enrolled(newcomer)
    hub.clock.now_ms += 60 * 86_400_000
    newcomer.tls_key = ec.generate_private_key(ec.SECP256R1())
    new_key = Ed25519SigningKey(bytes([7]) * 32)
    status, body, _ = await hub.ask(
        "POST", "/v1/renewals", newcomer.renewal(found.device, new_key=new_key), tls=identity
    )
    assert status == 200
    (der,) = decode_renewal_answer(body).chain
    renewed = hub.tls(cert=der, key=newcomer.tls_key)
    assert [key.kid for key in await hub.store.device_keys(found.device)] == [
        newcomer.key.public.kid,
        new_key.public.kid,
    ]
    # The next one goes over the new certificate, by either key.
    status, _, _ = await hub.ask("POST", "/v1/renewals", newcomer.renewal(found.device, key=new_key), tls=renewed)
    assert status == 200


async def test_pages_that_are_not_there(hub):
    assert reason_of(await hub.ask("GET", "/")) == (404, "not_found")
    assert reason_of(await hub.ask("GET", "/v1/enrolments/" + "0" * 32)) == (404, "not_found")
    for odd in ("0" * 31, "0" * 33, "A" * 32, "%2e%2e", "x" * 3000):
        assert reason_of(await hub.ask("GET", f"/v1/enrolments/{odd}")) == (404, "not_found")
    assert reason_of(await hub.ask("DELETE", "/v1/ca"))[0] == 405
    assert reason_of(await hub.ask("POST", "/v1/ca", b""))[0] == 405


async def test_a_database_that_fails_is_said_without_its_words(hub, make_newcomer, monkeypatch):
    data = make_newcomer("a", token=await hub.token()).request()

    async def fails(*_, **__):
        raise StoreWriteError("the disk is full at /var/lib")

    monkeypatch.setattr(hub.store, "take_enrolment", fails)
    answer = await hub.ask("POST", "/v1/enrolments", data)
    assert reason_of(answer) == (503, "unavailable")
    assert b"disk" not in answer[1]


async def test_a_body_that_is_too_long_is_not_read(hub):
    for path in ("/v1/enrolments", "/v1/renewals"):
        assert reason_of(await hub.ask("POST", path, bytes(4097)))[0] in {401, 413}
    assert reason_of(await hub.ask("POST", "/v1/enrolments", bytes(4096))) == (400, "malformed")
