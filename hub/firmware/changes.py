"""The changes an operator makes to firmware's way: check, then one audited transaction on the store.

The running hub sees them in the database at its next look, whichever process made them.
"""

from dataclasses import replace
from typing import Final, Protocol

from hub.firmware.bundles import MirrorError
from hub.firmware.mirror import Contents
from hub.firmware.rollout import FAILURES
from hub.model import AuditEntry, Place
from hub.registry.changes import Operator
from hub.registry.checks import REASON_CHARS, RegistryError, checked_device_id, checked_id, checked_line
from hub.store.errors import RegistryConflictError
from hub.store.firmware_ports import RINGS, FirmwareStore, Outcome, Rollout, RolloutState
from protocol.errors import MalformedError
from protocol.release import release_of, version_of

SOAK_MIN: Final = 30
SOAK_MIN_MOST: Final = 7 * 24 * 60
FAILURES_MAX: Final = 0
FAILURES_MOST: Final = 10_000
PATIENCE_MIN: Final = 40
"""A slow line fetches 60 MB in half an hour, the trial takes three minutes."""
PATIENCE_MIN_LEAST: Final = 5
PATIENCE_MIN_MOST: Final = 24 * 60
_OPEN: Final = frozenset({RolloutState.RUNNING, RolloutState.HALTED})


class ChangeStore(FirmwareStore, Protocol):
    """The part of the store that is used here."""

    async def places(self) -> tuple[Place, ...]:
        """All places."""


async def set_ring(store: FirmwareStore, *, operator: Operator, device_id: str, ring: int) -> None:
    """Put a device into a ring.

    Raises:
        RegistryError: there is no such ring.
        RegistryConflictError: the device is not registered.
    """
    _checked(ring, "ring", least=0, most=RINGS - 1)
    device = checked_device_id(device_id)
    await store.set_ring(device, ring=ring, audit=operator.entry("firmware.ring", f"{device_id}: ring {ring}"))


async def stage(
    store: ChangeStore,
    *,
    operator: Operator,
    contents: Contents | None,
    version: str,
    soak_min: int = SOAK_MIN,
    failures_max: int = FAILURES_MAX,
    patience_min: int = PATIENCE_MIN,
    place_id: str = "",
) -> Rollout:
    """Send a release on its way, ring by ring.

    Args:
        store: where.
        operator: who.
        contents: what is in the mirror.
        version: of the release.
        soak_min: how long each ring is watched before the next has its turn.
        failures_max: how many devices may fail before it halts.
        patience_min: how long a device that was told may be silent.
        place_id: only at this place; empty: everywhere.

    Raises:
        RegistryError: a value cannot be accepted, or the mirror does not have the release, or has ended.
        RegistryConflictError: another rollout runs or is halted.
    """
    try:
        release = release_of(version)
    except MalformedError as error:
        raise RegistryError(str(error)) from error
    if contents is None:
        raise MirrorError("the mirror is empty: `gatelight-hub firmware import` fills it")
    if not contents.of(release):
        raise RegistryError(f"the mirror has no bundle of {version}")
    if contents.expires_ms <= operator.now_ms:
        raise MirrorError("the mirror's metadata have ended, and devices refuse them: import it anew")
    _checked(soak_min, "soak, minutes", least=0, most=SOAK_MIN_MOST)
    _checked(failures_max, "failures", least=0, most=FAILURES_MOST)
    _checked(patience_min, "patience, minutes", least=PATIENCE_MIN_LEAST, most=PATIENCE_MIN_MOST)
    if place_id and checked_id(place_id, what="place id") not in {place.place_id for place in await store.places()}:
        raise RegistryError(f"place {place_id} is not registered")
    rollout = Rollout(
        release=release,
        place_id=place_id,
        soak_min=soak_min,
        failures_max=failures_max,
        patience_min=patience_min,
        who=operator.who,
        made_ms=operator.now_ms,
        moved_ms=operator.now_ms,
    )
    where = place_id or "every place"
    what = f"{version} at {where}: soak {soak_min} min, {failures_max} may fail, patience {patience_min} min"
    number = await store.add_rollout(rollout, audit=operator.entry("firmware.stage", what))
    return replace(rollout, rollout_id=number)


async def halt(store: FirmwareStore, *, operator: Operator, reason: str = "", expected: int | None = None) -> Rollout:
    """Nobody further is told, until it is resumed. Who was told goes on.

    Raises:
        RegistryConflictError: nothing runs, or something else than was expected.
    """
    rollout = await _newest(store, {RolloutState.RUNNING, RolloutState.DONE}, "halted", expected)
    reason = checked_line(reason, what="reason", limit_chars=REASON_CHARS)
    halted = replace(rollout, state=RolloutState.HALTED, reason=reason, soak_from_ms=None, moved_ms=operator.now_ms)
    entry = _entry(operator, "firmware.halt", rollout, reason)
    return await _move(store, entry, halted, expected=rollout.state)


async def resume(
    store: FirmwareStore,
    *,
    operator: Operator,
    retry: bool = False,
    failures_max: int | None = None,
    expected: int | None = None,
) -> Rollout:
    """Let a halted one go on.

    Args:
        store: where.
        operator: who.
        retry: devices that failed, or did not know how, are told once more.
        failures_max: how many may fail from now on; None: as before.
        expected: the rollout that was seen.

    Raises:
        RegistryError: it would halt again at once.
        RegistryConflictError: nothing is halted, or something else than was expected.
    """
    rollout = await _newest(store, {RolloutState.HALTED}, "resumed", expected)
    most = _checked(
        rollout.failures_max if failures_max is None else failures_max, "failures", least=0, most=FAILURES_MOST
    )
    told = await store.told_devices(rollout.rollout_id)
    failed = sum(each.outcome is Outcome.FAILED for each in told)
    if failed > most and not retry and rollout.reason == FAILURES:
        raise RegistryError(f"{failed} failed, and {most} may: have them told once more, or let more fail")
    resumed = replace(
        rollout, state=RolloutState.RUNNING, reason="", failures_max=most, soak_from_ms=None, moved_ms=operator.now_ms
    )
    gone = frozenset({Outcome.FAILED, Outcome.UNABLE}) if retry else frozenset[Outcome]()
    what = f"{most} may fail{', those that failed are told once more' if retry else ''}"
    entry = _entry(operator, "firmware.resume", rollout, what)
    return await _move(store, entry, resumed, expected=rollout.state, forget=gone)


async def cancel(store: FirmwareStore, *, operator: Operator, expected: int | None = None) -> Rollout:
    """End it for good: nobody further is told, also nobody who comes later. Nobody goes back.

    Raises:
        RegistryConflictError: there is none, or another one than was expected.
    """
    rollout = await _newest(store, {*_OPEN, RolloutState.DONE}, "cancelled", expected)
    cancelled = replace(rollout, state=RolloutState.CANCELLED, soak_from_ms=None, moved_ms=operator.now_ms)
    entry = _entry(operator, "firmware.cancel", rollout, "")
    return await _move(store, entry, cancelled, expected=rollout.state)


async def _newest(store: FirmwareStore, states: set[RolloutState], what: str, expected: int | None) -> Rollout:
    rollout = await store.newest_rollout()
    if rollout is None or rollout.state not in states:
        raise RegistryConflictError(f"there is no rollout that can be {what}")
    if expected is not None and rollout.rollout_id != expected:
        raise RegistryConflictError(f"rollout {expected} is not the newest any more: that is {rollout.rollout_id}")
    return rollout


async def _move(
    store: FirmwareStore,
    entry: AuditEntry,
    after: Rollout,
    *,
    expected: RolloutState,
    forget: frozenset[Outcome] = frozenset(),
) -> Rollout:
    if not await store.move_rollout(after, expected=expected, forget=forget, audit=[entry]):
        raise RegistryConflictError("somebody else has moved the rollout meanwhile: look again")
    return after


def _entry(operator: Operator, action: str, rollout: Rollout, what: str) -> AuditEntry:
    detail = f"rollout {rollout.rollout_id}, {version_of(rollout.release)}"
    return operator.entry(action, f"{detail}: {what}" if what else detail)


def _checked(number: int, what: str, *, least: int, most: int) -> int:
    if not least <= number <= most:
        raise RegistryError(f"{what}: from {least} to {most}")
    return number
