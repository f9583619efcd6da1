"""Rounds on several sites at once, until all seeds are used: a line for each, and a summary."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from deploy.sandbox.faults.arena import Arena
from deploy.sandbox.faults.disk import DiskError
from deploy.sandbox.faults.ground import Abilities, Ground
from deploy.sandbox.faults.plan import GATES, Blow, Kind, blow_of
from deploy.sandbox.faults.round import Round, play
from deploy.sandbox.site import Site, SiteError

ROUND_S = 300.0
ROUNDS_A_SITE = 25
FRAMES_PER_S = 7.0

NEEDS_NETWORKS = frozenset({Kind.CUT_LINK, Kind.POOR_LINK})
NEEDS_DISKS = frozenset({Kind.FULL_DISK, Kind.POWER_CUT})
NEEDS_CLOCKS = frozenset({Kind.CLOCK_JUMP})


def kinds_for(has: Abilities) -> tuple[Kind, ...]:
    """What can be done to a site on this machine."""
    left_out = (
        (frozenset() if has.networks else NEEDS_NETWORKS)
        | (frozenset() if has.disks else NEEDS_DISKS)
        | (frozenset() if has.clocks else NEEDS_CLOCKS)
    )
    return tuple(kind for kind in Kind if kind not in left_out)


@dataclass(slots=True, kw_only=True)
class Runner:
    """Plays rounds.

    Attributes:
        folder: gets every site; those of rounds that held are removed by whoever made the folder.
        has: what this machine lets us have.
        say: told a line about each round.
        on_round: told of each round.
        tamper_seed: the round in which a check-in is taken from the platform before the proof, which must notice.
    """

    folder: Path
    has: Abilities
    say: Callable[[str], None]
    on_round: Callable[[Round], None]
    tamper_seed: int | None = None
    _sites: int = 0
    _left: Iterator[Blow] = field(default_factory=lambda: iter(()))

    async def run(self, seeds: Sequence[int], *, kinds: Sequence[Kind], sites: int) -> None:
        """All seeds, on so many sites at once."""
        self._left = iter([blow_of(seed, kinds=kinds) for seed in seeds])
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(sites, len(seeds))):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        """Site after site, as long as there are rounds. A round that fails ends its site: the next shall be its own."""
        blow = next(self._left, None)
        while blow is not None:
            number = self._sites
            self._sites += 1
            blow = await self._one_site(number, blow)

    async def _one_site(self, number: int, blow: Blow | None) -> Blow | None:
        """Rounds on one site from `blow` on; the one that the next site begins with."""
        home = self.folder / f"site-{number}"
        ground = Ground(home / "ground", number=number % 256, gates=GATES, has=self.has, seed=number)
        try:
            ground.prepare()
            site = Site(home / "site", gates=len(GATES), frames_per_s=FRAMES_PER_S, around=ground.surroundings)
            arena = Arena(site=site, ground=ground)
            ground.adopt(arena.homes)
            async with site:
                while blow is not None and arena.rounds < ROUNDS_A_SITE:
                    played = await self._play(arena, blow)
                    blow = next(self._left, None)
                    if not played.holds:
                        self.say(f"      its site is kept in {home}")
                        break
        except (SiteError, DiskError) as error:
            if blow is not None:
                self._ended(Round.broken(blow, f"its site did not start: {error}"))
            return next(self._left, None)
        finally:
            ground.close()
        return blow

    async def _play(self, arena: Arena, blow: Blow) -> Round:
        tamper = _take_a_row if blow.seed == self.tamper_seed else None
        try:
            async with asyncio.timeout(ROUND_S):
                played = await play(arena, blow, tamper=tamper)
        except Exception as error:  # noqa: BLE001 - whatever breaks a round, it did not hold, and the next has its own site
            played = Round.broken(blow, f"the round did not end: {type(error).__name__}: {error}")
        self._ended(played)
        return played

    def _ended(self, played: Round) -> None:
        self.on_round(played)
        self.say(played.line)


def _take_a_row(arena: Arena) -> None:
    """Deletes a check-in at the platform, to see whether the proof notices."""
    with closing(sqlite3.connect(arena.homes["platform"] / "platform.sqlite")) as db, db:
        db.execute("DELETE FROM checkins WHERE id = (SELECT max(id) - 1 FROM checkins)")
