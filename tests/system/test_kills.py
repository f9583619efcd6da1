"""SIGKILL of one part at a random moment, while people pass: nothing is lost, doubled or changed.

Each seed draws its crowd, the part's name where there are several, and the moment. The site lives on from seed to
seed, so that every round also carries what the rounds before it left behind. After each round every party is asked on
its own and compared (`deploy/sandbox/proof.py`): gates' spools, hub's rows, platform's rows and the lights that were lit.
"""

import asyncio
import random

import pytest
import pytest_asyncio

from deploy.sandbox.people import crowd_of
from deploy.sandbox.site import Site

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

PEOPLE = 8
SEEDS = range(20)
SETTLE_S = 60
SHOWING_S = 0.4
"""From one person to the next: stepping up, frame, commit, light, message. The kill falls somewhere into it."""


# Each victim has a site of its own, which two test processes may share out.
VICTIMS = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("device", "hub", "broker")]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=VICTIMS)
async def victim(request, tmp_path_factory):
    async with Site(tmp_path_factory.mktemp("site"), gates=2) as site:
        yield request.param, site


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_whatever_is_killed(victim, seed):
    name, site = victim
    rng = random.Random(f"{name}-{seed}")
    wanted = rng.choice(site.gates).process.name if name == "device" else name
    after = rng.randrange(PEOPLE - 1)
    passed = asyncio.Semaphore(0)
    crowd = site.crowd(crowd_of(PEOPLE, seed=seed), on_passed=lambda _: passed.release())
    passing = asyncio.create_task(crowd.run())
    for _ in range(after):
        await passed.acquire()
    await asyncio.sleep(rng.uniform(0, SHOWING_S))
    site.kill(wanted)
    await passing
    assert await site.wait_settled(timeout_s=SETTLE_S), f"not settled in {SETTLE_S} s"
    proof = await site.proof()
    assert proof.holds, proof.problems
    assert proof.sealed == proof.stored == proof.forwarded == proof.receipted
    assert proof.sealed > 0
