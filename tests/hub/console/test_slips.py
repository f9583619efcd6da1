"""Slips: the evidence of one decision, and nobody's name."""

import hashlib
from dataclasses import replace

import pytest

from hub.model import Role
from hub.store.trust_ports import Believed, BelievedKind
from protocol.keys import Ed25519SigningKey
from protocol.slip import slip_number
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, seal_trust

from .rows import ISSUER, RED, Stream

BASE = "/api/v1/slips"


@pytest.fixture
async def stream(console):
    return await Stream(console).register()


async def believe(console):
    """A bundle whose issuer signed what is shown here; returns the key's id."""
    key = Ed25519SigningKey(hashlib.sha256(b"issuer").digest())
    trusted = TrustedKey(key=key.public, uses=frozenset({KeyUse.CODE}), not_before_s=0, not_after_s=2**37)
    bundle = TrustBundle(
        version=1, issued_s=1, expires_s=2**37, issuers=(Issuer(name="重庆市", region="500000", keys=(trusted,)),)
    )
    data = seal_trust(bundle, key=key)
    await console.store.keep_believed(
        Believed(kind=BelievedKind.TRUST, name="", version=1, issued_s=1, kept_ms=1, data=data)
    )
    return key.public.kid


async def test_a_slip_tells_the_evidence_and_nobodys_name(console, stream):
    kid = await believe(console)
    (sealed,) = await stream.put(RED)
    evidence = replace(sealed.checkin.evidence, issuer_kid=kid)
    assert sealed.checkin.evidence.issuer_kid == ISSUER
    (known,) = await stream.put(RED | {"evidence": evidence})
    browser = await console.signed_in(Role.ATTENDANT)
    number = slip_number(known.hash)
    answer = await browser.get(f"{BASE}/{number.lower().replace('-', ' ')}")
    (slip,) = answer.json()
    assert (slip["slip"], slip["signature"], slip["hash"]) == (number, "valid", known.hash.hex())
    assert slip["evidence"] == {
        "issuer_kid": kid.hex(),
        "issuer": "重庆市",
        "code_issued_ms": 1_789_999_000_000,
        "rule": "R-7",
        "list_version": 12,
        "policy_version": 3,
        "device_kid": stream.key.public.kid.hex(),
    }
    assert "张" not in answer.text
    assert b"subject-of-a-person".hex() not in answer.text
    entry = (await console.store.audit_log(limit=1))[0]
    assert (entry.who, entry.action, entry.detail) == ("attendant", "slip.look", f"{number}: 1 records")
    unknown = (await browser.get(f"{BASE}/{slip_number(sealed.hash)}")).json()[0]["evidence"]
    assert (unknown["issuer"], unknown["issuer_kid"]) == ("", ISSUER.hex())


async def test_another_devices_signature_does_not_pass(console):
    stream = await Stream(console).register()
    stream.key = Ed25519SigningKey(bytes(32))
    (sealed,) = await stream.put(RED)
    browser = await console.signed_in(Role.OPERATOR)
    assert (await browser.get(f"{BASE}/{slip_number(sealed.hash)}")).json()[0]["signature"] == "invalid"


async def test_after_retention_the_facts_stay(console, stream):
    (sealed,) = await stream.put(RED)
    now_ms = console.clock.now_ms()
    batch = await console.store.fix_batch(batch_id=bytes(16), first_id=1, last_id=1, skipped=(), made_ms=now_ms)
    await console.store.mark_receipted(batch.batch_id, receipt=b"", rejected=(), now_ms=now_ms)
    await console.store.forget_personal(received_before_ms=now_ms + 1, limit_batches=9)
    browser = await console.signed_in(Role.OPERATOR)
    (slip,) = (await browser.get(f"{BASE}/{slip_number(sealed.hash)}")).json()
    assert (slip["signature"], slip["evidence"], slip["colour"]) == ("erased", None, "red")


async def test_only_ones_own_gates_and_only_who_was_not_admitted(console, stream):
    (admitted,) = await stream.put({})
    elsewhere = await Stream(console, place="station", device=b"device-B", key=Ed25519SigningKey(b"b" * 32)).register()
    (there,) = await elsewhere.put(RED)
    browser = await console.signed_in(Role.RESPONSIBLE)
    for sealed in (admitted, there):
        assert (await browser.get(f"{BASE}/{slip_number(sealed.hash)}")).status_code == 404
    assert (await (await console.signed_in(Role.OPERATOR)).get(f"{BASE}/{slip_number(there.hash)}")).status_code == 200
    assert (await (await console.signed_in(Role.AUDITOR)).get(f"{BASE}/{slip_number(there.hash)}")).status_code == 403


async def test_whoever_tries_numbers_waits(console, stream):
    (sealed,) = await stream.put(RED)
    browser = await console.signed_in(Role.OPERATOR)
    answers = [(await browser.get(f"{BASE}/{n:08d}")).status_code for n in range(12)]
    assert answers[:10] == [404] * 10
    assert answers[10:] == [429, 429]
    assert (await browser.get(f"{BASE}/{slip_number(sealed.hash)}")).status_code == 429
    console.clock.pass_s(60)
    assert (await browser.get(f"{BASE}/{slip_number(sealed.hash)}")).status_code == 200


@pytest.mark.parametrize("number", ["U" * 8, "x", "<script>", "%00", "1" * 17])
async def test_what_is_no_number(console, number):
    browser = await console.signed_in(Role.OPERATOR)
    answer = await browser.get(f"{BASE}/{number}")
    assert (answer.status_code, answer.json()["where"]) == (422, "number")
    assert (await browser.get("/slips", params={"number": number})).status_code == 422


async def test_the_page(console, stream):
    (sealed,) = await stream.put(RED)
    browser = await console.signed_in(Role.ATTENDANT, **{"accept-language": "en"})
    assert (await browser.get("/slips")).status_code == 200
    page = await browser.get("/slips", params={"number": slip_number(sealed.hash)})
    assert page.status_code == 200
    for text in ("Red code: entry refused", "红码，禁止通行", sealed.hash.hex()[:8], "R-7", "North"):
        assert text in page.text, text
    assert (await browser.get("/slips", params={"number": "00000000"})).status_code == 404
