"""Every line of the decision table, and what must hold whatever is shown."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.model import ListEntry, Refusal, ResolvedCode
from device.scan.decide import LEEWAY_MAX_S, decide, is_live, longest_use_ms, used_until_ms
from protocol.codes import Claims, StatusRef, VerifiedCode
from protocol.policy import GatePolicy
from protocol.reasons import GREY_REASONS, Reason
from protocol.terms import Colour, Kind, Scheme, Verdict
from protocol.verdict import TEMPERATURE_MAX_CC, TEMPERATURE_MIN_CC, Rules, grey, out_of_service, plausible, rules_of

NOW_S = 1_800_000_000
LIST = StatusRef(index=7, uri="https://status.example/1")


def code(**changes) -> VerifiedCode:
    base = {"subject": bytes(16), "issued_s": NOW_S - 10, "expires_s": NOW_S + 50, "colour": Colour.GREEN}
    return VerifiedCode(claims=Claims(**{**base, **changes}), issuer_kid=bytes(8), code_hash=bytes(16))


def card(**changes) -> VerifiedCode:
    base = {"kind": Kind.CARD, "colour": None, "status": LIST, "expires_s": NOW_S + 10**8}
    return code(**{**base, **changes})


def number(colour=Colour.GREEN) -> ResolvedCode:
    return ResolvedCode(
        scheme=Scheme.CARD_NUMBER, code_hash=bytes(16), colour=colour, subject=bytes(16), issued_s=NOW_S
    )


def decided(shown, **changes):
    base = {"rules": Rules(), "clock_trusted": True, "now_ms": NOW_S * 1000}
    return decide(shown, **{**base, **changes})


def entry(colour):
    return {"entry": ListEntry(colour=colour, version=1)}


def rules(**changes):
    return {"rules": Rules(**changes)}


REFUSALS = [
    Reason.BAD_SIGNATURE,
    Reason.UNKNOWN_ISSUER,
    Reason.MALFORMED,
    Reason.UNSUPPORTED,
    Reason.NOT_FOUND,
    Reason.RESOLVER_TIMEOUT,
]
GREEN, YELLOW, RED, NOTICE, GREY = Colour.GREEN, Colour.YELLOW, Colour.RED, Colour.NOTICE, Colour.GREY
ADMIT, HOLD, REFUSE = Verdict.ADMIT, Verdict.HOLD, Verdict.REFUSE
WARM = {"temperature_max_cc": 3730}
UNTRUSTED = {"clock_trusted": False}

TABLE = [
    # 1 to 3
    (code(), rules(enabled=False), GREY, HOLD, Reason.GATE_DISABLED),
    (code(), rules(enabled=False, closed=True), GREY, HOLD, Reason.GATE_DISABLED),
    (code(), rules(closed=True), GREY, HOLD, Reason.PLACE_CLOSED),
    *[(Refusal(reason=reason, code_hash=bytes(16)), {}, GREY, HOLD, reason) for reason in REFUSALS],
    # 4 and 5
    (code(kind=Kind.SPECIMEN), {}, GREY, HOLD, Reason.SPECIMEN),
    (code(), UNTRUSTED, GREY, HOLD, Reason.CLOCK_UNTRUSTED),
    (code(colour=RED), UNTRUSTED, GREY, HOLD, Reason.CLOCK_UNTRUSTED),
    (card(), UNTRUSTED, GREY, HOLD, Reason.CLOCK_UNTRUSTED),
    (card(), UNTRUSTED | entry(RED), GREY, HOLD, Reason.CLOCK_UNTRUSTED),
    (card(), UNTRUSTED | entry(GREEN), GREY, HOLD, Reason.CLOCK_UNTRUSTED),
    (number(), UNTRUSTED, GREEN, ADMIT, Reason.OK),
    (number(RED), UNTRUSTED, RED, REFUSE, Reason.COLOUR_RED),
    # 6 and 7
    (code(issued_s=NOW_S + 31, expires_s=NOW_S + 60), {}, GREY, HOLD, Reason.NOT_YET_VALID),
    (code(issued_s=NOW_S + 30, expires_s=NOW_S + 60), {}, GREEN, ADMIT, Reason.OK),
    (code(issued_s=NOW_S + 1, expires_s=NOW_S + 60), rules(leeway_s=0), GREY, HOLD, Reason.NOT_YET_VALID),
    (code(issued_s=NOW_S - 99, expires_s=NOW_S - 31), {}, GREY, HOLD, Reason.EXPIRED),
    (code(issued_s=NOW_S - 99, expires_s=NOW_S - 30), {}, GREEN, ADMIT, Reason.OK),
    (code(issued_s=NOW_S - 99, expires_s=NOW_S - 31), rules(leeway_s=31), GREEN, ADMIT, Reason.OK),
    # 8 and 9
    (code(colour=RED), {}, RED, REFUSE, Reason.COLOUR_RED),
    (code(colour=RED, status=LIST), {}, RED, REFUSE, Reason.COLOUR_RED),
    (code(colour=RED, status=LIST), entry(GREEN), RED, REFUSE, Reason.COLOUR_RED),
    (code(status=LIST), entry(RED), RED, REFUSE, Reason.COLOUR_RED),
    (code(colour=YELLOW, status=LIST), {}, GREY, HOLD, Reason.STATUS_STALE),
    (code(status=LIST), {}, GREY, HOLD, Reason.STATUS_STALE),
    (card(), {}, GREY, HOLD, Reason.STATUS_STALE),
    (card(colour=RED), {}, GREY, HOLD, Reason.STATUS_STALE),
    (card(colour=RED), entry(GREEN), GREEN, ADMIT, Reason.OK),
    (card(colour=GREEN), entry(RED), RED, REFUSE, Reason.COLOUR_RED),
    # 10 and 11
    (code(colour=YELLOW), {}, YELLOW, HOLD, Reason.COLOUR_YELLOW),
    (code(colour=YELLOW), rules(yellow=REFUSE), YELLOW, REFUSE, Reason.COLOUR_YELLOW),
    (code(colour=NOTICE, status=LIST), entry(YELLOW), YELLOW, HOLD, Reason.COLOUR_YELLOW),
    (card(), entry(YELLOW), YELLOW, HOLD, Reason.COLOUR_YELLOW),
    (number(YELLOW), {}, YELLOW, HOLD, Reason.COLOUR_YELLOW),
    (code(colour=NOTICE), {}, NOTICE, HOLD, Reason.NOTICE),
    (code(colour=NOTICE), {"used": True}, NOTICE, HOLD, Reason.NOTICE),
    (number(NOTICE), {}, NOTICE, HOLD, Reason.NOTICE),
    # 12
    (code(), {"used": True}, GREY, HOLD, Reason.ALREADY_USED),
    (card(), entry(GREEN) | {"used": True}, GREY, HOLD, Reason.ALREADY_USED),
    (number(), {"used": True}, GREY, HOLD, Reason.ALREADY_USED),
    (code(colour=NOTICE), rules(notice=ADMIT) | {"used": True}, GREY, HOLD, Reason.ALREADY_USED),
    (code(colour=RED), {"used": True}, RED, REFUSE, Reason.COLOUR_RED),
    # 13 and 14
    (code(), rules(**WARM), GREY, HOLD, Reason.THERMOMETER_FAILED),
    (code(), rules(**WARM) | {"temperature_cc": 2999}, GREY, HOLD, Reason.THERMOMETER_FAILED),
    (code(), rules(**WARM) | {"temperature_cc": 4501}, GREY, HOLD, Reason.THERMOMETER_FAILED),
    (code(), rules(**WARM) | {"temperature_cc": 3730}, YELLOW, HOLD, Reason.TEMPERATURE_HIGH),
    (code(), rules(**WARM, yellow=REFUSE) | {"temperature_cc": 3730}, YELLOW, HOLD, Reason.TEMPERATURE_HIGH),
    (code(), rules(**WARM) | {"temperature_cc": 3729}, GREEN, ADMIT, Reason.OK),
    (code(), rules(**WARM) | {"temperature_cc": 3000}, GREEN, ADMIT, Reason.OK),
    (number(), rules(**WARM) | {"temperature_cc": 3729}, GREEN, ADMIT, Reason.OK),
    (code(colour=NOTICE), rules(notice=ADMIT, **WARM), GREY, HOLD, Reason.THERMOMETER_FAILED),
    (code(colour=NOTICE), rules(**WARM), NOTICE, HOLD, Reason.NOTICE),
    (code(colour=RED), rules(**WARM), RED, REFUSE, Reason.COLOUR_RED),
    # 15 and 16
    (code(colour=NOTICE), rules(notice=ADMIT), NOTICE, ADMIT, Reason.NOTICE),
    (code(), rules(green=HOLD), GREEN, HOLD, Reason.OK),
    (number(), rules(green=HOLD), GREEN, HOLD, Reason.OK),
    (card(), entry(GREEN), GREEN, ADMIT, Reason.OK),
    (code(kind=Kind.GUARDIAN), {}, GREEN, ADMIT, Reason.OK),
    (number(), {}, GREEN, ADMIT, Reason.OK),
]


@pytest.mark.parametrize(("shown", "given_", "colour", "verdict", "reason"), TABLE)
def test_the_table(shown, given_, colour, verdict, reason):
    decision = decided(shown, **given_)
    assert (decision.colour, decision.verdict, decision.reason) == (colour, verdict, reason)


def test_every_reason_of_the_wire_is_reached_by_some_stage():
    elsewhere = {Reason.SEVERAL_CODES, Reason.STORAGE_FAILED}  # test_loop.py
    assert {row[4] for row in TABLE} | elsewhere == set(Reason)


codes = st.one_of(
    st.builds(
        code,
        colour=st.sampled_from([GREEN, RED, YELLOW, NOTICE]),
        kind=st.sampled_from([Kind.LIVE, Kind.GUARDIAN, Kind.SPECIMEN]),
        issued_s=st.integers(NOW_S - 400, NOW_S + 200),
        status=st.sampled_from([None, LIST]),
    ),
    st.builds(card, expires_s=st.sampled_from([NOW_S - 99, NOW_S + 99])),
    st.builds(number, st.sampled_from([GREEN, RED, YELLOW, NOTICE])),
)
some_rules = st.builds(
    Rules,
    enabled=st.booleans(),
    closed=st.booleans(),
    green=st.sampled_from([ADMIT, HOLD]),
    notice=st.sampled_from([ADMIT, HOLD]),
    yellow=st.sampled_from([HOLD, REFUSE]),
    temperature_max_cc=st.sampled_from([None, 3730]),
)
situations = st.fixed_dictionaries(
    {
        "rules": some_rules,
        "used": st.booleans(),
        "clock_trusted": st.booleans(),
        "now_ms": st.just(NOW_S * 1000),
        "entry": st.one_of(
            st.none(),
            st.builds(ListEntry, colour=st.sampled_from(list(Colour)[:4]), version=st.just(1)),
        ),
        "temperature_cc": st.sampled_from([None, 2000, 3600, 3900]),
    }
)


@given(codes, situations)
def test_grey_is_never_red_and_nobody_passes_but_by_policy(shown, situation):
    decision, policy = decided(shown, **situation), situation["rules"]
    if decision.verdict is ADMIT:
        assert not situation["used"]
        assert policy.temperature_max_cc is None or situation["temperature_cc"] == 3600
        assert (decision.colour, policy.green) == (GREEN, ADMIT) or (decision.colour, policy.notice) == (NOTICE, ADMIT)
    assert (decision.colour is GREY) == (decision.reason in GREY_REASONS)
    assert (decision.colour is GREEN) == (decision.reason is Reason.OK)
    assert (
        decision.verdict is not REFUSE
        or decision.colour is RED
        or (decision.colour, policy.yellow)
        == (
            YELLOW,
            REFUSE,
        )
    )
    assert decision.colour is not RED or decision.verdict is REFUSE
    if decision.colour is RED and isinstance(shown, VerifiedCode):
        known = situation["entry"]
        assert RED in {shown.claims.colour, known.colour if known else None}


@given(codes, situations)
def test_a_temperature_is_missed_only_where_nothing_else_is(shown, situation):
    """On this `judge` relies: it measures when, and only when, the decision without a temperature says so."""
    without = decided(shown, **situation | {"temperature_cc": None})
    fits = decided(shown, **situation | {"temperature_cc": 3600})
    if without.reason is Reason.THERMOMETER_FAILED:
        assert fits.colour in {GREEN, NOTICE}
    else:
        assert fits == without


def test_rules_are_those_of_the_policy_and_the_operator_may_only_close():
    policy = GatePolicy(
        device=bytes(8),
        version=3,
        issued_s=0,
        place="p",
        gate="g",
        closed=True,
        green=HOLD,
        notice=ADMIT,
        yellow=REFUSE,
        leeway_s=7,
        reuse_s=8,
        temperature_max_cc=3700,
    )
    expected = Rules(
        enabled=True,
        closed=True,
        green=HOLD,
        notice=ADMIT,
        yellow=REFUSE,
        leeway_s=7,
        reuse_s=8,
        temperature_max_cc=3700,
    )
    assert rules_of(policy, open_for_people=True) == expected
    assert not rules_of(policy, open_for_people=False).enabled
    assert not rules_of(replace(policy, enabled=False), open_for_people=True).enabled
    assert (
        rules_of(GatePolicy(device=bytes(8), version=0, issued_s=0, place="p", gate="g"), open_for_people=True)
        == Rules()
    )


def test_out_of_service_is_the_first_two_lines():
    assert out_of_service(Rules()) is None
    assert out_of_service(Rules(closed=True)) is Reason.PLACE_CLOSED
    assert out_of_service(Rules(closed=True, enabled=False)) is Reason.GATE_DISABLED


@given(
    st.sampled_from([code(), code(kind=Kind.GUARDIAN)]), st.integers(0, 300), st.integers(0, 300), st.integers(0, 999)
)
def test_a_live_code_counts_as_used_for_as_long_as_any_policy_could_let_it_pass(shown, before_s, after_s, ms):
    """A policy that comes a moment later and allows more must not let it pass a second time."""
    now_ms = NOW_S * 1000 + ms
    until_ms = used_until_ms(shown, rules=Rules(leeway_s=before_s), now_ms=now_ms)
    last = decided(shown, rules=Rules(leeway_s=after_s), now_ms=until_ms - 1)
    assert until_ms > now_ms
    assert last.reason is (Reason.OK if after_s == LEEWAY_MAX_S else Reason.EXPIRED)
    assert decided(shown, rules=Rules(leeway_s=after_s), now_ms=until_ms).reason is Reason.EXPIRED


def test_what_is_shown_again_counts_as_used_for_a_while():
    for shown in (card(), number()):
        assert used_until_ms(shown, rules=Rules(reuse_s=60), now_ms=NOW_S * 1000 + 5) == (NOW_S + 60) * 1000 + 5
        assert not is_live(shown)
    assert is_live(code())


@given(st.integers(0, LEEWAY_MAX_S), st.integers(1, 86_400), st.sampled_from([120, 60]))
def test_nothing_counts_as_used_for_longer_than_the_longest(leeway_s, reuse_s, life_s):
    rules = Rules(leeway_s=leeway_s, reuse_s=reuse_s)
    earliest = code(issued_s=NOW_S + leeway_s, expires_s=NOW_S + leeway_s + life_s)
    for shown in (earliest, card(), number()):
        assert used_until_ms(shown, rules=rules, now_ms=NOW_S * 1000) - NOW_S * 1000 <= longest_use_ms(rules)


def test_only_what_a_person_can_have_is_a_temperature():
    assert [plausible(cc) for cc in (None, 2999, 3000, 4500, 4501)] == [None, None, 3000, 4500, None]
    assert (TEMPERATURE_MIN_CC, TEMPERATURE_MAX_CC) == (3000, 4500)


def test_grey_holds():
    assert grey(Reason.STORAGE_FAILED).verdict is Verdict.HOLD
