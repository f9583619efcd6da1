"""What strangers, thieves and other devices try. All of it is refused, and stands in the audit log."""

import asyncio
import json
import ssl

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hub.enrol import http
from hub.model import DeviceState
from hub.registry import changes, decisions
from hub.registry.authority import create_authority, load_authority
from protocol import cbor, envelope
from protocol.enrolment import EnrolmentState, decode_answer, fingerprint_words
from protocol.keys import Ed25519SigningKey

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

DAY_MS = 86_400_000


async def refused(hub, data, *, path="/v1/enrolments", tls=None):
    """The reason, which must stand in the newest audit entry too."""
    status, body, _ = await hub.ask("POST", path, data, tls=tls)
    assert 400 <= status < 500, body
    reason = json.loads(body)["error"]
    (entry, *_) = await hub.store.audit_log(limit=1)
    action = "enrol.refused" if path == "/v1/enrolments" else "renewal.refused"
    assert (entry.action, entry.who) == (action, "hub")
    assert entry.detail.startswith(f"{reason} from 127.0.0.1: ")
    return reason


# ---- the code


async def test_a_token_is_used_once(hub, make_newcomer):
    token = await hub.token()
    await hub.enrol(make_newcomer("a", token=token))
    assert await refused(hub, make_newcomer("b", token=token).request()) == "token_used"


async def test_a_token_that_has_ended(hub, make_newcomer):
    newcomer = make_newcomer("a", token=await hub.token())
    hub.clock.now_ms += 600_000
    assert await refused(hub, newcomer.request()) == "token_expired"


async def test_a_guessed_token(hub, make_newcomer):
    assert await refused(hub, make_newcomer("a", token=bytes(16)).request()) == "token_unknown"


async def test_a_recorded_request_gives_the_recorder_nothing(hub, make_newcomer):
    newcomer = make_newcomer("a", token=await hub.token())
    recorded = newcomer.request()
    waiting = await hub.enrol(newcomer)
    await hub.approve(waiting)
    _, body, _ = await hub.ask("POST", "/v1/enrolments", recorded)
    replayed = decode_answer(body)
    assert replayed.id == waiting.id
    assert len(await hub.store.devices()) == 1
    # The certificate is for a key that the recorder does not have.
    public = x509.load_der_x509_certificate(replayed.configuration.chain[0]).public_key()
    assert public == newcomer.tls_key.public_key()


@pytest.mark.slow
async def test_a_hundred_at_once_over_tls_get_exactly_what_the_code_is_good_for(hub, make_newcomer, monkeypatch):
    monkeypatch.setattr(hub.pages, "_refused", http.Rates(burst=1000, per_s=0))
    token = await hub.token(devices=10)
    requests = [make_newcomer(str(n), token=token).request() for n in range(100)]
    answers = await asyncio.gather(*(hub.ask("POST", "/v1/enrolments", data) for data in requests))
    assert sorted(status for status, _, _ in answers) == [200] * 10 + [403] * 90
    assert len({decode_answer(body).id for status, body, _ in answers if status == 200}) == 10
    assert len(await hub.audits("enrol.refused")) == 90
    assert len(await hub.audits("enrol.asked")) == 10


# ---- the request


async def test_forged_proof_of_possession(hub, make_newcomer):
    token = await hub.token()
    newcomer, victim = make_newcomer("a", token=token), make_newcomer("victim").key.public
    fields = {1: token, 2: newcomer.csr(), 3: victim.cose_key, 4: "SN", 5: "pi", 6: "1"}
    for claimed in (newcomer.key, _Claiming(newcomer.key, victim)):
        data = envelope.seal(cbor.encode(fields), key=claimed, aad=envelope.AAD_ENROLMENT)
        assert await refused(hub, data) == "bad_signature"
    assert await hub.store.enrolments(limit=9) == ()


class _Claiming:
    def __init__(self, key, public):
        self._key, self.public = key, public

    def sign(self, message):
        return self._key.sign(message)


async def test_a_csr_with_another_name_gets_its_own(hub, make_newcomer):
    token = await hub.token(devices=3)
    for name in ("hub", "0011223344556677", "../../etc"):
        newcomer = make_newcomer(name, token=token)
        waiting = await hub.enrol(newcomer, csr=newcomer.csr(common_name=name))
        device = await hub.approve(waiting)
        (der,) = (await hub.look(waiting.id)).configuration.chain
        certificate = x509.load_der_x509_certificate(der)
        assert certificate.subject.rfc4514_string() == f"CN={device.device_id.hex()}"


async def test_a_csr_for_somebody_elses_key(hub, make_newcomer):
    newcomer = make_newcomer("a", token=await hub.token())
    broken = bytearray(newcomer.csr())
    broken[-1] ^= 1
    assert await refused(hub, newcomer.request(csr=bytes(broken))) == "bad_csr"


async def test_the_keys_of_a_registered_device(hub, make_newcomer):
    device = make_newcomer("a")
    await hub.enrolled(device)
    token = await hub.token(devices=9)
    thief = make_newcomer("thief", token=token)
    thief.tls_key = device.tls_key
    assert await refused(hub, thief.request()) == "key_known"
    device.token = token
    assert await refused(hub, device.request()) == "key_known"


async def test_rubbish(hub, make_newcomer):
    sound = make_newcomer("a", token=await hub.token()).request()
    for data in (b"", b"\x00" * 4096, sound[:-1], sound + b"\x00", b'{"token": 1}', sound.replace(b"pi-5", b"pi-6")):
        assert await refused(hub, data) in {"malformed", "bad_signature"}


async def test_who_reads_an_enrolment_id_learns_no_secret_and_is_seen(hub, make_newcomer, monkeypatch):
    newcomer = make_newcomer("a", token=await hub.token())
    waiting = await hub.enrol(newcomer)
    await hub.approve(waiting)
    await hub.look(waiting.id)
    assert await hub.audits("enrol.fetched") == []
    monkeypatch.setattr(http, "_address", lambda _: "192.0.2.66")
    found = (await hub.look(waiting.id)).configuration
    (entry,) = await hub.audits("enrol.fetched")
    assert "192.0.2.66" in entry.detail
    assert waiting.id.hex() in entry.detail
    # With the certificate and any other key there is no connection as this device.
    with pytest.raises(ssl.SSLError):
        hub.tls(cert=found.chain[0], key=ec.generate_private_key(ec.SECP256R1()))


# ---- a man in the middle, as the operator sees him


async def test_who_answers_in_the_devices_place_shows_other_words(hub, make_newcomer):
    """The intruder has read the code from the screen and asks first, with keys of his own."""
    token = await hub.token()
    device, intruder = make_newcomer("a", token=token), make_newcomer("intruder", token=token)
    waiting = await hub.enrol(intruder)
    shown_at_the_gate = " ".join(fingerprint_words(device.key.public))
    with pytest.raises(changes.RegistryError, match="words"):
        await hub.approve(waiting, words=shown_at_the_gate)
    assert await refused(hub, device.request()) == "token_used"
    await decisions.refuse(hub.store, operator=hub.operator, enrolment_id=waiting.id, reason="other words")
    assert (await hub.look(waiting.id)).state is EnrolmentState.REFUSED
    await hub.approve(await hub.enrol(device), words=shown_at_the_gate)


# ---- renewals


async def test_a_renewal_without_a_certificate(hub, make_newcomer):
    newcomer = make_newcomer("a")
    found, _ = await hub.enrolled(newcomer)
    assert await refused(hub, newcomer.renewal(found.device), path="/v1/renewals") == "certificate_needed"


async def test_a_renewal_over_another_devices_connection(hub, make_newcomer):
    mine, other = make_newcomer("a"), make_newcomer("b")
    found, _ = await hub.enrolled(mine)
    others, others_identity = await hub.enrolled(other)
    asked = {"path": "/v1/renewals", "tls": others_identity}
    assert await refused(hub, mine.renewal(found.device), **asked) == "unknown_key"
    assert await refused(hub, other.renewal(found.device), **asked) == "wrong_device"
    assert await refused(hub, mine.renewal(others.device), **asked) == "unknown_key"
    assert await refused(hub, other.renewal(others.device, new_key=mine.key), **asked) == "key_known"
    assert len(await hub.store.device_keys()) == 2


async def test_a_revoked_certificate(hub, make_newcomer):
    newcomer = make_newcomer("a")
    found, identity = await hub.enrolled(newcomer)
    await changes.set_device_state(
        hub.store, operator=hub.operator, device_id=found.device.hex(), state=DeviceState.REVOKED, reason="stolen"
    )
    assert await refused(hub, newcomer.renewal(found.device), path="/v1/renewals", tls=identity) == "device_revoked"


async def test_a_replaced_device_is_out_at_once(hub, make_newcomer):
    old, new = make_newcomer("old"), make_newcomer("new", token=await hub.token())
    found, identity = await hub.enrolled(old)
    waiting = await hub.enrol(new)
    device = await decisions.replace(
        hub.store,
        operator=hub.operator,
        authority=hub.authority,
        old_id=found.device.hex(),
        enrolment_id=waiting.id,
    )
    taken_over = (await hub.look(waiting.id)).configuration
    assert (taken_over.place, taken_over.gate) == (found.place, found.gate)
    assert hub.policies[-1] == (device.device_id, found.place, found.gate, found.direction)
    assert await refused(hub, old.renewal(found.device), path="/v1/renewals", tls=identity) == "device_revoked"


async def test_a_certificate_of_another_authority_is_not_let_in(hub, make_newcomer, tmp_path):
    newcomer = make_newcomer("a")
    found, _ = await hub.enrolled(newcomer)
    paths = {"cert": tmp_path / "evil.pem", "key": tmp_path / "evil.key"}
    # The same name, too: only the key tells them apart.
    create_authority(**paths, name="hub", now_ms=hub.clock.now_ms)
    evil = load_authority(**paths, days=90, now_ms=hub.clock.now_ms)
    made = evil.issue_device(newcomer.tls_key.public_key(), device_id=found.device, now_ms=hub.clock.now_ms)
    forged = hub.tls(cert=made.der, key=newcomer.tls_key)
    with pytest.raises(aiohttp.ClientError):
        await hub.ask("POST", "/v1/renewals", newcomer.renewal(found.device), tls=forged)


async def test_a_certificate_that_our_authority_signed_elsewhere(hub, make_newcomer):
    """Say, by a stolen copy of its key: it was never written down here."""
    newcomer = make_newcomer("a")
    found, _ = await hub.enrolled(newcomer)
    made = hub.authority.issue_device(newcomer.tls_key.public_key(), device_id=found.device, now_ms=hub.clock.now_ms)
    identity = hub.tls(cert=made.der, key=newcomer.tls_key)
    data = newcomer.renewal(found.device)
    assert await refused(hub, data, path="/v1/renewals", tls=identity) == "certificate_unknown"


async def test_a_rotated_key_renews_nothing(hub, make_newcomer):
    newcomer = make_newcomer("a")
    found, identity = await hub.enrolled(newcomer)
    new_key = Ed25519SigningKey(bytes([7]) * 32)
    data = newcomer.renewal(found.device, new_key=new_key)
    status, _, _ = await hub.ask("POST", "/v1/renewals", data, tls=identity)
    assert status == 200
    entry = hub.operator.entry("device.key", "")
    await hub.store.end_older_keys(found.device, kid=new_key.public.kid, audit=entry)
    assert await refused(hub, newcomer.renewal(found.device), path="/v1/renewals", tls=identity) == "unknown_key"


async def test_rubbish_over_a_good_connection(hub, make_newcomer):
    newcomer = make_newcomer("a")
    found, identity = await hub.enrolled(newcomer)
    asked = {"path": "/v1/renewals", "tls": identity}
    assert await refused(hub, b"", **asked) == "malformed"
    assert await refused(hub, newcomer.request(), **asked) == "bad_signature"
    assert await refused(hub, newcomer.renewal(found.device, csr=b"x"), **asked) == "bad_csr"


async def test_a_device_that_renews_without_end_is_slowed_down(hub, make_newcomer):
    newcomer = make_newcomer("a")
    found, identity = await hub.enrolled(newcomer)
    data = newcomer.renewal(found.device)
    statuses = [(await hub.ask("POST", "/v1/renewals", data, tls=identity))[0] for _ in range(8)]
    assert statuses == [200] * 6 + [429] * 2


# ---- floods


async def test_an_address_that_is_refused_too_often_is_not_read_any_more(hub, make_newcomer):
    guesses = [make_newcomer("a", token=bytes([n]) * 16).request() for n in range(30)]
    statuses = [(await hub.ask("POST", "/v1/enrolments", data))[0] for data in guesses]
    assert statuses == [403] * 20 + [429] * 10
    assert len(await hub.audits("enrol.refused")) == 20
    # Who looks what became of him still may.
    assert (await hub.ask("GET", "/v1/ca"))[0] == 200


async def test_the_audit_log_cannot_be_filled(hub, make_newcomer, monkeypatch):
    monkeypatch.setattr(hub.pages, "_refused", http.Rates(burst=1000, per_s=0))
    hub.refusal_rates._burst = 5
    data = make_newcomer("a", token=bytes(16)).request()
    for _ in range(20):
        await hub.ask("POST", "/v1/enrolments", data)
    assert len(await hub.audits("enrol.refused")) == 5
    hub.refusal_rates._left.clear()
    await hub.ask("POST", "/v1/enrolments", data)
    (entry, *_) = await hub.store.audit_log(limit=1)
    assert entry.detail.endswith("; 15 more were not written down")
