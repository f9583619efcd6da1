"""One run of a site: people come, perhaps something is killed, everything settles, the proof is made."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from deploy.sandbox.crowd import Passage
from deploy.sandbox.people import crowd_of
from deploy.sandbox.proof import Proof
from deploy.sandbox.site import Site

SETTLE_S = 90.0
# People of an endless run come in rounds; a round's counters go on in the next.
ROUND_PEOPLE = 500
# The kill falls somewhere between two people, not always right after one: at any step of a scan.
KILL_WITHIN_S = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What shall happen. `people` None: they come until the run is stopped."""

    people: int | None
    rate_per_min: float
    kill: str | None
    seed: int


class Run:
    """Drives a site that has started.

    Args:
        site: started.
        plan: what shall happen.
        on_passed: told of every person.
        say: told of what is going on, in sentences.
    """

    def __init__(
        self, site: Site, *, plan: RunPlan, on_passed: Callable[[Passage], None], say: Callable[[str], None]
    ) -> None:
        self._site = site
        self._plan = plan
        self._on_passed = on_passed
        self._say = say
        self._killing: asyncio.Task[None] | None = None
        # Without an end there is no middle; then it is the middle of the first round.
        self._kill_at = (plan.people or ROUND_PEOPLE) // 2

    async def people(self) -> None:
        """Returns when all have passed; never, when there is no end to them."""
        plan = self._plan
        if plan.people is not None:
            await self._round(plan.people, seed=plan.seed)
            return
        seeds = random.Random(plan.seed)  # noqa: S311 - a repeatable crowd, no secret
        while True:
            await self._round(ROUND_PEOPLE, seed=seeds.getrandbits(32))

    async def settle_and_prove(self) -> Proof:
        """Waits, within bounds, for the last receipt; then compares what everyone holds.

        Raises:
            readings.ReadingError: a party cannot be asked.
        """
        if self._killing is not None:
            await self._killing
        self._say("所有人已通过，等待回执。 Everybody has passed; waiting for the last receipts.")
        if not await self._site.wait_settled(timeout_s=SETTLE_S):
            self._say(f"未在 {SETTLE_S:.0f} 秒内结清。 Not settled within {SETTLE_S:.0f} s.")
        return await self._site.proof()

    async def _round(self, people: int, *, seed: int) -> None:
        crowd = self._site.crowd(
            crowd_of(people, seed=seed), rate_per_min=self._plan.rate_per_min, on_passed=self._passed
        )
        await crowd.run()

    def _passed(self, passage: Passage) -> None:
        self._on_passed(passage)
        name = self._plan.kill
        if name is not None and self._killing is None and self._site.count.people >= self._kill_at:
            self._killing = asyncio.create_task(self._kill(name))

    async def _kill(self, name: str) -> None:
        rng = random.Random(self._plan.seed)  # noqa: S311 - a repeatable moment, no secret
        await asyncio.sleep(rng.uniform(0, KILL_WITHIN_S))
        self._site.kill(name)
        self._say(f"已强制终止 {name}，一秒后重启。 Killed {name} (SIGKILL); it is back in a second.")
