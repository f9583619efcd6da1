"""The desk's API and pages: who may ask, how often, what is written down. What is sealed, `tests/browser` shows."""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import hub.console
from hub.model import Role
from hub.registry.changes import Operator
from hub.store.trust_ports import Believed, BelievedKind, ClosedBy, Closing
from protocol.desk import Ask, LookUp, Person, Registration, question_id, seal_question
from protocol.desk_answer import open_receipt, open_told
from protocol.keys import Ed25519SigningKey
from protocol.limits import DESK_BYTES
from protocol.reasons import Reason
from protocol.sealing import key_fingerprint
from protocol.terms import Colour, Direction
from protocol.trust import seal_trust
from tests.hub.console.desks import KNOWN, at_work, id_number

NUMBER, NAME = id_number(KNOWN), "欧阳无名"
REPLY = X25519PrivateKey.from_private_bytes(b"r" * 32)
HPKE = "f0db9f43bd14ce05705ecc97222e1fe1efc05d7bb3d9a2c00d8c1662bd53bb9f"


@pytest.fixture
async def platform(console, tmp_path):
    async with at_work(console, tmp_path / "platform") as (window, desk):
        window.desk_part = desk
        yield window


def registration(nonce=1, gate="G1", place="mall"):
    return Registration(
        nonce=bytes([nonce]) * 16, place=place, gate=gate, at_ms=1, reply=REPLY.public_key().public_bytes_raw(),
        direction=Direction.IN, people=(Person(name=NAME, number=NUMBER), Person(name="小名", number="")),
    )  # fmt: skip


def look_up(nonce=1, gate="G1", place="mall"):
    reply = REPLY.public_key().public_bytes_raw()
    return LookUp(nonce=bytes([nonce]) * 16, place=place, gate=gate, at_ms=1, reply=reply, number=NUMBER)


def body(question, platform, **more):
    sealed = seal_question(question, resolver=platform.bundle.resolver)
    consent = {"consent": True} if isinstance(question, LookUp) else {}
    return {"sealed": base64.b64encode(sealed).decode()} | consent | more


async def ask(client, question, platform, **more):
    path = "look-ups" if isinstance(question, LookUp) else "registrations"
    return await client.post(f"/api/v1/desk/{path}", json=body(question, platform, **more))


def read(said, question, platform):
    kind = Ask.LOOK_UP if isinstance(question, LookUp) else Ask.REGISTRATION
    data = base64.b64decode(said.json()["answer"])
    receipt = open_receipt(
        data, trust=platform.bundle, at_s=platform.bundle.issued_s, id=question_id(question), ask=kind
    )
    return open_told(receipt, private=REPLY, nonce=question.nonce)[0]


async def actions(console):
    return [(entry.who, entry.action, entry.detail) for entry in await console.store.audit_log(limit=20)]


async def test_a_registration_is_stored_and_answered_to_whoever_sealed_it(console, platform):
    platform.turn(KNOWN, Colour.RED)
    client = await console.signed_in(Role.ATTENDANT)
    said = await ask(client, registration(), platform)
    assert (said.status_code, said.json()["state"]) == (200, "stored")
    assert [told.colour for told in read(said, registration(), platform)] == [Colour.RED, Colour.RED]
    assert ("attendant", "desk.register", "mall/G1") in await actions(console)
    counts = await console.store.minute_counts(from_minute=0, to_minute=2**40)
    assert [(count.place_id, count.gate_id, count.colour, count.direction, count.n) for count in counts] == [
        ("mall", "G1", Colour.RED, Direction.IN, 2)
    ]


async def test_the_same_registration_again_is_one_visit_with_one_answer(console, platform):
    client = await console.signed_in(Role.ATTENDANT)
    sealed = body(registration(), platform)
    answers = [(await client.post("/api/v1/desk/registrations", json=sealed)).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(platform.people()) == 2
    assert sum(count.n for count in await console.store.minute_counts(from_minute=0, to_minute=2**40)) == 2
    assert [action for _, action, _ in await actions(console)].count("desk.register") == 1


async def test_while_the_platform_is_away_a_visit_is_kept_and_a_look_up_is_not(console, platform):
    platform.away = True
    client = await console.signed_in(Role.ATTENDANT)
    said = await ask(client, registration(), platform)
    assert said.json() == {"state": "kept", "answer": ""}
    said = await ask(client, look_up(), platform)
    assert (said.status_code, said.json()["error"]) == (503, "platform_silent")
    platform.away = False
    await platform.desk_part.deliver()
    assert [row[0] for row in platform.people()] == [Ask.REGISTRATION] * 2


async def test_a_look_up_is_answered_and_written_down_without_the_person(console, platform):
    platform.turn(KNOWN, Colour.YELLOW)
    client = await console.signed_in(Role.ATTENDANT)
    said = await ask(client, look_up(), platform)
    (told,) = read(said, look_up(), platform)
    assert (told.colour, told.reason) == (Colour.YELLOW, Reason.COLOUR_YELLOW)
    assert (await actions(console))[0] == ("attendant", "desk.look_up", "mall/G1, with consent")
    assert await console.store.minute_counts(from_minute=0, to_minute=2**40) == ()


@pytest.mark.parametrize("consent", [False, None, "yes"])
async def test_nobody_is_looked_up_without_consent(console, platform, consent):
    client = await console.signed_in(Role.ATTENDANT)
    said = await ask(client, look_up(), platform, consent=consent)
    assert (said.status_code, said.json()["where"]) == (422, "consent")
    assert platform.asked == []


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ATTENDANT])
async def test_only_attendants_stand_at_a_desk(console, platform, role):
    client = await console.signed_in(role)
    assert (await ask(client, registration(), platform)).status_code == 403
    assert (await ask(client, look_up(), platform)).status_code == 403
    for path in ("/desk", "/desk/mall/G1", "/desk/mall/G1/look-up", "/api/v1/desk/key", "/api/v1/desk/gates"):
        assert (await client.get(path)).status_code == 403
    assert platform.asked == []


async def test_nobody_who_is_not_signed_in_and_no_other_site(console, platform):
    assert (await ask(console.browser(), registration(), platform)).status_code == 401
    client = await console.signed_in(Role.ATTENDANT, **{"sec-fetch-site": "cross-site"})
    assert (await ask(client, registration(), platform)).status_code == 403


@pytest.mark.parametrize(("place", "gate"), [("station", "G1"), ("mall", "G2"), ("nowhere", "G1")])
async def test_an_attendant_has_one_gate(console, platform, place, gate):
    client = await console.signed_in(Role.ATTENDANT)
    for question in (registration(place=place, gate=gate), look_up(place=place, gate=gate)):
        assert (await ask(client, question, platform)).status_code == 404
    assert (await client.get(f"/desk/{place}/{gate}")).status_code == 404
    assert platform.asked == []


async def test_a_gate_of_ones_own_place_that_is_not_there_is_not_found(console, platform):
    account = await console.account(Role.ATTENDANT)
    await console.account(Role.ADMINISTRATOR)
    entry = Operator(who="test", now_ms=1).entry("account.change", "")
    await console.store.change_account(replace(account, scope=frozenset({("mall", "")})), audit=entry)
    client = await console.signed_in(Role.ATTENDANT)
    assert (await ask(client, registration(), platform)).status_code == 200
    assert (await ask(client, registration(gate="G7"), platform)).status_code == 404


@pytest.mark.slow
async def test_numbers_cannot_be_tried_one_after_the_other(console, platform):
    client = await console.signed_in(Role.ATTENDANT)
    said = [await ask(client, look_up(nonce), platform) for nonce in range(11)]
    assert [each.status_code for each in said] == [200] * 10 + [429]
    assert 1 <= int(said[-1].headers["retry-after"]) <= 61
    assert len(platform.asked) == 10
    assert (await actions(console))[0] == ("attendant", "desk.too_often", "mall/G1: look_up")
    # Registrations have a measure of their own, and another minute is another ten; an hour has its own end.
    assert (await ask(client, registration(), platform)).status_code == 200
    total = 10
    for nonce in range(20, 90):
        console.clock.pass_s(7)
        total += (await ask(client, look_up(nonce), platform)).status_code == 200
    assert total == 60


async def test_a_closed_place_registers_nobody(console, platform):
    entry = Operator(who="test", now_ms=1).entry("place.close", "")
    closing = Closing(place_id="mall", by=ClosedBy.OPERATOR, why="order 12", since_ms=1)
    await console.store.close_place(closing, audit=entry)
    client = await console.signed_in(Role.ATTENDANT)
    said = await ask(client, registration(), platform)
    assert (said.status_code, said.json()["error"]) == (409, "place_closed")
    assert (await ask(client, look_up(), platform)).status_code == 200


@pytest.mark.parametrize(
    "sealed",
    [
        "AAAA",
        "not base64!",
        base64.b64encode(bytes(DESK_BYTES + 1)).decode(),
        base64.b64encode(NUMBER.encode()).decode(),
    ],
)
async def test_what_is_not_sealed_goes_nowhere(console, platform, sealed):
    client = await console.signed_in(Role.ATTENDANT)
    for path, more in (("registrations", {}), ("look-ups", {"consent": True})):
        said = await client.post(f"/api/v1/desk/{path}", json={"sealed": sealed} | more)
        assert (said.status_code, said.json()["where"]) == (422, "sealed")
    assert platform.asked == []


async def test_one_kind_does_not_pass_for_the_other(console, platform):
    client = await console.signed_in(Role.ATTENDANT)
    asked = body(registration(), platform) | {"consent": True}
    assert (await client.post("/api/v1/desk/look-ups", json=asked)).status_code == 422
    asked = {"sealed": body(look_up(), platform)["sealed"]}
    assert (await client.post("/api/v1/desk/registrations", json=asked)).status_code == 422


async def test_what_was_sealed_to_another_key_is_refused_and_said(console, platform):
    client = await console.signed_in(Role.ATTENDANT)
    stranger = X25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw()
    for question, path, more in (
        (registration(), "registrations", {}),
        (look_up(), "look-ups", {"consent": True}),
    ):
        sealed = base64.b64encode(seal_question(question, resolver=stranger)).decode()
        said = await client.post(f"/api/v1/desk/{path}", json={"sealed": sealed} | more)
        assert (said.status_code, said.json()["error"]) == (503, "platform_refused")


async def test_the_page_shows_the_key_that_the_root_has_signed(console, platform):
    client = await console.signed_in(Role.ATTENDANT)
    said = (await client.get("/api/v1/desk/key")).json()
    assert bytes.fromhex(said["key"]) == platform.bundle.resolver
    assert said["fingerprint"] == key_fingerprint(platform.bundle.resolver)
    assert len(said["fingerprint"].replace(" ", "")) == 32
    page = (await client.get("/desk/mall/G1")).text
    assert said["fingerprint"] in page
    assert said["key"] in page
    # No field can be submitted: none has a name, none works before the script has seen to the key.
    form = page.split('id="desk-form"')[1].split("</form>")[0]
    assert " name=" not in form
    assert "<fieldset disabled" in form
    assert 'autocomplete="off"' in form


@pytest.mark.parametrize("kept", ["forged", "ended", "without"])
async def test_without_the_platforms_key_nothing_can_be_typed(console, platform, kept):
    other = Ed25519SigningKey(b"o" * 32)
    if kept == "forged":
        data = seal_trust(replace(platform.bundle, version=9), key=other)
    else:
        changed = {"expires_s": platform.bundle.issued_s + 1} if kept == "ended" else {"resolver": None}
        console.become(replace(console.site, root=other.public))
        data = seal_trust(replace(platform.bundle, version=9, **changed), key=other)
    await console.store.keep_believed(
        Believed(kind=BelievedKind.TRUST, name="", version=9, issued_s=1, kept_ms=1, data=data)
    )
    console.clock.ms = platform.bundle.issued_s * 1000 + 10_000
    client = await console.signed_in(Role.ATTENDANT)
    assert (await client.get("/api/v1/desk/key")).status_code == 503
    page = await client.get("/desk/mall/G1")
    assert page.status_code == 200
    assert "desk-form" not in page.text
    assert "typed here" in page.text


async def test_the_script_that_seals_is_the_one_that_was_looked_at():
    """`static/vendor/README.md` says how it is made again."""
    script = Path(hub.console.__file__).parent / "static" / "vendor" / "hpke.js"
    assert hashlib.sha256(script.read_bytes()).hexdigest() == HPKE


async def test_one_desk_is_gone_to_at_once(console, platform):
    client = await console.signed_in(Role.ATTENDANT)
    said = await client.get("/desk")
    assert (said.status_code, said.headers["location"]) == (303, "/desk/mall/G1")
    (desk,) = (await client.get("/api/v1/desk/gates")).json()
    assert desk == {"place": "mall", "place_name": "Mall", "gate": "G1", "gate_name": "North"}
