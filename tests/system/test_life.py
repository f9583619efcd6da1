"""The life of a gate at a real hub: enrolled by a code, keys rotated, another device in its place, and the old one out."""

import json

import pytest

from deploy.sandbox.readings import get_json
from deploy.sandbox.site import Site
from deploy.sandbox.stories import enrol
from deploy.sandbox.stories.story import hub_command, person, shown, take_away, wrong

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("life")]


async def keys_of(site, device):
    return [row for row in json.loads(await hub_command(site, "device", "keys", "--json")) if row["device"] == device]


async def device_at(site, gate):
    devices = json.loads(await hub_command(site, "device", "list", "--json"))
    return next(row["id"] for row in devices if row["gate"] == gate and row["state"] == "active")


async def stored(site, device):
    summary = await get_json(site.session, f"{site.layout.pages_url}/v1/summary")
    assert not any(summary[name] for name in ("bad_signatures", "unknown_devices", "forks", "chain_breaks"))
    return sum(chain["count"] for chain in summary["chains"] if chain["device"] == device)


async def test_a_gate_is_enrolled_changes_its_keys_and_is_replaced(tmp_path):
    async with Site(tmp_path / "site", gates=1, blank=2) as site:
        outcome = await enrol.tell(site, print)
        assert outcome.failures == []
        first, second = site.blanks
        old = await device_at(site, "G2")

        mark = first.mark()
        await hub_command(site, "command", "send", "--device", old, "rotate_keys", "--wait", "20")
        assert await first.event("ready", timeout_s=40, after=mark)
        assert wrong(await shown(site, first, person(601)), verdict="admit", reason="ok") is None
        assert await site.wait_settled(timeout_s=30)
        assert len(await keys_of(site, old)) == 2
        assert await stored(site, old) == 2, "one by each key, and the platform believes both"

        code = (await hub_command(site, "enrol", "--print", "--place", first.plan.place)).strip().splitlines()[-1]
        mark = second.mark()
        await second.show([code])
        assert await second.event("fingerprint", timeout_s=30, after=mark)
        waiting = [
            row for row in json.loads(await hub_command(site, "enrol", "list", "--json")) if row["state"] == "waiting"
        ]
        gone = first.mark()
        await hub_command(site, "device", "replace", "--old", old, "--enrolment", waiting[0]["id"])
        assert await second.event("ready", timeout_s=40, after=mark)
        assert await first.event("link_down", timeout_s=20, after=gone), "the old one is cut off"
        await take_away(second)
        assert wrong(await shown(site, second, person(602)), verdict="admit", reason="ok") is None
        assert await site.wait_settled(timeout_s=30)
        new = await device_at(site, "G2")
        assert new != old
        assert await stored(site, new) == 1
        assert await stored(site, old) == 2
        actions = {
            entry["action"] for entry in json.loads(await hub_command(site, "audit", "--json", "--limit", "500"))
        }
        assert {"enrol.token", "enrol.asked", "enrol.approve"} <= actions
