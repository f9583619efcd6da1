"""A scanner from the box to the table, with a real authority and the hub's own handlers."""

import asyncio
import html
import re

import pytest

from hub.console.site import Enrolling
from hub.enrol.errands import enrol_errands
from hub.errands import Errands
from hub.health import Health
from hub.model import DeviceState, Role
from hub.registry.authority import key_hash_of
from hub.registry.checks import RegistryError, RequestRefusedError
from hub.registry.enrolments import take_request
from protocol.provisioning import parse_provisioning

URL = "https://hub.example:8444"


@pytest.fixture
async def enrolling(console, hub_authority, tmp_path):
    """The console with a hub behind it that enrols."""
    console.be_patient(enrolling=Enrolling(url=URL, ca_hash=key_hash_of(tmp_path / "hub-ca.pem")))
    handlers = enrol_errands(store=console.store, authority=hub_authority)
    hub = Errands(store=console.store, handlers=handlers, health=Health(), now_ms=console.clock.now_ms)
    task = asyncio.create_task(hub.run())
    yield console
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def make_code(program, **changes):
    answer = await program.post("/api/v1/enrolments/codes", json={"place": "mall"} | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def ask(console, make_newcomer, text, name="one"):
    """A device from the box reads the code's text and asks with it; returns what it shows to people."""
    code = parse_provisioning(text)
    newcomer = make_newcomer(name, token=code.token)
    asked = await take_request(console.store, newcomer.request(), address="10.0.0.7", now_ms=console.clock.now_ms())
    return asked.asked.enrolment_id.hex()


async def test_the_code_says_where_the_hub_is_and_whom_to_trust(enrolling, hub_authority):
    program = await enrolling.program(Role.OPERATOR)
    made = await make_code(program, gate="G1", direction="out", minutes=5, wifi={"ssid": "mall", "psk": "12345678"})
    code = parse_provisioning(made["text"])
    assert (code.url, code.ca_hash, code.place, code.gate) == (URL, hub_authority.key_hash, "mall", "G1")
    assert code.wifi == ("mall", "12345678")
    assert code.expires_s * 1000 == made["expires_ms"] == enrolling.clock.ms + 300_000


async def test_neither_token_nor_network_is_written_down(enrolling, tmp_path):
    program = await enrolling.program(Role.OPERATOR)
    made = await make_code(program, wifi={"ssid": "mall", "psk": "verysecretpsk"})
    token = parse_provisioning(made["text"]).token
    entries = await enrolling.store.audit_log(limit=99)
    assert any(entry.action == "enrol.token" for entry in entries)
    assert not any(token.hex() in entry.detail or "verysecret" in entry.detail for entry in entries)
    for path in tmp_path.glob("hub.sqlite*"):
        assert token not in path.read_bytes()
        assert b"verysecretpsk" not in path.read_bytes()


async def test_from_the_code_to_the_table(enrolling, make_newcomer):
    browser = await enrolling.signed_in(Role.OPERATOR)
    shown = await browser.post(
        "/scanners/add", data={"place": "mall", "direction": "in", "devices": "1", "minutes": "10"}
    )
    text = html.unescape(re.search(r'id="code-text">([^<]+)<', shown.text)[1])
    assert "data:image/svg+xml" in shown.text
    enrolment = await ask(enrolling, make_newcomer, text)

    waiting = (await browser.get("/scanners/waiting")).text
    page = (await browser.get(f"/scanners/waiting/{enrolment}")).text
    words = re.search(r'name="words" value="([^"]+)"', page)[1]
    assert words in waiting
    assert "SN-one" in waiting

    unticked = await browser.post(f"/scanners/waiting/{enrolment}", data={"act": "approve", "words": words})
    assert unticked.status_code == 422
    assert await enrolling.store.devices() == ()

    done = await browser.post(
        f"/scanners/waiting/{enrolment}",
        data={"act": "approve", "words": words, "same": "yes", "name": "北门", "gate": ""},
    )
    (device,) = await enrolling.store.devices()
    assert done.headers["location"] == f"/scanners/{device.device_id.hex()}"
    assert (device.name, device.place_id, device.gate_id) == ("北门", "mall", "G1")
    (row,) = (await browser.get("/api/v1/scanners")).json()["scanners"]
    assert (row["device"], row["certificate_days"], row["troubles"]) == (device.device_id.hex(), 90, ["never_seen"])
    papers = (await browser.get(f"/api/v1/scanners/{device.device_id.hex()}/papers")).json()
    assert [len(papers["certificates"]), papers["keys"][0]["kid"]] == [1, device.kid.hex()]
    assert any(entry.who == "operator" for entry in await enrolling.store.audit_log(limit=1))


async def test_another_scanners_words_approve_nobody(enrolling, make_newcomer):
    program = await enrolling.program(Role.OPERATOR)
    code = await make_code(program, devices=2)
    one, two = [await ask(enrolling, make_newcomer, code["text"], name) for name in ("one", "two")]
    words = (await program.get(f"/api/v1/enrolments/{two}")).json()["words"]
    answer = await program.post(f"/api/v1/enrolments/{one}/approve", json={"words": words})
    assert answer.status_code == 422
    assert (await program.post(f"/api/v1/enrolments/{one}/approve", json={})).status_code == 422
    assert await enrolling.store.devices() == ()


async def test_who_is_refused_stays_out_and_its_code_is_good_for_another(enrolling, make_newcomer):
    browser = await enrolling.signed_in(Role.OPERATOR)
    code = await make_code(await enrolling.program(Role.OPERATOR))
    enrolment = await ask(enrolling, make_newcomer, code["text"])
    assert (
        await browser.post(f"/scanners/waiting/{enrolment}", data={"act": "refuse", "reason": " "})
    ).status_code == 422
    done = await browser.post(f"/scanners/waiting/{enrolment}", data={"act": "refuse", "reason": "not ours"})
    assert done.status_code == 303
    assert "not ours" in (await browser.get("/scanners/waiting")).text
    late = await browser.post(
        f"/scanners/waiting/{enrolment}", data={"act": "approve", "words": "a b c d", "same": "yes"}
    )
    assert late.status_code in {409, 422}
    await ask(enrolling, make_newcomer, code["text"], "two")


async def test_a_new_one_takes_the_place_of_an_old_one(enrolling, make_newcomer):
    program, browser = await enrolling.program(Role.OPERATOR), await enrolling.signed_in(Role.OPERATOR)

    async def words_of(enrolment):
        return (await program.get(f"/api/v1/enrolments/{enrolment}")).json()["words"]

    code = await make_code(program, devices=2)
    first = await ask(enrolling, make_newcomer, code["text"], "one")
    approval = {"words": await words_of(first), "name": "north", "place": "mall", "gate": "G1"}
    old = (await program.post(f"/api/v1/enrolments/{first}/approve", json=approval)).json()["device"]
    second = await ask(enrolling, make_newcomer, code["text"], "two")
    form = {"act": "replace", "old": old, "same": "yes", "words": await words_of(second)}
    done = await browser.post(f"/scanners/waiting/{second}", data=form)
    assert done.status_code == 303
    devices = {device.device_id.hex(): device for device in await enrolling.store.devices()}
    new = devices[done.headers["location"].rpartition("/")[2]]
    assert devices[old].state is DeviceState.REVOKED
    assert (new.name, new.gate_id, new.state) == ("north", "G1", DeviceState.ACTIVE)


async def test_a_code_ends(enrolling, make_newcomer):
    code = await make_code(await enrolling.program(Role.OPERATOR), minutes=1)
    enrolling.clock.pass_s(61)
    with pytest.raises(RequestRefusedError, match="ended"):
        await ask(enrolling, make_newcomer, code["text"])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"place": "nowhere"}, 409),
        ({"place": "../x"}, 422),
        ({"place": ""}, 422),
        ({"gate": "G9"}, 409),
        ({"gate": "G1", "devices": 2}, 422),
        ({"devices": 0}, 422),
        ({"devices": 501}, 422),
        ({"minutes": 1441}, 422),
        ({"direction": "sideways"}, 422),
        ({"wifi": {"ssid": "x", "psk": "short"}}, 422),
        ({"wifi": {"ssid": "x" * 32, "psk": "密码密码密码密码"}}, 422),
        ({"stranger": 1}, 422),
    ],
)
async def test_codes_that_are_not_made(enrolling, changes, status):
    program = await enrolling.program(Role.OPERATOR)
    answer = await program.post("/api/v1/enrolments/codes", json={"place": "mall"} | changes)
    assert answer.status_code == status, answer.text
    browser = await enrolling.signed_in(Role.OPERATOR)
    form = {"place": "mall"} | {name: str(value) for name, value in changes.items() if name not in {"wifi", "stranger"}}
    if "wifi" not in changes and "stranger" not in changes:
        assert (await browser.post("/scanners/add", data=form)).status_code == status


async def test_a_hub_that_enrols_nobody_says_so(console):
    browser = await console.signed_in(Role.OPERATOR)
    assert "This hub enrols no scanners" in (await browser.get("/scanners/add")).text
    assert (await browser.post("/scanners/add", data={"place": "mall"})).status_code == 409


async def test_who_is_not_there(enrolling):
    browser = await enrolling.signed_in(Role.OPERATOR)
    assert (await browser.get(f"/scanners/waiting/{'0' * 32}")).status_code == 404
    assert (await browser.post(f"/scanners/waiting/{'0' * 32}", data={"act": "approve"})).status_code == 404
    assert (await browser.get("/scanners/waiting/xyz")).status_code == 422


def test_the_hash_is_of_a_certificate_alone(hub_authority, tmp_path):
    assert key_hash_of(tmp_path / "hub-ca.pem") == hub_authority.key_hash
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(RegistryError, match="no certificate"):
        key_hash_of(tmp_path / "no.pem")
