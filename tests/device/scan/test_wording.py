import itertools

import pytest

from device.hardware.spoken import SPOKEN
from device.scan import wording
from protocol.reasons import GREY_REASONS, Reason, sentence
from protocol.terms import Colour, Verdict
from protocol.verdict import Decision, grey


@pytest.mark.parametrize(
    ("decision", "name"),
    [
        (Decision(colour=Colour.GREEN, verdict=Verdict.ADMIT, reason=Reason.OK), "admit"),
        (Decision(colour=Colour.GREEN, verdict=Verdict.HOLD, reason=Reason.OK), "wait"),
        (Decision(colour=Colour.NOTICE, verdict=Verdict.ADMIT, reason=Reason.NOTICE), "admit_notice"),
        (Decision(colour=Colour.NOTICE, verdict=Verdict.HOLD, reason=Reason.NOTICE), "wait"),
        (Decision(colour=Colour.YELLOW, verdict=Verdict.HOLD, reason=Reason.COLOUR_YELLOW), "wait"),
        (Decision(colour=Colour.YELLOW, verdict=Verdict.REFUSE, reason=Reason.COLOUR_YELLOW), "refuse"),
        (Decision(colour=Colour.YELLOW, verdict=Verdict.HOLD, reason=Reason.TEMPERATURE_HIGH), "wait"),
        (Decision(colour=Colour.RED, verdict=Verdict.REFUSE, reason=Reason.COLOUR_RED), "refuse"),
        (grey(Reason.EXPIRED), "again"),
        (grey(Reason.SEVERAL_CODES), "again"),
        (grey(Reason.PLACE_CLOSED), "closed"),
        (grey(Reason.GATE_DISABLED), "closed"),
        (grey(Reason.STORAGE_FAILED), "closed"),
        (grey(Reason.STATUS_STALE), "wait"),
        (grey(Reason.UNKNOWN_ISSUER), "wait"),
    ],
)
def test_what_is_asked_of_a_person(decision, name):
    assert wording.prompt_of(decision).name == name


def test_only_an_admission_says_please_pass():
    for colour, verdict, reason in itertools.product(Colour, Verdict, Reason):
        prompt = wording.prompt_of(Decision(colour=colour, verdict=verdict, reason=reason))
        passes = verdict is Verdict.ADMIT
        assert (prompt.name in {"admit", "admit_notice"}) is passes
        if not passes:
            assert "请通行" not in prompt.zh
            assert "Please pass" not in prompt.en


def test_no_voice_names_a_colour_to_the_queue():
    for zh, en in SPOKEN.values():
        assert not {"红", "黄", "绿"} & set(zh)
        assert not {"red", "yellow", "green"} & set(en.lower().replace(".", "").split())


@pytest.mark.parametrize("reason", sorted(GREY_REASONS))
def test_a_screen_writes_the_reasons_own_sentence(reason):
    prompt = wording.prompt_of(grey(reason))
    assert (prompt.zh, prompt.en) == (sentence(reason, "zh"), sentence(reason, "en"))


def test_every_prompt_can_be_spoken():
    decisions = [
        Decision(colour=colour, verdict=verdict, reason=reason)
        for colour, verdict, reason in itertools.product(Colour, Verdict, Reason)
    ]
    told = {wording.prompt_of(decision).name for decision in decisions}
    assert told <= SPOKEN.keys()
    assert {name for name in SPOKEN if name not in told} == {"looking", "words", "enrolled", "failed"}
