"""What was shown -> what becomes of it, with everything that this takes to know. Stage 4 of the scan, gathered.

`decide` is the table; here stands what is asked before it: the status list, the memory of this gate and of the place,
and, only for somebody who lacks nothing else, the thermometer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from device.model import Draft, ListEntry, Refusal, ResolvedCode, Shown
from device.scan.decide import decide, is_live, used_until_ms
from device.scan.memory import Memory
from device.scan.record import Lane, draft
from protocol.codes import StatusRef, VerifiedCode
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.terms import Scheme, Verdict
from protocol.verdict import Decision, Rules, plausible


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What one answer is judged by, read once, so that all stages judge by the same."""

    at_ms: int
    mono_ns: int
    clock_trusted: bool
    policy: GatePolicy
    rules: Rules

    @property
    def mono_ms(self) -> int:
        """The monotonic clock in ms."""
        return self.mono_ns // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A decision with its check-in. `until_ms`: how long the code counts as used; None unless it is admitted."""

    decision: Decision
    checkin: Draft
    until_ms: int | None


class LookUp(Protocol):
    """What status lists say."""

    def __call__(self, ref: StatusRef, issuer_kid: bytes, /, *, now_s: int, stale_s: int) -> ListEntry | None:
        """The entry of a code that was signed by this key of its issuer; None without a list that is fresh then."""


class Judge:
    """Judges one code after the other. The arguments are those of `ScanLoop`."""

    def __init__(
        self,
        *,
        look_up: LookUp,
        memory: Memory,
        used_elsewhere: Callable[[bytes], bool],
        announce_used: Callable[[bytes, int], None],
        temperature: Callable[[], int | None],
        lane: Lane,
    ) -> None:
        self._look_up = look_up
        self._memory = memory
        self._used_elsewhere = used_elsewhere
        self._announce_used = announce_used
        self._temperature = temperature
        self._lane = lane

    def judge(self, shown: Shown, moment: Moment) -> Judged:
        """What becomes of the code. Nothing is remembered yet: see `remember`."""
        entry = self._entry(shown, moment)
        used = self._was_used(shown, moment)
        decision, temperature_cc = self._decide(shown, moment, entry=entry, used=used), None
        if decision.reason is Reason.THERMOMETER_FAILED:
            # Nothing else is in the way, so now it is worth taking.
            temperature_cc = plausible(self._temperature())
            decision = self._decide(shown, moment, entry=entry, used=used, temperature_cc=temperature_cc)
        until_ms = None
        if decision.verdict is Verdict.ADMIT and not isinstance(shown, Refusal):
            until_ms = used_until_ms(shown, rules=moment.rules, now_ms=moment.at_ms)
        checkin = draft(
            shown,
            decision,
            lane=self._lane,
            policy=moment.policy,
            at_ms=moment.at_ms,
            clock_trusted=moment.clock_trusted,
            status_version=entry.version if entry is not None else None,
            temperature_cc=temperature_cc,
        )
        return Judged(decision=decision, checkin=checkin, until_ms=until_ms)

    def remember(self, judged: Judged, moment: Moment) -> None:
        """The code was admitted, and is on disk."""
        if judged.until_ms is not None:
            self._memory.admitted(
                judged.checkin.code, until_ms=judged.until_ms, now_ms=moment.at_ms, mono_ms=moment.mono_ms
            )

    def announce(self, judged: Judged) -> None:
        """It was admitted: tell the other gates of the place. To them the keyed hash of a foreign code says nothing."""
        if judged.until_ms is not None and judged.checkin.scheme is Scheme.GATELIGHT:
            self._announce_used(judged.checkin.code, judged.until_ms)

    def _decide(
        self,
        shown: Shown,
        moment: Moment,
        *,
        entry: ListEntry | None,
        used: bool,
        temperature_cc: int | None = None,
    ) -> Decision:
        return decide(
            shown,
            rules=moment.rules,
            clock_trusted=moment.clock_trusted,
            now_ms=moment.at_ms,
            entry=entry,
            used=used,
            temperature_cc=temperature_cc,
        )

    def _entry(self, shown: Shown, moment: Moment) -> ListEntry | None:
        """What its list says. Without a clock to believe nothing is fresh."""
        if not isinstance(shown, VerifiedCode) or shown.claims.status is None or not moment.clock_trusted:
            return None
        return self._look_up(
            shown.claims.status, shown.issuer_kid, now_s=moment.at_ms // 1000, stale_s=moment.policy.stale_s
        )

    def _was_used(self, shown: VerifiedCode | ResolvedCode | Refusal, moment: Moment) -> bool:
        if isinstance(shown, Refusal):
            return False
        here = self._memory.was_used(shown.code_hash, now_ms=moment.at_ms, mono_ms=moment.mono_ms, live=is_live(shown))
        return here or (isinstance(shown, VerifiedCode) and self._used_elsewhere(shown.code_hash))
