"""Every line of the decision table, and what must hold whatever is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.model import Refusal, grey
from device.scan.decide import MEMORY_CODES, ListEntry, Memory, Rules, decide, used_until_ms
from protocol.codes import Claims, StatusRef, VerifiedCode
from protocol.reasons import GREY_REASONS, Reason
from protocol.terms import Colour, Kind, Verdict

NOW_S = 1_800_000_000
LIST = StatusRef(index=7, uri="https://status.example/1")


def code(**changes) -> VerifiedCode:
    base = {"subject": bytes(16), "issued_s": NOW_S - 10, "expires_s": NOW_S + 50, "colour": Colour.GREEN}
    return VerifiedCode(claims=Claims(**{**base, **changes}), issuer_kid=bytes(8), code_hash=bytes(16))


def card(**changes) -> VerifiedCode:
    base = {"kind": Kind.CARD, "colour": None, "status": LIST, "expires_s": NOW_S + 10**8}
    return code(**{**base, **changes})


def decided(shown, **changes):
    base = {"rules": Rules(), "memory": Memory({}), "clock_trusted": True, "now_ms": NOW_S * 1000}
    return decide(shown, **{**base, **changes})


REFUSALS = [
    Reason.BAD_SIGNATURE,
    Reason.UNKNOWN_ISSUER,
    Reason.MALFORMED,
    Reason.UNSUPPORTED,
    Reason.NOT_FOUND,
    Reason.RESOLVER_TIMEOUT,
]


@pytest.mark.parametrize(
    ("shown", "given_", "colour", "verdict", "reason"),
    [
        (code(), {"rules": Rules(enabled=False)}, Colour.GREY, Verdict.HOLD, Reason.GATE_DISABLED),
        (code(), {"rules": Rules(closed=True)}, Colour.GREY, Verdict.HOLD, Reason.PLACE_CLOSED),
        *[(Refusal(reason=reason, code_hash=bytes(16)), {}, Colour.GREY, Verdict.HOLD, reason) for reason in REFUSALS],
        (code(kind=Kind.SPECIMEN), {}, Colour.GREY, Verdict.HOLD, Reason.SPECIMEN),
        (code(), {"clock_trusted": False}, Colour.GREY, Verdict.HOLD, Reason.CLOCK_UNTRUSTED),
        (code(colour=Colour.RED), {"clock_trusted": False}, Colour.GREY, Verdict.HOLD, Reason.CLOCK_UNTRUSTED),
        (code(issued_s=NOW_S + 31, expires_s=NOW_S + 60), {}, Colour.GREY, Verdict.HOLD, Reason.NOT_YET_VALID),
        (code(issued_s=NOW_S + 30, expires_s=NOW_S + 60), {}, Colour.GREEN, Verdict.ADMIT, Reason.OK),
        (code(issued_s=NOW_S - 99, expires_s=NOW_S - 31), {}, Colour.GREY, Verdict.HOLD, Reason.EXPIRED),
        (code(issued_s=NOW_S - 99, expires_s=NOW_S - 30), {}, Colour.GREEN, Verdict.ADMIT, Reason.OK),
        (code(colour=Colour.RED), {}, Colour.RED, Verdict.REFUSE, Reason.COLOUR_RED),
        (code(colour=Colour.RED, status=LIST), {}, Colour.RED, Verdict.REFUSE, Reason.COLOUR_RED),
        (code(status=LIST), {}, Colour.GREY, Verdict.HOLD, Reason.STATUS_STALE),
        (card(), {}, Colour.GREY, Verdict.HOLD, Reason.STATUS_STALE),
        (
            code(status=LIST),
            {"entry": ListEntry(colour=Colour.RED, version=1)},
            Colour.RED,
            Verdict.REFUSE,
            Reason.COLOUR_RED,
        ),
        (code(colour=Colour.YELLOW), {}, Colour.YELLOW, Verdict.HOLD, Reason.COLOUR_YELLOW),
        (
            card(),
            {"entry": ListEntry(colour=Colour.YELLOW, version=1)},
            Colour.YELLOW,
            Verdict.HOLD,
            Reason.COLOUR_YELLOW,
        ),
        (code(colour=Colour.NOTICE), {}, Colour.NOTICE, Verdict.HOLD, Reason.NOTICE),
        (code(), {"memory": Memory({bytes(16): NOW_S * 1000 + 1})}, Colour.GREY, Verdict.HOLD, Reason.ALREADY_USED),
        (code(), {"memory": Memory({bytes(16): NOW_S * 1000})}, Colour.GREEN, Verdict.ADMIT, Reason.OK),
        (
            code(),
            {"rules": Rules(temperature_max_cc=3730)},
            Colour.GREY,
            Verdict.HOLD,
            Reason.THERMOMETER_FAILED,
        ),
        (
            code(),
            {"rules": Rules(temperature_max_cc=3730), "temperature_cc": 3730},
            Colour.YELLOW,
            Verdict.HOLD,
            Reason.TEMPERATURE_HIGH,
        ),
        (
            code(),
            {"rules": Rules(temperature_max_cc=3730), "temperature_cc": 3729},
            Colour.GREEN,
            Verdict.ADMIT,
            Reason.OK,
        ),
        (card(), {"entry": ListEntry(colour=Colour.GREEN, version=1)}, Colour.GREEN, Verdict.ADMIT, Reason.OK),
        (
            card(),
            {"entry": ListEntry(colour=Colour.GREEN, version=1), "clock_trusted": False},
            Colour.GREEN,
            Verdict.ADMIT,
            Reason.OK,
        ),
        (code(kind=Kind.GUARDIAN), {}, Colour.GREEN, Verdict.ADMIT, Reason.OK),
    ],
)
def test_the_table(shown, given_, colour, verdict, reason):
    decision = decided(shown, **given_)
    assert (decision.colour, decision.verdict, decision.reason) == (colour, verdict, reason)


def test_every_reason_of_the_wire_is_reached_by_some_stage():
    reached = {row.args[0][4] if hasattr(row, "args") else row[4] for row in test_the_table.pytestmark[0].args[1]}
    elsewhere = {Reason.SEVERAL_CODES, Reason.STORAGE_FAILED}  # test_loop.py
    assert reached | elsewhere == set(Reason)


codes = st.builds(
    code,
    colour=st.sampled_from([Colour.GREEN, Colour.RED, Colour.YELLOW, Colour.NOTICE]),
    kind=st.sampled_from([Kind.LIVE, Kind.GUARDIAN, Kind.SPECIMEN]),
    issued_s=st.integers(NOW_S - 400, NOW_S + 200),
    status=st.sampled_from([None, LIST]),
)
situations = st.fixed_dictionaries(
    {
        "rules": st.builds(
            Rules,
            enabled=st.booleans(),
            closed=st.booleans(),
            temperature_max_cc=st.sampled_from([None, 3730]),
        ),
        "memory": st.sampled_from([Memory({}), Memory({bytes(16): NOW_S * 1000 + 5})]),
        "clock_trusted": st.booleans(),
        "now_ms": st.just(NOW_S * 1000),
        "entry": st.one_of(
            st.none(),
            st.builds(ListEntry, colour=st.sampled_from(list(Colour)[:4]), version=st.just(1)),
        ),
        "temperature_cc": st.sampled_from([None, 3600, 3900]),
    }
)


@given(codes, situations)
def test_grey_is_never_red_and_only_green_is_admitted(shown, situation):
    decision = decided(shown, **situation)
    assert (decision.verdict is Verdict.ADMIT) == (decision.colour is Colour.GREEN) == (decision.reason is Reason.OK)
    assert (decision.verdict is Verdict.REFUSE) == (decision.colour is Colour.RED)
    assert (decision.colour is Colour.GREY) == (decision.reason in GREY_REASONS)
    if decision.colour is Colour.RED:
        entry = situation["entry"]
        assert Colour.RED in {shown.claims.colour, entry.colour if entry else None}


def test_a_live_code_counts_as_used_until_it_could_no_longer_be_shown():
    assert used_until_ms(code(), rules=Rules(), now_ms=NOW_S * 1000) == (NOW_S + 50 + 30) * 1000
    assert used_until_ms(card(), rules=Rules(reuse_s=60), now_ms=NOW_S * 1000) == (NOW_S + 60) * 1000


def test_the_memory_is_bounded_and_forgets_what_ends_first():
    memory = Memory({})
    for number in range(MEMORY_CODES + 1):
        memory.admitted(number.to_bytes(16), until_ms=10_000 + number, now_ms=0)
    last = MEMORY_CODES
    assert memory.was_used(last.to_bytes(16), now_ms=0)
    assert memory.was_used((last - 10).to_bytes(16), now_ms=0)
    assert not memory.was_used((0).to_bytes(16), now_ms=0)
    assert len(memory._until_ms) <= MEMORY_CODES


def test_what_is_over_is_forgotten_before_what_lasts():
    memory = Memory({number.to_bytes(16): 5 for number in range(MEMORY_CODES - 1)})
    memory.admitted(b"lasting-16-bytes", until_ms=100, now_ms=10)
    memory.admitted(b"another-16-bytes", until_ms=100, now_ms=10)
    assert memory._until_ms == {b"lasting-16-bytes": 100, b"another-16-bytes": 100}


def test_grey_holds():
    assert grey(Reason.STORAGE_FAILED).verdict is Verdict.HOLD
