"""A rollout, the fleet, and the time -> what to do next. Pure: the loop around it reads, writes and tells.

The hub does not decide whether a release may run: a device believes the publisher's signatures, tries it, and goes back
by itself. The hub decides who is next, and stops when too many have failed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hub.firmware.outcome import MINUTE_MS, Judge, Unit, is_due, is_missing, is_under_way
from hub.store.firmware_ports import RINGS, Outcome, Rollout, RolloutState, Told

AT_ONCE: Final = 16
"""Devices that fetch a release at the same time: 60 MB each, over the line that check-ins take too."""
FAILURES: Final = "failures"
"""The reason of a rollout that halted by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """A device to be told now."""

    device_id: bytes
    tries: int
    was_failing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to write down, then whom to tell. `happened` is for the audit log: (action, detail)."""

    rollout: Rollout
    marks: tuple[Told, ...] = ()
    tell: tuple[Tell, ...] = ()
    happened: tuple[tuple[str, str], ...] = ()


def next_step(
    rollout: Rollout,
    units: Iterable[Unit],
    told: Iterable[Told],
    *,
    listening_ms: int | None,
    fetchable: bool,
    now_ms: int,
) -> Step:
    """One look at a rollout.

    1. A cancelled one is over.
    2. What became of those who were told.
    3. Too many failures halt it, also when it was done.
    4. While it is halted, nothing further.
    5. The ring's turn is over when nobody in it is under way, one of it runs the release, and that for the soak time.
    6. Whoever is there, runs an older release and is in this ring or an earlier one is told.

    Args:
        rollout: as it is stored.
        units: the devices that count.
        told: who was told in this rollout.
        listening_ms: since when devices are heard without a break; None: they are not.
        fetchable: the mirror has the release, and its metadata have not ended.
        now_ms: the hub's clock.
    """
    # 1.
    if rollout.state is RolloutState.CANCELLED:
        return Step(rollout=rollout)
    fleet = {unit.device_id: unit for unit in units}
    # 2.
    known = {each.device_id: each for each in told if each.device_id in fleet}
    judge = Judge(rollout=rollout, listening_ms=listening_ms, now_ms=now_ms)
    after = {device: judge.outcome(fleet[device], each) for device, each in known.items()}
    marks = tuple(each for device, each in sorted(after.items()) if each.outcome is not known[device].outcome)
    newly = [each for each in marks if each.outcome is Outcome.FAILED]
    happened = [
        ("firmware.failed", f"{each.device_id.hex()}: release {rollout.release}: {each.reason}") for each in newly
    ]
    # 3.
    failed = sum(each.outcome is Outcome.FAILED for each in after.values())
    if rollout.state is not RolloutState.HALTED and failed > rollout.failures_max:
        halted = replace(rollout, state=RolloutState.HALTED, reason=FAILURES, soak_from_ms=None, moved_ms=now_ms)
        what = f"rollout {rollout.rollout_id}: {failed} failed, {rollout.failures_max} may"
        return Step(rollout=halted, marks=marks, happened=(*happened, ("firmware.halt", what)))
    # 4.
    if rollout.state is RolloutState.HALTED:
        return Step(rollout=rollout, marks=marks, happened=tuple(happened))
    # 5.
    field = _Field(rollout=rollout, units=fleet, told=after)
    moved = _turn(replace(rollout, soak_from_ms=None) if newly else rollout, field, now_ms=now_ms)
    if moved.ring != rollout.ring:
        happened.append(("firmware.ring_passed", f"rollout {rollout.rollout_id}: {_reached(moved)}"))
    # 6.
    tell = field.next(moved.ring) if fetchable and listening_ms is not None else ()
    return Step(rollout=moved, marks=marks, tell=tell, happened=tuple(happened))


def _turn(rollout: Rollout, field: "_Field", *, now_ms: int) -> Rollout:
    """The rollout with the ring whose turn it is."""
    while rollout.ring < RINGS:
        if field.is_untouched(rollout.ring):
            rollout = replace(rollout, ring=rollout.ring + 1, soak_from_ms=None)
            continue
        if not field.is_settled(rollout.ring):
            return rollout
        # A clock that was set back does not make the soak longer than it is.
        from_ms = now_ms if rollout.soak_from_ms is None else min(rollout.soak_from_ms, now_ms)
        if now_ms - from_ms < rollout.soak_min * MINUTE_MS:
            return replace(rollout, soak_from_ms=from_ms)
        rollout = replace(rollout, ring=rollout.ring + 1, soak_from_ms=None)
    if rollout.state is RolloutState.RUNNING:
        return replace(rollout, state=RolloutState.DONE, moved_ms=now_ms)
    return rollout


def _reached(rollout: Rollout) -> str:
    return "every ring had its turn" if rollout.ring >= RINGS else f"ring {rollout.ring}'s turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """Everybody, and what became of those who were told."""

    rollout: Rollout
    units: Mapping[bytes, Unit]
    told: Mapping[bytes, Told]

    def is_untouched(self, ring: int) -> bool:
        """Nobody in it needs the release, or had to be told: it has no turn."""
        return not any(
            unit.device_id in self.told or self._is_due(unit) for unit in self.units.values() if unit.ring == ring
        )

    def is_settled(self, ring: int) -> bool:
        """Nobody who can be reached is under way up to it, somebody in it runs the release, and nobody is missing.

        Where nobody can be reached it waits: else a ring of canaries that are switched off would protect nobody.
        """
        soak_min = self.rollout.soak_min
        upto = [unit for unit in self.units.values() if unit.ring <= ring]
        if any(self._is_under_way(unit) or (unit.online and self._is_due(unit)) for unit in upto):
            return False
        own = [unit for unit in upto if unit.ring == ring]
        if any(is_missing(unit, self.told.get(unit.device_id), soak_min=soak_min) for unit in own):
            return False
        runs = any(unit.release is not None and unit.release >= self.rollout.release for unit in own)
        # What cannot be updated in this way, or has failed as it may, keeps nobody waiting.
        return runs or not any(self._is_due(unit) for unit in own)

    def next(self, ring: int) -> tuple[Tell, ...]:
        """Whom to tell: first rings first, as many as may be under way at once."""
        room = AT_ONCE - sum(self._is_under_way(unit) for unit in self.units.values())
        due = [unit for unit in self.units.values() if unit.ring <= ring and unit.online and self._is_due(unit)]
        due.sort(key=lambda unit: (unit.ring, unit.device_id))
        return tuple(self._tell(unit) for unit in due[: max(0, room)])

    def _tell(self, unit: Unit) -> Tell:
        before = self.told.get(unit.device_id)
        return Tell(
            device_id=unit.device_id,
            tries=1 + (before.tries if before else 0),
            was_failing=unit.failed == self.rollout.release,
        )

    def _is_due(self, unit: Unit) -> bool:
        return is_due(unit, self.told.get(unit.device_id), self.rollout.release)

    def _is_under_way(self, unit: Unit) -> bool:
        return is_under_way(unit, self.told.get(unit.device_id))
