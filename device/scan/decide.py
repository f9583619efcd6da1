"""VerifiedCode or Refusal -> Decision. Stage 4 of the scan. Pure: clock, memory and policy are arguments.

The first line that fits decides. "Us" before "the code" before "the person": a gate that is out of service says
so to everybody, and nobody is shown red for a fault of ours.

===  ==========================================================  ========  ========  =======================
 #   when                                                        colour    verdict   reason
===  ==========================================================  ========  ========  =======================
 1   the operator took the gate out of service                   grey      hold      gate_disabled
 2   the place is closed                                         grey      hold      place_closed
 3   the code was refused (verify, or an online look-up)         grey      hold      the refusal's own
 4   a specimen                                                  grey      hold      specimen
 5   a live code, and the clock is not to be believed            grey      hold      clock_untrusted
 6   issued after now + leeway                                   grey      hold      not_yet_valid
 7   expired before now - leeway                                 grey      hold      expired
 8   colour or list entry says red                               red       refuse    colour_red
 9   it names a status list that we do not have fresh            grey      hold      status_stale
 10  the worse of colour and list entry is yellow                yellow    hold      colour_yellow
 11  ... is notice                                               notice    hold      notice
 12  this code was admitted a moment ago                         grey      hold      already_used
 13  policy asks for a temperature, and there is none            grey      hold      thermometer_failed
 14  ... and it is not below the threshold                       yellow    hold      temperature_high
 15  otherwise                                                   green     admit     ok
===  ==========================================================  ========  ========  =======================

Line 8 stands before 9 because nothing is worse than red: a list could not change it. Green is only shown by line
15, and only lit once the check-in is on disk; where that fails, `storage_failed` replaces the decision.
Lines 6 and 7 do not judge a card by a clock that is not to be believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from device.model import Decision, Refusal, Shown, grey
from protocol.codes import Claims, VerifiedCode
from protocol.limits import CODE_LEEWAY_S
from protocol.reasons import Reason
from protocol.terms import SEVERITY, Colour, Kind, Verdict

MEMORY_CODES = 4096
"""A gate passes 60 people a minute; this remembers an hour of them, in about 1 MB."""

_BY_COLOUR = {
    Colour.NOTICE: (Verdict.HOLD, Reason.NOTICE),
    Colour.YELLOW: (Verdict.HOLD, Reason.COLOUR_YELLOW),
    Colour.RED: (Verdict.REFUSE, Reason.COLOUR_RED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The part of the gate policy that decides. `temperature_max_cc` is in 0.01 °C; None asks for none."""

    enabled: bool = True
    closed: bool = False
    leeway_s: int = CODE_LEEWAY_S
    reuse_s: int = 300
    temperature_max_cc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """What a status list says of a code, and the list's version. None in its place: no list, or not a fresh one."""

    colour: Colour
    version: int


class Memory:
    """Which codes were admitted a moment ago: one code, one person.

    Args:
        used: code hash -> ms since 1970 until which it counts as used, as the spool remembers it.
    """

    def __init__(self, used: Mapping[bytes, int]) -> None:
        self._until_ms = dict(used)

    def was_used(self, code_hash: bytes, *, now_ms: int) -> bool:
        """Whether the code was admitted and its time is not over."""
        return self._until_ms.get(code_hash, 0) > now_ms

    def admitted(self, code_hash: bytes, *, until_ms: int, now_ms: int) -> None:
        """Remember an admitted code. At the bound, what is over goes first, then what ends first."""
        if len(self._until_ms) >= MEMORY_CODES:
            lasting = sorted(((until, code) for code, until in self._until_ms.items() if until > now_ms), reverse=True)
            self._until_ms = {code: until for until, code in lasting[: MEMORY_CODES // 2]}
        self._until_ms[code_hash] = until_ms


def decide(
    shown: Shown,
    *,
    rules: Rules,
    memory: Memory,
    clock_trusted: bool,
    now_ms: int,
    entry: ListEntry | None = None,
    temperature_cc: int | None = None,
) -> Decision:
    """The decision on one code, by the table above."""
    # 1 to 3: us, then the code.
    if not rules.enabled:
        return grey(Reason.GATE_DISABLED)
    if rules.closed:
        return grey(Reason.PLACE_CLOSED)
    if isinstance(shown, Refusal):
        return grey(shown.reason)
    # 4 to 7: its kind and time.
    unfit = _unfit(shown.claims, rules=rules, clock_trusted=clock_trusted, now_s=now_ms // 1000)
    if unfit is not None:
        return grey(unfit)
    # 8 to 11: its colour.
    colour = _colour(shown.claims, entry)
    if colour is None:
        return grey(Reason.STATUS_STALE)
    if colour is not Colour.GREEN:
        verdict, reason = _BY_COLOUR[colour]
        return Decision(colour=colour, verdict=verdict, reason=reason)
    # 12 to 14: this visit.
    if memory.was_used(shown.code_hash, now_ms=now_ms):
        return grey(Reason.ALREADY_USED)
    if rules.temperature_max_cc is not None:
        if temperature_cc is None:
            return grey(Reason.THERMOMETER_FAILED)
        if temperature_cc >= rules.temperature_max_cc:
            return Decision(colour=Colour.YELLOW, verdict=Verdict.HOLD, reason=Reason.TEMPERATURE_HIGH)
    # 15.
    return Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK)


def used_until_ms(code: VerifiedCode, *, rules: Rules, now_ms: int) -> int:
    """Until when an admitted code counts as used: a live code until it is over, a card for `reuse_s`."""
    if code.claims.kind is Kind.CARD:
        return now_ms + rules.reuse_s * 1000
    return (code.claims.expires_s + rules.leeway_s) * 1000


def _unfit(claims: Claims, *, rules: Rules, clock_trusted: bool, now_s: int) -> Reason | None:
    if claims.kind is Kind.SPECIMEN:
        return Reason.SPECIMEN
    if not clock_trusted:
        return None if claims.kind is Kind.CARD else Reason.CLOCK_UNTRUSTED
    if now_s + rules.leeway_s < claims.issued_s:
        return Reason.NOT_YET_VALID
    if now_s - rules.leeway_s > claims.expires_s:
        return Reason.EXPIRED
    return None


def _colour(claims: Claims, entry: ListEntry | None) -> Colour | None:
    """The worse of the code's colour and its list entry; None when the list could still say worse and is not known."""
    known = [colour for colour in (claims.colour, entry.colour if entry else None) if colour is not None]
    worst = max(known, key=SEVERITY.__getitem__, default=None)
    if worst is not Colour.RED and claims.status is not None and entry is None:
        return None
    return worst
