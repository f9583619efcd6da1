"""Rules -> what gates will do with whatever is shown to them, by the gates' own table. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hub.trust.rules import Rules
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.terms import Colour
from protocol.verdict import TEMPERATURE_MAX_CC, Decision, Facts, decision_on, rules_of


class Holding(StrEnum):
    """What sort of code a person shows."""

    LIVE = "live"
    CARD = "card"
    GUARDIAN = "guardian"
    LOOKED_UP = "looked_up"
    SPECIMEN = "specimen"


SIGNED: Final = frozenset({Holding.LIVE, Holding.CARD, Holding.GUARDIAN})
_ALL: Final = SIGNED | {Holding.LOOKED_UP}
_EVERY: Final = frozenset(Holding)
_LOOKED_UP: Final = frozenset({Holding.LOOKED_UP})
_MADE: Final = SIGNED | {Holding.SPECIMEN}

CASES: Final[dict[str, tuple[frozenset[Holding], Facts]]] = {
    "green": (_ALL, Facts(colour=Colour.GREEN)),
    "notice": (_ALL, Facts(colour=Colour.NOTICE)),
    "yellow": (_ALL, Facts(colour=Colour.YELLOW)),
    "red": (_ALL, Facts(colour=Colour.RED)),
    "used": (_ALL, Facts(colour=Colour.GREEN, used=True)),
    "hot": (_ALL, Facts(colour=Colour.GREEN, temperature_cc=TEMPERATURE_MAX_CC)),
    "unmeasured": (_ALL, Facts(colour=Colour.GREEN)),
    "stale": (SIGNED, Facts(colour=None)),
    "expired": (SIGNED, Facts(refused=Reason.EXPIRED, colour=Colour.GREEN)),
    "early": (SIGNED, Facts(refused=Reason.NOT_YET_VALID, colour=Colour.GREEN)),
    "clock": (SIGNED, Facts(refused=Reason.CLOCK_UNTRUSTED, colour=Colour.GREEN)),
    "specimen": (frozenset({Holding.SPECIMEN}), Facts(refused=Reason.SPECIMEN, colour=Colour.GREEN)),
    "forged": (_MADE, Facts(refused=Reason.BAD_SIGNATURE)),
    "unknown_issuer": (_MADE, Facts(refused=Reason.UNKNOWN_ISSUER)),
    "damaged": (_MADE, Facts(refused=Reason.MALFORMED)),
    "several": (_EVERY, Facts(refused=Reason.SEVERAL_CODES)),
    "not_found": (_LOOKED_UP, Facts(refused=Reason.NOT_FOUND)),
    "no_answer": (_LOOKED_UP, Facts(refused=Reason.RESOLVER_TIMEOUT)),
}
"""What may be the case, for which codes, and what the gate then knows. Temperatures only where they are taken."""

_MEASURED: Final = frozenset({"hot", "unmeasured"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One case. A sort of code that is not in `decisions` cannot come into it."""

    case: str
    decisions: dict[Holding, Decision]


def verdict_table(rules: Rules) -> tuple[Line, ...]:
    """What a gate of an open place does by these rules. With a thermometer whoever is not measured too warm counts as
    measured: else every line would say that nothing was measured.
    """
    policy = _policy_of(rules)
    deciding = rules_of(policy, open_for_people=True)
    measured = deciding.temperature_max_cc is not None
    looks_up = bool(policy.resolve_prefixes) or policy.resolve_cards
    lines = []
    for case, (holdings, facts) in CASES.items():
        if case in _MEASURED and not measured:
            continue
        known = facts if case in _MEASURED else _well(facts)
        decisions = {
            holding: decision_on(known, deciding)
            for holding in Holding
            if holding in holdings and (looks_up or holding is not Holding.LOOKED_UP)
        }
        if decisions:
            lines.append(Line(case=case, decisions=decisions))
    return tuple(lines)


def _well(facts: Facts) -> Facts:
    """The same with a temperature that lets everybody pass, which counts only where one is taken."""
    return Facts(refused=facts.refused, colour=facts.colour, used=facts.used, temperature_cc=_WELL_CC)


_WELL_CC: Final = 3000
"""Below every threshold that a policy may set but the lowest, which lets nobody pass."""


def _policy_of(rules: Rules) -> GatePolicy:
    return rules.for_gate(device=bytes(8), place="any", gate="any", direction=None, closed=False)
