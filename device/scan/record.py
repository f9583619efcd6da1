"""Decision -> Draft -> committed check-in. Stage 5 of the scan: the last thing before a green light."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from device.model import Draft, Refusal, ResolvedCode, Shown, StorageError
from protocol.checkin import Evidence
from protocol.codes import Claims, VerifiedCode
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Scheme, Verdict
from protocol.verdict import Decision, grey

Commit = Callable[[Draft, int | None], int]
"""Seals a draft and commits it to disk, and remembers its code as used until the given ms. Gives the sequence number.

Raises `StorageError` when it is not on disk, whatever the cause.
"""

CommitFailure = Callable[[Draft], int]
"""The same, out of the space that is kept in reserve for saying that there is no space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Where this gate stands."""

    place: str
    gate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of a decision: `seq` is None when nothing could be written, `stored` False when not as usual."""

    decision: Decision
    seq: int | None
    stored: bool = True


def before_light(decision: Decision) -> bool:
    """Whether it may be shown only once it is on disk: an admission, and whatever lights green for a moment."""
    return decision.verdict is Verdict.ADMIT or decision.colour in {Colour.GREEN, Colour.NOTICE}


def draft(
    shown: Shown,
    decision: Decision,
    *,
    lane: Lane,
    policy: GatePolicy,
    at_ms: int,
    clock_trusted: bool,
    status_version: int | None = None,
    temperature_cc: int | None = None,
) -> Draft:
    """The check-in as it will be sealed. A refused code leaves no subject: nobody vouches for it.

    Args:
        shown: what was shown.
        decision: what becomes of it.
        lane: where.
        policy: the policy in force, which says what may be kept.
        at_ms: wall clock.
        clock_trusted: whether it was to be believed.
        status_version: that of the status list which was asked; None when none was, or none is fresh.
        temperature_cc: as measured, if it was, within what a check-in can hold.
    """
    said = _said(shown)
    return Draft(
        at_ms=at_ms,
        clock=Clock.TRUSTED if clock_trusted else Clock.UNTRUSTED,
        place=lane.place,
        gate=lane.gate,
        direction=policy.direction,
        colour=decision.colour,
        verdict=decision.verdict,
        reason=decision.reason,
        code=shown.code_hash,
        scheme=Scheme.GATELIGHT if isinstance(shown, VerifiedCode) else shown.scheme,
        subject=said.subject if said else b"",
        masked=said.masked if said and policy.keep_masked else None,
        evidence=Evidence(
            issuer_kid=shown.issuer_kid,
            code_issued_s=said.issued_s if said else None,
            status_version=status_version,
            policy_version=policy.version,
            rule=said.rule if said else None,
        ),
        temperature_cc=temperature_cc,
    )


def _said(shown: Shown) -> Claims | ResolvedCode | None:
    """What somebody whom we believe says of the person."""
    if isinstance(shown, Refusal):
        return None
    return shown.claims if isinstance(shown, VerifiedCode) else shown


def record(record_of: Draft, *, until_ms: int | None, commit: Commit, commit_failure: CommitFailure) -> Recorded:
    """Commits the draft. When that fails, nobody is admitted, and what is shown instead is recorded from the reserve.

    What was lit before (see `before_light`) is recorded as it was lit: a record never says other than the light.
    """
    decision = Decision(colour=record_of.colour, verdict=record_of.verdict, reason=record_of.reason)
    try:
        return Recorded(decision=decision, seq=commit(record_of, until_ms))
    except StorageError:
        if before_light(decision):
            decision = grey(Reason.STORAGE_FAILED)
    state = replace(record_of, colour=decision.colour, verdict=decision.verdict, reason=decision.reason)
    try:
        return Recorded(decision=decision, seq=commit_failure(state), stored=False)
    except StorageError:
        return Recorded(decision=decision, seq=None, stored=False)
