"""What the console foretells is what a gate decides: the same cases, shown to the device's own stage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.model import ListEntry, Refusal, ResolvedCode
from device.scan.decide import decide
from hub.trust.preview import CASES, Holding, verdict_table
from hub.trust.rules import Rules
from protocol.codes import Claims, StatusRef, VerifiedCode
from protocol.reasons import Reason
from protocol.terms import Colour, Kind, Scheme
from protocol.verdict import rules_of

NOW_S = 1_800_000_000
LIST = StatusRef(index=7, uri="https://status.example/1")
KINDS = {Holding.LIVE: Kind.LIVE, Holding.CARD: Kind.CARD, Holding.GUARDIAN: Kind.GUARDIAN}
REFUSED = {
    "forged": Reason.BAD_SIGNATURE,
    "unknown_issuer": Reason.UNKNOWN_ISSUER,
    "damaged": Reason.MALFORMED,
    "several": Reason.SEVERAL_CODES,
    "not_found": Reason.NOT_FOUND,
    "no_answer": Reason.RESOLVER_TIMEOUT,
}
COLOURS = {"notice": Colour.NOTICE, "yellow": Colour.YELLOW, "red": Colour.RED}
TIMES = {"expired": (NOW_S - 9000, NOW_S - 8900), "early": (NOW_S + 8900, NOW_S + 9000)}


def shown(case, holding):
    colour = COLOURS.get(case, Colour.GREEN)
    if case in REFUSED:
        return Refusal(reason=REFUSED[case], code_hash=bytes(16))
    if holding is Holding.LOOKED_UP:
        return ResolvedCode(scheme=Scheme.OPAQUE, code_hash=bytes(16), colour=colour, subject=bytes(16), issued_s=NOW_S)
    issued_s, expires_s = TIMES.get(case, (NOW_S - 10, NOW_S + 50))
    claims = Claims(
        subject=bytes(16),
        issued_s=issued_s,
        expires_s=expires_s,
        colour=None if holding is Holding.CARD else colour,
        status=LIST if holding is Holding.CARD or case == "stale" else None,
        kind=KINDS.get(holding, Kind.SPECIMEN),
    )
    return VerifiedCode(claims=claims, issuer_kid=bytes(8), code_hash=bytes(16))


def at_the_gate(case, holding, rules):
    policy = rules.for_gate(device=bytes(8), place="any", gate="any", direction=None, closed=False)
    entry = None if case == "stale" else ListEntry(colour=COLOURS.get(case, Colour.GREEN), version=1)
    return decide(
        shown(case, holding),
        rules=rules_of(policy, open_for_people=True),
        clock_trusted=case != "clock",
        now_ms=NOW_S * 1000,
        entry=entry if holding is Holding.CARD else None,
        used=case == "used",
        temperature_cc={"hot": 4500, "unmeasured": None}.get(case, 3000),
    )


rules = st.fixed_dictionaries(
    {
        "enabled": st.sampled_from(["yes", "no"]),
        "green": st.sampled_from(["admit", "hold"]),
        "notice": st.sampled_from(["admit", "hold"]),
        "yellow": st.sampled_from(["hold", "refuse"]),
        "temperature_max_cc": st.sampled_from(["off", "3000", "3730", "4500"]),
        "resolve_cards": st.sampled_from(["yes", "no"]),
    }
)


@given(changes=rules)
def test_every_cell_is_what_a_gate_decides(changes):
    wanted = Rules.defaults().changed(changes)
    table = verdict_table(wanted)
    for line in table:
        for holding, decision in line.decisions.items():
            assert decision == at_the_gate(line.case, holding, wanted), (line.case, holding)
    looked_up = any(Holding.LOOKED_UP in line.decisions for line in table)
    assert looked_up == (changes["resolve_cards"] == "yes")
    assert ("hot" in {line.case for line in table}) == (changes["temperature_max_cc"] != "off")


def test_every_reason_of_the_table_can_be_foretold():
    table = verdict_table(Rules.defaults().changed({"temperature_max_cc": "3730", "resolve_cards": "yes"}))
    foretold = {decision.reason for line in table for decision in line.decisions.values()}
    ours = {Reason.GATE_DISABLED, Reason.PLACE_CLOSED, Reason.STORAGE_FAILED, Reason.UNSUPPORTED}
    assert foretold == set(Reason) - ours
    assert len(table) == len(CASES)


@pytest.mark.parametrize("holding", [Holding.LIVE, Holding.CARD, Holding.GUARDIAN])
def test_out_of_service_is_grey_for_everybody(holding):
    for line in verdict_table(Rules.defaults().changed({"enabled": "no"})):
        if holding in line.decisions:
            assert line.decisions[holding].colour is Colour.GREY
