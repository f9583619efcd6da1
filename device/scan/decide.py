"""What was shown -> Decision. Stage 4 of the scan. Pure: clock, lists, memory and policy are arguments.

The first line that fits decides. "Us" before "the code" before "the person": a gate that is out of service says
so to everybody, and nobody is shown red for a fault of ours.

===  ==========================================================  ========  ============  =======================
 #   when                                                        colour    verdict       reason
===  ==========================================================  ========  ============  =======================
 1   policy or operator took the gate out of service             grey      hold          gate_disabled
 2   the place is closed                                         grey      hold          place_closed
 3   the code was refused (verify, or an online look-up)         grey      hold          the refusal's own
 4   a specimen                                                  grey      hold          specimen
 5   the clock is not to be believed                             grey      hold          clock_untrusted
 6   issued after now + leeway                                   grey      hold          not_yet_valid
 7   expired before now - leeway                                 grey      hold          expired
 8   colour or list entry says red                               red       refuse        colour_red
 9   it names a status list that we do not have fresh            grey      hold          status_stale
 10  the worse of colour and list entry is yellow                yellow    hold, refuse  colour_yellow
 11  ... is notice, which policy holds                           notice    hold          notice
 12  this code was admitted a moment ago, here or at the place   grey      hold          already_used
 13  policy asks for a temperature, and there is none            grey      hold          thermometer_failed
 14  ... and it is not below the threshold                       yellow    hold          temperature_high
 15  notice, which policy admits                                 notice    admit         notice
 16  otherwise                                                   green     admit, hold   ok
===  ==========================================================  ========  ============  =======================

Where two verdicts stand, the policy says which; red is refused whatever it says. Line 8 stands before 9 because
nothing is worse than red: a list could not change it. Of a card's colour only the list speaks. Lines 4 to 7 and 9 are
for signed codes. What was looked up online was answered just now to our own question, so it needs neither clock nor
list.

Line 5 is for cards too. Whether their list is fresh is a matter of time; a gate that cannot tell the time does not
know that it is stale, and what the attendant has to set right is the clock.

A green that is held (line 16) says `ok`, for nothing is wrong with the code: an attendant decides about everybody
there, and `indicate` shows it as something else than a green that opens. A temperature is only asked for where line
15 or 16 would come next, so `decide` without one tells the caller whether it must be taken.
"""

from dataclasses import dataclass

from device.model import Decision, ListEntry, Refusal, ResolvedCode, Shown, grey
from protocol.codes import Claims, VerifiedCode
from protocol.limits import CODE_LEEWAY_S, LIVE_CODE_S
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.terms import SEVERITY, Colour, Kind, Verdict

LEEWAY_MAX_S = 300
"""What a policy allows at most. A used code is remembered for this long, so that a policy which comes later and
allows more does not make it pass again."""

TEMPERATURE_MIN_CC, TEMPERATURE_MAX_CC = 3000, 4500
"""What a living person's skin can have, in 0.01 °C. Anything else was measured on a wall, a cup or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The part of the gate policy that decides. `temperature_max_cc` is in 0.01 °C; None asks for none."""

    enabled: bool = True
    closed: bool = False
    green: Verdict = Verdict.ADMIT
    notice: Verdict = Verdict.HOLD
    yellow: Verdict = Verdict.HOLD
    leeway_s: int = CODE_LEEWAY_S
    reuse_s: int = 300
    temperature_max_cc: int | None = None


def rules_of(policy: GatePolicy, *, open_for_people: bool) -> Rules:
    """Policy -> rules. `open_for_people` is False when an operator's command took the gate out of service."""
    return Rules(
        enabled=policy.enabled and open_for_people,
        closed=policy.closed,
        green=policy.green,
        notice=policy.notice,
        yellow=policy.yellow,
        leeway_s=policy.leeway_s,
        reuse_s=policy.reuse_s,
        temperature_max_cc=policy.temperature_max_cc,
    )


def out_of_service(rules: Rules) -> Reason | None:
    """Lines 1 and 2: why nobody passes here, whatever is shown."""
    if not rules.enabled:
        return Reason.GATE_DISABLED
    return Reason.PLACE_CLOSED if rules.closed else None


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
    """The decision on one code, by the table above.

    Args:
        shown: the code.
        rules: see `rules_of`.
        clock_trusted: whether `now_ms` is to be believed.
        now_ms: wall clock.
        entry: what the code's status list says; None when it names none, or there is no fresh one.
        used: it was admitted a moment ago, here or at another gate of the place.
        temperature_cc: the person's, in 0.01 °C; None when it was not taken, or could not be.
    """
    # 1 to 3: us, then the code.
    closed = out_of_service(rules)
    if closed is not None:
        return grey(closed)
    if isinstance(shown, Refusal):
        return grey(shown.reason)
    # 4 to 7: its kind and time.
    unfit = _unfit(shown, rules=rules, clock_trusted=clock_trusted, now_s=now_ms // 1000)
    if unfit is not None:
        return grey(unfit)
    # 8 to 11: its colour.
    colour = _colour(shown, entry)
    if colour is None:
        return grey(Reason.STATUS_STALE)
    if colour is Colour.RED:
        return Decision(colour=colour, verdict=Verdict.REFUSE, reason=Reason.COLOUR_RED)
    if colour is Colour.YELLOW:
        return Decision(colour=colour, verdict=rules.yellow, reason=Reason.COLOUR_YELLOW)
    if colour is Colour.NOTICE and rules.notice is not Verdict.ADMIT:
        return Decision(colour=colour, verdict=rules.notice, reason=Reason.NOTICE)
    # 12 to 14: this visit.
    if used:
        return grey(Reason.ALREADY_USED)
    unwell = _unwell(temperature_cc, rules)
    if unwell is not None:
        return unwell
    # 15 and 16.
    if colour is Colour.NOTICE:
        return Decision(colour=colour, verdict=rules.notice, reason=Reason.NOTICE)
    return Decision(colour=Colour.GREEN, verdict=rules.green, reason=Reason.OK)


def plausible(temperature_cc: int | None) -> int | None:
    """A temperature that a person can have; None for any other."""
    if temperature_cc is None or not TEMPERATURE_MIN_CC <= temperature_cc <= TEMPERATURE_MAX_CC:
        return None
    return temperature_cc


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


def _unwell(temperature_cc: int | None, rules: Rules) -> Decision | None:
    """Lines 13 and 14; None when no temperature is asked for, or it is low enough."""
    if rules.temperature_max_cc is None:
        return None
    measured_cc = plausible(temperature_cc)
    if measured_cc is None:
        return grey(Reason.THERMOMETER_FAILED)
    if measured_cc >= rules.temperature_max_cc:
        return Decision(colour=Colour.YELLOW, verdict=Verdict.HOLD, reason=Reason.TEMPERATURE_HIGH)
    return None
