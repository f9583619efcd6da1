"""Facts about one showing, and the gate's rules -> Decision. Pure: what the gate does and what the hub foretells.

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

Where two verdicts stand, the policy says which; red is refused whatever it says. Lines 3 to 7 are one fact here:
`device/scan/decide.py` finds out which of them it is. The way in and the way out are the same.
"""

from dataclasses import dataclass

from protocol.limits import CODE_LEEWAY_S
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.record import record
from protocol.terms import Colour, Verdict

TEMPERATURE_MIN_CC, TEMPERATURE_MAX_CC = 3000, 4500
"""What a living person's skin can have, in 0.01 °C. Anything else was measured on a wall, a cup or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the gate shows and does, and why."""

    colour: Colour
    verdict: Verdict
    reason: Reason


def grey(reason: Reason) -> Decision:
    """What the gate cannot know: held, and an attendant is told why."""
    return Decision(colour=Colour.GREY, verdict=Verdict.HOLD, reason=reason)


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


@record
class Facts:
    """What the table asks about one showing.

    Attributes:
        refused: lines 3 to 7: why the code counts for nothing here and now; None: it does.
        colour: the worse of the code's colour and its list entry; None: the list could say worse and is not known.
        used: it was admitted a moment ago, here or at another gate of the place.
        temperature_cc: the person's, in 0.01 °C; None when it was not taken, or could not be.
    """

    refused: Reason | None = None
    colour: Colour | None = None
    used: bool = False
    temperature_cc: int | None = None


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


def decision_on(facts: Facts, rules: Rules) -> Decision:
    """The decision, by the table above."""
    # 1 to 7: us, then the code.
    kept_out = out_of_service(rules) or facts.refused
    if kept_out is not None:
        return grey(kept_out)
    # 8 to 11: its colour.
    colour = facts.colour
    if colour is None:
        return grey(Reason.STATUS_STALE)
    if colour is Colour.RED:
        return Decision(colour=colour, verdict=Verdict.REFUSE, reason=Reason.COLOUR_RED)
    if colour is Colour.YELLOW:
        return Decision(colour=colour, verdict=rules.yellow, reason=Reason.COLOUR_YELLOW)
    if colour is Colour.NOTICE and rules.notice is not Verdict.ADMIT:
        return Decision(colour=colour, verdict=rules.notice, reason=Reason.NOTICE)
    # 12 to 14: this visit.
    if facts.used:
        return grey(Reason.ALREADY_USED)
    unwell = _unwell(facts.temperature_cc, rules)
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
