"""A device, what it was told, and the time -> what became of it. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from hub.store.firmware_ports import Outcome, Rollout, Told
from hub.store.trust_ports import CommandState

TRIES_MOST: Final = 3
MINUTE_MS: Final = 60_000
_UNSUPPORTED: Final = "unsupported"
_AGAIN: Final = frozenset({"busy", "expired", "interrupted"})
"""A device's answers that say nothing about the release."""


class Why(StrEnum):
    """Reasons of the hub's own; beside them stand what devices say (`protocol.health.UpdateFailure`) and answer."""

    GONE = "gone"
    """It was told, and has not been heard since for longer than the patience."""
    SILENT = "silent"
    """It is there, runs what it ran, and has not said why."""
    WENT_BACK = "went_back"
    """It ran the release, and runs an older one now."""
    UNSUPPORTED = "unsupported"
    NO_ANSWER = "no_answer"
    """It is there, and answered no try: firmware from before updates refuses a command whose name it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A device that counts: neither revoked nor in quarantine, and at the rollout's place."""

    device_id: bytes
    ring: int
    release: int | None
    """What it runs; None: it was never heard, or its version is none of a release."""
    online: bool
    heard_ms: int | None
    failed: int | None = None
    """The release that it says has failed."""
    failure: str = ""


def is_due(unit: Unit, told: Told | None, release: int) -> bool:
    """Whether it has still to be told: it runs an older release, and nothing is under way or over."""
    if unit.release is None or unit.release >= release:
        return False
    return told is None or (told.outcome is Outcome.TOLD and is_void(told, online=unit.online))


def is_under_way(unit: Unit, told: Told | None) -> bool:
    """Whether it may be about to fetch, try or answer."""
    return told is not None and told.outcome is Outcome.TOLD and not is_void(told, online=unit.online)


def is_missing(unit: Unit, told: Told | None, *, soak_min: int) -> bool:
    """It runs the release, and was not heard for long after it began to: nobody knows yet whether it is well."""
    if told is None or told.outcome is not Outcome.UPDATED or unit.online:
        return False
    return (unit.heard_ms or 0) - told.outcome_ms < soak_min * MINUTE_MS


def is_void(told: Told, *, online: bool) -> bool:
    """The command has come to nothing, and that says nothing about the release: it may be given again."""
    match told.command:
        case None:
            return True  # The hub ended between the two.
        case CommandState.EXPIRED:
            return not told.sent or (online and told.tries < TRIES_MOST)
        case CommandState.FAILED:
            return told.answer in _AGAIN and told.tries < TRIES_MOST
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What became of one device."""

    rollout: Rollout
    listening_ms: int | None
    now_ms: int

    def outcome(self, unit: Unit, told: Told) -> Told:
        """The same, or with another outcome.

        1. It runs the release, or a newer one: also one that was given up. But one that went silent within the soak
           time after it may have died of it.
        2. What has failed, or cannot, stays so.
        3. It says that the release failed there. What it said before it was told may be the last try's: that counts
           only after the patience.
        4. It ran the release and went back without a word.
        5. It refused the command, or does not know it.
        6. It is gone, or says nothing.
        """
        release = self.rollout.release
        # 1.
        if unit.release is not None and unit.release >= release:
            if is_missing(unit, told, soak_min=self.rollout.soak_min):
                is_gone = self._waited(unit.heard_ms, told.outcome_ms)
                return self._as(told, Outcome.FAILED, Why.GONE) if is_gone else told
            return told if told.outcome is Outcome.FAILED and not unit.online else self._as(told, Outcome.UPDATED)
        # 2.
        if told.outcome in {Outcome.FAILED, Outcome.UNABLE}:
            return told
        # 3.
        if unit.failed == release and (not told.was_failing or self._waited(told.told_ms)):
            return self._as(told, Outcome.FAILED, unit.failure)
        # 4.
        if told.outcome is Outcome.UPDATED:
            went_back = unit.online and self._waited(told.outcome_ms)
            return self._as(told, Outcome.FAILED, Why.WENT_BACK) if went_back else told
        # 5.
        if is_void(told, online=unit.online) or told.command is CommandState.QUEUED:
            return told
        if told.command is CommandState.FAILED:
            if told.answer == _UNSUPPORTED:
                return self._as(told, Outcome.UNABLE, Why.UNSUPPORTED)
            return self._as(told, Outcome.FAILED, told.answer or "refused")
        # 6.
        if not unit.online:
            return self._as(told, Outcome.FAILED, Why.GONE) if self._waited(unit.heard_ms, told.told_ms) else told
        if told.command is CommandState.EXPIRED:
            return self._as(told, Outcome.UNABLE, Why.NO_ANSWER)
        if told.command is CommandState.DONE and self._waited(told.told_ms):
            return self._as(told, Outcome.FAILED, Why.SILENT)
        return told

    def _waited(self, *since_ms: int | None) -> bool:
        """Longer than the patience since the last of these, all of which time devices were heard."""
        if self.listening_ms is None:
            return False
        last_ms = max(self.listening_ms, *(each or 0 for each in since_ms))
        return self.now_ms - last_ms > self.rollout.patience_min * MINUTE_MS

    def _as(self, told: Told, outcome: Outcome, reason: str = "") -> Told:
        if told.outcome is outcome:
            return told
        return replace(told, outcome=outcome, reason=reason, outcome_ms=self.now_ms)
