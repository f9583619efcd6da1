"""One round: people pass, something breaks and heals, everything drains, and the proof is made."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

from deploy.sandbox.faults import backups, certificates, clocks, disks, links, processes, wiped
from deploy.sandbox.faults.arena import POLL_S, Arena, NotEffectiveError
from deploy.sandbox.faults.people import Meetings, Stream, lit
from deploy.sandbox.faults.plan import Blow, Kind
from deploy.sandbox.proof import PlatformReading
from deploy.sandbox.readings import ReadingError, read_platform
from protocol.terms import Colour, Verdict

SETTLE_S = 120.0
BACKUP_EVERY = 4

Strike = Callable[[Arena, Blow], Awaitable[str]]

STRIKES: dict[Kind, Strike] = {
    Kind.KILL: processes.kill,
    Kind.KILL_TWO: processes.kill,
    Kind.STALL: processes.stall,
    Kind.FULL_DISK: disks.full,
    Kind.POWER_CUT: disks.power_cut,
    Kind.CUT_LINK: links.cut,
    Kind.POOR_LINK: links.poor,
    Kind.BROKER_WIPED: wiped.wipe,
    Kind.CERTIFICATE: certificates.end,
    Kind.RESTORE: backups.restore,
    Kind.CLOCK_JUMP: clocks.jump,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of one round.

    Attributes:
        effect: the fault's own proof that it took.
        waiting: check-ins without the platform's receipt at the moment of healing.
        recovery_s: from healing until the platform had signed for those; None when none were waiting.
        written_off: check-ins that a restored hub lost by design in this round, each within a gap that it noted.
        died: parts that ended by themselves, and how often.
        failures: sentences; with one of them the round has failed.
    """

    seed: int
    kind: str
    blow: str
    effect: str
    people: int
    greens: int
    greys: int
    checkins: int
    waiting: int
    recovery_s: float | None
    lost: int
    doubled: int
    wrongly_red: int
    written_off: int
    died: dict[str, int]
    took_s: float
    failures: tuple[str, ...]

    @classmethod
    def broken(cls, blow: Blow, why: str) -> Self:
        """A round that could not be judged."""
        return cls(
            seed=blow.seed,
            kind=blow.kind,
            blow=str(blow),
            effect="",
            people=0,
            greens=0,
            greys=0,
            checkins=0,
            waiting=0,
            recovery_s=None,
            lost=0,
            doubled=0,
            wrongly_red=0,
            written_off=0,
            died={},
            took_s=0.0,
            failures=(why,),
        )

    @property
    def holds(self) -> bool:
        """Whether everything was as it must be."""
        return not self.failures

    def as_json(self) -> dict[str, Any]:
        """One line of results."""
        return asdict(self)

    @property
    def line(self) -> str:
        """For people."""
        recovery = (
            "nothing waited" if self.recovery_s is None else f"{self.waiting} there {self.recovery_s:.1f} s later"
        )
        off = f", {self.written_off} lost by design" if self.written_off else ""
        verdict = "ok " if self.holds else "BAD"
        return (
            f"{verdict} {self.seed:>5}  {self.blow}; {self.effect}. {self.people} people, {self.checkins} check-ins,"
            f" {recovery}{off}; lost {self.lost}, doubled {self.doubled}, wrongly red {self.wrongly_red}"
            f" ({self.took_s:.1f} s)" + "".join(f"\n      ✗ {failure}" for failure in self.failures)
        )


async def play(arena: Arena, blow: Blow, *, tamper: Callable[[Arena], None] | None = None) -> Round:
    """Plays one round, and judges it on its own.

    Args:
        arena: everything in it has settled.
        blow: what happens.
        tamper: done before the proof is made, to see whether that notices.

    Raises:
        ReadingError: a party cannot be asked at the end.
    """
    began_s = time.monotonic()
    site, failures = arena.site, list[str]()
    deaths = {process.name: process.deaths for process in site.processes}
    sealed = sum(arena.spool(gate).seq for gate in site.gates)
    off_before = sum(map(len, arena.written_off.values()))
    if arena.rounds % BACKUP_EVERY == 0 or arena.backup is None:
        backups.back_up(arena)
    arena.rounds += 1
    meetings = Meetings()
    stream = Stream(site, seed=blow.seed, meetings=meetings)
    stream.start()
    recovering: asyncio.Task[tuple[int, float | None]] | None = None
    try:
        await asyncio.sleep(blow.after_s)
        try:
            effect = await STRIKES[blow.kind](arena, blow)
        except NotEffectiveError as error:
            effect = "no effect"
            failures.append(f"the fault took no effect: {error}")
        recovering = asyncio.create_task(_recovered(arena))
        await stream.end()
        settled = await arena.wait_settled(timeout_s=SETTLE_S)
        waiting, recovery_s = await recovering
    finally:
        stream.cancel()
        if recovering is not None:
            recovering.cancel()
    if not settled:
        failures.append(f"not settled within {SETTLE_S:.0f} s")
    if tamper is not None:
        tamper(arena)
    off = await backups.write_off(arena) - off_before
    proof = await site.proof(written_off=arena.written_off, sent_again=arena.sent_again)
    failures += proof.problems
    if proof.doubled:
        failures.append(f"{proof.doubled} check-ins are there twice")
    failures += meetings.wrongly_red
    failures += _lights(arena, await read_platform(site.session, site.layout.pages_url))
    return Round(
        seed=blow.seed,
        kind=blow.kind,
        blow=str(blow),
        effect=effect,
        people=meetings.people,
        greens=meetings.greens,
        greys=meetings.greys,
        checkins=proof.sealed - sealed,
        waiting=waiting,
        recovery_s=recovery_s,
        lost=proof.lost,
        doubled=proof.doubled,
        wrongly_red=len(meetings.wrongly_red),
        written_off=off,
        died={
            process.name: process.deaths - deaths[process.name]
            for process in site.processes
            if process.deaths > deaths[process.name]
        },
        took_s=round(time.monotonic() - began_s, 1),
        failures=tuple(failures),
    )


async def _recovered(arena: Arena) -> tuple[int, float | None]:
    """(check-ins without receipt at this moment, seconds until the platform had them); None: there were none."""
    began_s = time.monotonic()
    due = {
        gate.plan.device_id.hex(): max((scan.seq or 0 for scan in gate.scans), default=0) for gate in arena.site.gates
    }
    waiting: int | None = None
    while time.monotonic() - began_s < SETTLE_S:
        try:
            chains = (await arena.summary())["chains"]
        except ReadingError:
            await asyncio.sleep(POLL_S)
            continue
        newest = {chain["device"]: chain["max_seq"] for chain in chains}
        missing = sum(max(0, seq - newest.get(device, 0)) for device, seq in due.items())
        waiting = missing if waiting is None else waiting
        if not missing:
            return waiting, round(time.monotonic() - began_s, 2) if waiting else None
        await asyncio.sleep(POLL_S)
    return waiting or 0, None


def _lights(arena: Arena, platform: PlatformReading) -> list[str]:
    """Lights and relays, by the parts' own word: never more often than there are records."""
    found = []
    for gate in arena.site.gates:
        device = gate.plan.device_id.hex()
        rows = [row for (owner, _), held in platform.rows.items() if owner == device for row in held]
        off = len(arena.written_off.get(device, ()))
        seen = lit(arena.site.layout.lights(gate.plan.gate))
        red = sum(row.colour == Colour.RED.wire_name for row in rows)
        admitted = sum(row.verdict == Verdict.ADMIT.wire_name for row in rows)
        if seen.red > red + off:
            found.append(f"{gate.plan.gate}: the light turned red {seen.red} times, {red} check-ins are red")
        if seen.opened > admitted + off:
            found.append(f"{gate.plan.gate}: the gate opened {seen.opened} times, {admitted} check-ins are admitted")
    return found
