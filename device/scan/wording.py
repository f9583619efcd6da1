"""Decision -> what a screen shows and a voice says. Pure.

A screen writes the reason's own sentence; a voice has one sentence for all that ask the same of a person, so that an
installer records few of them and a queue hears a familiar one.
"""

from typing import Final

from device.hardware.ports import Prompt
from device.hardware.spoken import SPOKEN
from protocol.reasons import Reason, sentence
from protocol.terms import Verdict
from protocol.verdict import Decision

_AGAIN: Final = frozenset({Reason.EXPIRED, Reason.NOT_YET_VALID, Reason.MALFORMED, Reason.SEVERAL_CODES})
_CLOSED: Final = frozenset({Reason.GATE_DISABLED, Reason.PLACE_CLOSED, Reason.STORAGE_FAILED})


def prompt_of(decision: Decision) -> Prompt:
    """What a decision tells the person whom it is about."""
    name = _name(decision)
    if decision.reason is Reason.OK:
        # Where policy holds a green, its reason's sentence would say "please pass".
        return plain(name)
    return Prompt(name=name, zh=sentence(decision.reason, "zh"), en=sentence(decision.reason, "en"))


def plain(name: str) -> Prompt:
    """A prompt that is written as it is spoken."""
    zh, en = SPOKEN[name]
    return Prompt(name=name, zh=zh, en=en)


def words(english: str, chinese: str) -> Prompt:
    """The four words of an enrolment, and the same as four characters, to be compared."""
    return Prompt(name="words", zh=chinese, en=english)


def _name(decision: Decision) -> str:
    if decision.verdict is Verdict.ADMIT:
        return "admit" if decision.reason is Reason.OK else "admit_notice"
    if decision.verdict is Verdict.REFUSE:
        return "refuse"
    if decision.reason in _AGAIN:
        return "again"
    return "closed" if decision.reason in _CLOSED else "wait"
