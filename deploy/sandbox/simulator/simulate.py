"""seed -> one history and what did not hold in it."""

import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.sandbox.simulator.faults import DAY_MS, Faults
from deploy.sandbox.simulator.hub import PERSONAL_H
from deploy.sandbox.simulator.site import SimSite, built
from deploy.sandbox.simulator.world import World
from protocol.checkin import parse_checkin

STEPS = 1_000
_SOON_MS = 10 * 60_000
"""Within so long everything comes through but what the platform refused, which the hub puts off for an hour."""

_HEALING_MS = 2 * 3_600_000
"""Longer than that hour, and than any other pause."""

_LOOK_MS = 1_000
"""How soon it is asked again whether everything has come through; later, less often."""

_RETENTION_MS = 2_000
"""Something for its commits."""

_SHM = Path("/dev/shm")  # noqa: S108 - files in memory; each history has a folder of its own.


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What came of one seed."""

    seed: int
    digest: str
    steps: int
    seconds: float
    people: int
    greens: int
    greys: int
    committed: int
    arrived: int
    chosen: tuple[str, ...]
    faults: Counter[str]
    broken: tuple[str, ...]


def simulate(
    seed: int,
    *,
    steps: int = STEPS,
    kinds: Collection[str] | None = None,
    say: Callable[[str], None] | None = None,
) -> History:
    """One history: faults for `steps` events, then everything is mended, and what is left must come through.

    Args:
        seed: the same gives the same history, byte for byte.
        steps: how long faults go on.
        kinds: which faults there are, by name; None: a few, drawn from the seed.
        say: told each line of it.
    """
    world = World(seed=seed, say=say)
    with (
        tempfile.TemporaryDirectory(dir=_SHM if _SHM.is_dir() else None) as folder,
        _alone(seed),
        built(world, Path(folder)) as site,
    ):
        faults = Faults(site, kinds=kinds)
        world.say("world", f"seed {seed}: {', '.join(faults.chosen) or 'nothing goes wrong'}")
        site.start()
        faults.start()
        _play(site, faults, steps=steps)
        return History(
            seed=seed,
            digest=world.digest,
            steps=world.steps,
            seconds=world.now_ms / 1000,
            people=site.people,
            greens=site.truth.greens,
            greys=site.truth.greys,
            committed=site.truth.committed,
            arrived=site.truth.arrived,
            chosen=tuple(faults.chosen),
            faults=faults.happened,
            broken=tuple(site.truth.broken),
        )


def _play(site: SimSite, faults: Faults, *, steps: int) -> None:
    world = site.world
    _run(site, lambda: world.steps >= steps)
    site.close_doors()
    faults.heal()
    _come_through(site)
    # What a hub lost that was put back shows in the next check-in of each gate.
    for gate in site.gates:
        site.one_more(gate)
    _come_through(site)
    if not site.truth.broken:
        _check_end(site)
    # When the retention is over, by the clock as far as it ever was ahead, nobody is known here any more.
    site.hub.clock.jump(site.hub.clock.most_ahead_ms + DAY_MS + _HEALING_MS, noticed=False)
    # A hub that starts forgets at once what is due; later it would take it up to a minute.
    site.hub.kill(power=False)
    _run(site, lambda: site.hub.up_for_ms >= _RETENTION_MS)
    if not site.truth.broken:
        _check_nobody_kept(site)


def _come_through(site: SimSite) -> None:
    """Until nothing is on its way. An hour in which nothing else happens is not waited for: the hub's clock jumps."""
    _run(site, site.settled, most_ms=_SOON_MS, every_ms=_LOOK_MS)
    if not site.truth.broken and not site.settled():
        site.hub.clock.jump(_HEALING_MS // 2, noticed=False)
        _run(site, site.settled, most_ms=_HEALING_MS, every_ms=_LOOK_MS)


def _run(site: SimSite, done: Callable[[], bool], *, most_ms: int | None = None, every_ms: int = 0) -> None:
    """Event after event until it is done, something is broken, or the time is over."""
    began_ms = look_ms = site.world.now_ms
    while not site.truth.broken and (most_ms is None or site.world.now_ms < began_ms + most_ms):
        if site.world.now_ms >= look_ms:
            if done():
                return
            look_ms = site.world.now_ms + max(every_ms, (site.world.now_ms - began_ms) // 20 if every_ms else 0)
        site.world.step()


def _check_end(site: SimSite) -> None:
    truth = site.truth
    with site.hub_rows() as rows:
        stopped = {device for (device,) in rows("SELECT id FROM device WHERE state <> 'active'")}
        gaps = rows("SELECT device, epoch, from_seq, to_seq FROM gap")
        checkins = rows("SELECT device, epoch, seq, hash, sealed FROM checkin ORDER BY id")
    for device in stopped:
        if not truth.may_be_stopped(device):
            truth.fail(f"the hub stopped a device {device!r} that did nothing wrong")
    if not site.settled():
        truth.fail("something is still on its way two hours after everything was mended")
    missing = truth.missing()
    if missing:
        truth.fail(f"{len(missing)} check-ins never came, the first with number {missing[0][2]}")
    for device, epoch, seq in truth.missing_by_backup():
        if device not in stopped and not any(
            (of, at) == (device, epoch) and low <= seq <= high for of, at, low, high in gaps
        ):
            truth.fail(f"check-in {seq} was lost with the hub's disk, and no gap says so")
    _check_chains(site, checkins)


def _check_chains(site: SimSite, checkins: list[tuple[Any, ...]]) -> None:
    """The hub's rows of each spool are one chain, in order, each once; a gap or a quarantined entry lies between."""
    heads: dict[tuple[bytes, bytes], tuple[int, bytes]] = {}
    for device, epoch, seq, digest, sealed in checkins:
        before = heads.get((device, epoch), (0, bytes(32)))
        if seq <= before[0]:
            site.truth.fail(f"the hub has number {seq} after {before[0]}")
        elif sealed is not None and seq == before[0] + 1 and parse_checkin(sealed).checkin.prev != before[1]:
            site.truth.fail(f"the hub has merged a fork at number {seq}")
        heads[device, epoch] = seq, digest


def _check_nobody_kept(site: SimSite) -> None:
    over_ms = site.hub.clock.now_ms() - PERSONAL_H * 3_600_000 - _RETENTION_MS
    with site.hub_rows() as rows:
        kept = rows(
            "SELECT received_ms FROM checkin WHERE subject IS NOT NULL OR masked IS NOT NULL OR sealed IS NOT NULL"
        )
        evidence = rows("SELECT received_ms FROM quarantine WHERE data IS NOT NULL")
    known = sum(received_ms < over_ms for (received_ms,) in kept)
    if known:
        site.truth.fail(f"{known} people are still known to the hub after their time, though all is receipted")
    if any(received_ms < over_ms for (received_ms,) in evidence):
        site.truth.fail("an entry in quarantine outlived its time")


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """The process's own chance and log, which the product uses, belong to this history."""
    state, disabled = random.getstate(), logging.root.manager.disable
    random.seed(seed)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        random.setstate(state)
        logging.disable(disabled)
