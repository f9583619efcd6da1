"""A gate in words: what its screen and voice told, from the box over the button to a new place, with real processes."""

import json

import pytest

from deploy.sandbox.layout import Surroundings
from deploy.sandbox.site import Site
from deploy.sandbox.stories import enrol
from deploy.sandbox.stories.story import hub_command, person, shown, take_away, wrong
from protocol.terms import Colour

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("life")]


def told(site, gate, part):
    lines = site.layout.lights(gate.plan.gate).read_text().splitlines()
    return [change for change in map(json.loads, lines) if change["part"] == part]


async def test_a_gate_speaks_and_its_button_sets_it_up_anew(tmp_path):
    async with Site(tmp_path / "site", gates=1, blank=1, around=Surroundings(lights=True)) as site:
        outcome = await enrol.tell(site, print)
        assert outcome.failures == []
        gate = site.blanks[0]
        fingerprint = gate.last("fingerprint")
        words = f"{fingerprint['characters']} {fingerprint['words']}"
        assert words in [change["value"] for change in told(site, gate, "screen")], "to be compared at the gate itself"

        assert (await shown(site, gate, person(701, colour=Colour.RED))).verdict == "refuse"
        assert [change["name"] for change in told(site, gate, "voice") if change["value"]][-1] == "refuse"
        assert await site.wait_settled(timeout_s=30), "while check-ins have no receipt it takes no code"

        mark = gate.mark()
        await gate.press(down=True)
        assert await gate.event("armed", timeout_s=15, after=mark), "held for three seconds"
        code = (await hub_command(site, "enrol", "--print", "--place", gate.plan.place)).strip().splitlines()[-1]
        await take_away(gate)
        await gate.show([code])
        said = await gate.event("fingerprint", timeout_s=30, after=mark)
        assert said
        waiting = [
            row for row in json.loads(await hub_command(site, "enrol", "list", "--json")) if row["state"] == "waiting"
        ]
        await hub_command(site, "enrol", "approve", waiting[0]["id"], "--words", said["words"])
        assert await gate.event("enrolled", timeout_s=40, after=mark)
        assert await gate.event("ready", timeout_s=40, after=mark)
        await take_away(gate)
        assert wrong(await shown(site, gate, person(702)), verdict="admit", reason="ok") is None
        assert [change["name"] for change in told(site, gate, "voice") if change["value"]][-1] == "admit"
