"""What was shown -> Decision. Stage 4 of the scan. Pure: clock, lists, memory and policy are arguments.

The table stands in `protocol/verdict.py`, where the hub reads it too; here is found out what it asks for. Line 8
stands before 9 because nothing is worse than red: a list could not change it. Of a card's colour only the list speaks.
Lines 4 to 7 and 9 are for signed codes. What was looked up online was answered just now to our own question, so it
needs neither clock nor list.

Line 5 is for cards too. Whether their list is fresh is a matter of time; a gate that cannot tell the time does not
know that it is stale, and what the attendant has to set right is the clock.

A green that is held (line 16) says `ok`, for nothing is wrong with the code: an attendant decides about everybody
there, and `indicate` shows it as something else than a green that opens. A temperature is only asked for where line
15 or 16 would come next, so `decide` without one tells the caller whether it must be taken.
"""

from device.model import ListEntry, Refusal, ResolvedCode, Shown
from protocol.codes import Claims, VerifiedCode
from protocol.limits import LIVE_CODE_S
from protocol.reasons import Reason
from protocol.terms import SEVERITY, Colour, Kind
from protocol.verdict import Decision, Facts, Rules, decision_on

LEEWAY_MAX_S = 300
"""What a policy allows at most. A used code is remembered for this long, so that a policy which comes later and
allows more does not make it pass again."""


def decide(
    shown: Shown,
    *,
    rules: Rules,
    clock_trusted: bool,
    now_ms: int,
    entry: ListEntry | None = None,
    used: bool = False,
    temperature_cc: int | None = None,
) -> Decision:
    """The decision on one code.

    Args:
        shown: the code.
        rules: see `protocol.verdict.rules_of`.
        clock_trusted: whether `now_ms` is to be believed.
        now_ms: wall clock.
        entry: what the code's status list says; None when it names none, or there is no fresh one.
        used: it was admitted a moment ago, here or at another gate of the place.
        temperature_cc: the person's, in 0.01 °C; None when it was not taken, or could not be.
    """
    if isinstance(shown, Refusal):
        return decision_on(Facts(refused=shown.reason), rules)
    facts = Facts(
        refused=_unfit(shown, rules=rules, clock_trusted=clock_trusted, now_s=now_ms // 1000),
        colour=_colour(shown, entry),
        used=used,
        temperature_cc=temperature_cc,
    )
    return decision_on(facts, rules)


def is_live(shown: Shown) -> bool:
    """Whether it is a code for one showing, made a moment ago and soon over; cards and numbers are shown again."""
    return isinstance(shown, VerifiedCode) and shown.claims.kind is not Kind.CARD


def used_until_ms(code: VerifiedCode | ResolvedCode, *, rules: Rules, now_ms: int) -> int:
    """Until when an admitted code counts as used: a live code until it is surely over, another for `reuse_s`."""
    if isinstance(code, ResolvedCode) or not is_live(code):
        return now_ms + rules.reuse_s * 1000
    # The second in which it ends is still its own.
    return (code.claims.expires_s + LEEWAY_MAX_S + 1) * 1000


def longest_use_ms(rules: Rules) -> int:
    """The longest that `used_until_ms` can lie ahead."""
    return (max(rules.reuse_s, LEEWAY_MAX_S + LIVE_CODE_S + LEEWAY_MAX_S) + 1) * 1000


def _unfit(shown: VerifiedCode | ResolvedCode, *, rules: Rules, clock_trusted: bool, now_s: int) -> Reason | None:
    if isinstance(shown, ResolvedCode):
        return None
    claims: Claims = shown.claims
    if claims.kind is Kind.SPECIMEN:
        return Reason.SPECIMEN
    if not clock_trusted:
        return Reason.CLOCK_UNTRUSTED
    if now_s + rules.leeway_s < claims.issued_s:
        return Reason.NOT_YET_VALID
    if now_s - rules.leeway_s > claims.expires_s:
        return Reason.EXPIRED
    return None


def _colour(shown: VerifiedCode | ResolvedCode, entry: ListEntry | None) -> Colour | None:
    """The worse of the code's colour and its list entry; None when the list could still say worse and is not known.

    Of a card the list alone counts: its own colour may be a year old, and nobody can print it a new one.
    """
    if isinstance(shown, ResolvedCode):
        return shown.colour
    claims = shown.claims
    if claims.kind is Kind.CARD:
        return None if entry is None else entry.colour
    known = [colour for colour in (claims.colour, entry.colour if entry else None) if colour is not None]
    worst = max(known, key=SEVERITY.__getitem__, default=None)
    if worst is not Colour.RED and claims.status is not None and entry is None:
        return None
    return worst
