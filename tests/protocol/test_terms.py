from protocol.errors import (
    ChainError,
    KeyUseError,
    LimitError,
    MalformedError,
    ProtocolError,
    RollbackError,
    SignatureError,
    UnknownKeyError,
    UnsupportedError,
)
from protocol.reasons import GREY_REASONS, SENTENCES, Reason, sentence
from protocol.terms import SEVERITY, Colour, Direction, Verdict


def test_every_reason_has_two_sentences():
    assert set(SENTENCES) == set(Reason)
    for reason in Reason:
        assert sentence(reason, "zh").endswith("。")
        assert sentence(reason).endswith(".")
        assert reason.wire_name == reason.name.lower()


def test_grey_is_what_the_gate_cannot_know():
    numbers = {reason.value for reason in GREY_REASONS}
    assert numbers == {10, 11, 12, 13} | {reason.value for reason in Reason if reason >= 20}


def test_the_worse_of_two_colours():
    assert sorted(SEVERITY, key=SEVERITY.__getitem__) == [Colour.GREEN, Colour.NOTICE, Colour.YELLOW, Colour.RED]


def test_wire_names():
    assert [member.wire_name for member in (Colour.GREY, Verdict.ADMIT, Direction.OUT)] == ["grey", "admit", "out"]


def test_errors_have_stable_reasons():
    reasons = {
        ProtocolError: "protocol",
        MalformedError: "malformed",
        LimitError: "limit",
        UnsupportedError: "unsupported",
        SignatureError: "bad_signature",
        UnknownKeyError: "unknown_key",
        KeyUseError: "key_use",
        RollbackError: "rollback",
        ChainError: "chain",
    }
    for kind, reason in reasons.items():
        error = kind("where", "what")
        assert (error.reason, error.where, error.what, str(error)) == (reason, "where", "what", "where: what")
        assert isinstance(error, ProtocolError)
    assert issubclass(LimitError, MalformedError)
