"""What platform, hub and operator say reaches the gates of a whole site, and decides there."""

import json

import pytest
import pytest_asyncio

from deploy.sandbox.people import Showing
from deploy.sandbox.phone import Phones
from deploy.sandbox.platform.lookup import id_number, opaque_text
from deploy.sandbox.site import Site
from deploy.sandbox.stories.story import control, hub_command, in_force, marks, person, shown, shown_texts

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("believed"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    async with Site(tmp_path_factory.mktemp("site"), gates=2) as site:
        yield site


async def policy(site, *rules):
    """Changes the rules of the place, and waits for its gates."""
    since = marks(site.gates)
    await hub_command(site, "policy", "set", "--place", site.gates[0].plan.place, *rules)
    await in_force(site.gates, "policy", since=since, fits=lambda _fields: True)


async def texts_of(site, who):
    return await Phones(site.session, url=site.layout.pages_url).texts(who)


def said(scan):
    return scan.colour, scan.verdict, scan.reason


async def command(site, gate, *words):
    device = gate.plan.device_id.hex()
    await hub_command(site, "command", "send", "--device", device, *words, "--wait", "20")
    return json.loads(await hub_command(site, "command", "list", "--json"))[0]


async def test_one_code_admits_one_person_at_whichever_gate_of_the_place(site):
    first, second = site.gates
    for who in (person(501), person(502, showing=Showing.CARD)):
        texts = await texts_of(site, who)
        assert said(await shown_texts(first, texts)) == ("green", "admit", "ok")
        assert said(await shown_texts(second, texts)) == ("grey", "hold", "already_used")


async def test_a_cards_colour_is_its_list_entry_and_of_two_colours_the_worse_wins(site):
    gate = site.gates[0]
    for number, colour, answer in (
        (511, "yellow", ("yellow", "hold", "colour_yellow")),
        (512, "notice", ("notice", "hold", "notice")),
        (513, "red", ("red", "refuse", "colour_red")),
    ):
        since = marks([gate])
        await control(site, "colours", {"people": [number], "colour": colour})
        await in_force([gate], "status", since=since, fits=lambda _fields: True)
        assert said(await shown(site, gate, person(number, showing=Showing.CARD))) == answer


async def test_a_gate_decides_cards_after_a_restart_without_any_network(site):
    gate = site.gates[0]
    since = marks([gate])
    await control(site, "colours", {"people": [521], "colour": "red"})
    await in_force([gate], "status", since=since, fits=lambda _fields: True)
    red = await texts_of(site, person(521, showing=Showing.CARD))
    green = await texts_of(site, person(523, showing=Showing.CARD))
    await site.broker.stop()
    try:
        mark = gate.mark()
        gate.process.kill()
        assert await gate.event("ready", timeout_s=30, after=mark)
        assert said(await shown_texts(gate, red)) == ("red", "refuse", "colour_red")
        assert said(await shown_texts(gate, green)) == ("green", "admit", "ok")
    finally:
        mark = gate.mark()
        site.broker.start()
        assert await gate.event("link_up", timeout_s=60, after=mark)


async def test_foreign_codes_and_identity_numbers_are_looked_up_and_the_hub_cannot_read_them(site):
    gate = site.gates[0]
    await texts_of(site, person(531))
    await texts_of(site, person(532))
    assert await gate.answer(timeout_s=0.1) is None
    await policy(site, "--resolve-prefixes", "YK:", "--resolve-cards", "yes")
    await control(site, "colours", {"people": [532], "colour": "yellow"})
    assert said(await shown_texts(gate, [opaque_text(531)])) == ("green", "admit", "ok")
    assert said(await shown_texts(gate, [id_number(532)])) == ("yellow", "hold", "colour_yellow")
    assert said(await shown_texts(gate, [opaque_text(999_999)])) == ("grey", "hold", "not_found")
    assert await site.wait_settled(timeout_s=30)
    for path in (site.layout.folder / "hub").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert id_number(532).encode() not in data
            assert opaque_text(531).encode() not in data
    await site.platform.stop()
    try:
        assert said(await shown_texts(gate, [opaque_text(531)])) == ("grey", "hold", "resolver_timeout")
    finally:
        site.platform.start()
        await policy(site, "--resolve-prefixes", "off", "--resolve-cards", "no")


async def test_green_passes_only_below_the_threshold_where_policy_asks_for_a_temperature(site):
    gate = site.gates[0]
    await policy(site, "--temperature-max-cc", "3730")
    try:
        await gate.warm(3800)
        assert said(await shown(site, gate, person(541))) == ("yellow", "hold", "temperature_high")
        await gate.warm(None)
        assert said(await shown(site, gate, person(542))) == ("grey", "hold", "thermometer_failed")
        await gate.warm(3650)
        assert said(await shown(site, gate, person(543))) == ("green", "admit", "ok")
    finally:
        await policy(site, "--temperature-max-cc", "off")


async def test_codes_of_new_and_old_keys_are_believed_after_a_roll_over(site):
    gate = site.gates[0]
    old = await texts_of(site, person(551))
    since = marks(site.gates)
    await control(site, "trust", {})
    await in_force(site.gates, "trust", since=since, fits=lambda fields: fields["version"] == 2)
    assert said(await shown_texts(gate, old)) == ("green", "admit", "ok")
    assert said(await shown(site, gate, person(552))) == ("green", "admit", "ok")
    since = marks(site.gates)
    await control(site, "colours", {"people": [553], "colour": "red"})
    await in_force(site.gates, "status", since=since, fits=lambda _fields: True)
    assert said(await shown(site, gate, person(553, showing=Showing.CARD))) == ("red", "refuse", "colour_red")


async def test_an_operator_commands_a_gate(site):
    gate = site.gates[1]
    assert (await command(site, gate, "locate", "--seconds", "1"))["state"] == "done"
    assert "specimen=read" in (await command(site, gate, "test_scan"))["detail"]
    assert (await command(site, gate, "open_once"))["state"] == "done"
    assert (await command(site, gate, "disable"))["state"] == "done"
    assert said(await shown(site, gate, person(561))) == ("grey", "hold", "gate_disabled")
    mark = gate.mark()
    assert (await command(site, gate, "restart"))["state"] == "done"
    assert await gate.event("ready", timeout_s=30, after=mark)
    assert said(await shown(site, gate, person(562))) == ("grey", "hold", "gate_disabled"), "it outlives a restart"
    assert (await command(site, gate, "enable"))["state"] == "done"
    assert said(await shown(site, gate, person(563))) == ("green", "admit", "ok")
    assert (await command(site, gate, "send_logs", "--lines", "20"))["state"] == "done"


async def test_a_provisioning_code_is_nothing_to_an_enrolled_gate_and_is_reported(site):
    gate = site.gates[0]
    code = (await hub_command(site, "enrol", "--print", "--place", gate.plan.place)).strip().splitlines()[-1]
    mark = gate.mark()
    gate.forget_answers()
    await gate.show([code])
    assert await gate.event("provisioning_code_shown", timeout_s=10, after=mark)
    assert await gate.answer(timeout_s=0.5) is None
    await gate.clear()


async def test_everything_that_was_decided_arrived(site):
    assert said(await shown(site, site.gates[0], person(571))) == ("green", "admit", "ok")
    assert await site.wait_settled(timeout_s=60)
    proof = await site.proof()
    assert [problem for problem in proof.problems if "died" not in problem] == []
