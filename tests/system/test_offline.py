"""A gate decides without the network, and what it decided arrives when the network is back (D2, D10)."""

import pytest

from deploy.sandbox.people import crowd_of
from deploy.sandbox.readings import read_gate
from deploy.sandbox.site import Site

pytestmark = pytest.mark.system


async def test_a_gate_decides_without_broker_and_hub_and_nothing_is_lost(tmp_path):
    async with Site(tmp_path / "site", gates=2) as site:
        await site.broker.stop()
        await site.hub.stop()
        await site.crowd(crowd_of(12, seed=3)).run()
        assert site.count.unanswered == 0
        assert sum([(await read_gate(gate)).depth for gate in site.gates]) > 0, "the check-ins wait in the spools"
        site.broker.start()
        site.hub.start()
        assert await site.wait_settled(timeout_s=90)
        proof = await site.proof()
        assert proof.holds, proof.problems
