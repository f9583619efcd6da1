"""Look-ups of what the gate cannot read itself, with a platform that answers when it is told to."""

import hashlib

import pytest

from device.model import Refusal, Resolution, ResolvedCode
from device.scan.online import BUDGET_MS, CACHE_ANSWERS, PEPPER_BYTES, Online
from protocol.reasons import Reason
from protocol.terms import Colour, Scheme

NUMBER = "11010519491231002X"
PEPPER = bytes(range(PEPPER_BYTES))
MS, S = 10**6, 10**9
GREEN = Resolution(
    found=True,
    subject=b"sealed by the platform",
    colour=Colour.GREEN,
    issued_s=1000,
    expires_s=1060,
    masked=("张", "11", "2X"),
    rule="R1",
    issuer_kid=b"platform",
)
NOBODY = Resolution(found=False, subject=b"", colour=None, issued_s=1000, expires_s=1060, issuer_kid=b"platform")


class Platform:
    def __init__(self):
        self.asked = []
        self.answers = {}
        self.looked = []

    def ask(self, text, scheme):
        self.asked.append((text, scheme))
        return len(self.asked).to_bytes(16)

    def answer(self, query):
        self.looked.append(query)
        return self.answers.get(query)


@pytest.fixture
def platform():
    return Platform()


@pytest.fixture
def online(platform):
    return Online(resolver=platform, pepper=PEPPER)


def ask(online, text=NUMBER, *, scheme=Scheme.CARD_NUMBER, at_ns=0, cache_s=0):
    return online.ask(text, scheme, cache_s=cache_s, shown_ns=at_ns, now_ns=at_ns + 5 * MS)


def asked(platform, online, answer, *, cache_s, at_ns=0, text=NUMBER):
    """A look-up that is answered at once."""
    assert ask(online, text, at_ns=at_ns, cache_s=cache_s) is None
    platform.answers[len(platform.asked).to_bytes(16)] = answer
    return online.poll(cache_s=cache_s, now_ns=at_ns + 10 * MS)


def test_an_answer_becomes_a_code_that_can_be_decided(platform, online):
    shown = asked(platform, online, GREEN, cache_s=0)
    assert shown == ResolvedCode(
        scheme=Scheme.CARD_NUMBER,
        code_hash=online.code_hash(NUMBER, Scheme.CARD_NUMBER),
        colour=Colour.GREEN,
        subject=GREEN.subject,
        issued_s=1000,
        masked=GREEN.masked,
        rule="R1",
        issuer_kid=b"platform",
    )
    assert platform.asked == [(NUMBER, Scheme.CARD_NUMBER)]
    assert online.poll(cache_s=0, now_ns=20 * MS) is None, "it is over"


@pytest.mark.parametrize(
    "answer",
    [NOBODY, Resolution(found=True, subject=b"x", colour=None, issued_s=1, expires_s=2, issuer_kid=b"platform")],
)
def test_nobody_found_is_said_by_the_platform(platform, online, answer):
    shown = asked(platform, online, answer, cache_s=60)
    assert isinstance(shown, Refusal)
    assert (shown.reason, shown.scheme, shown.issuer_kid) == (Reason.NOT_FOUND, Scheme.CARD_NUMBER, b"platform")


def test_an_answer_counts_until_the_budget_is_spent_and_is_then_not_looked_at(platform, online):
    assert ask(online) is None
    assert online.poll(cache_s=0, now_ns=BUDGET_MS * MS - 1) is None
    platform.answers[(1).to_bytes(16)] = GREEN
    looked = len(platform.looked)
    shown = online.poll(cache_s=60, now_ns=BUDGET_MS * MS)
    assert (shown.reason, shown.scheme) == (Reason.RESOLVER_TIMEOUT, Scheme.CARD_NUMBER)
    assert shown.code_hash == online.code_hash(NUMBER, Scheme.CARD_NUMBER)
    assert online.poll(cache_s=60, now_ns=BUDGET_MS * MS + 1) is None
    assert len(platform.looked) == looked
    assert ask(online, at_ns=BUDGET_MS * MS, cache_s=60) is None, "nothing was kept of it"


def test_a_look_up_takes_the_place_of_one_that_nobody_waits_for(platform, online):
    assert ask(online) is None
    assert ask(online, "JKM1", scheme=Scheme.OPAQUE, at_ns=S) is None
    platform.answers[(1).to_bytes(16)] = GREEN
    assert online.poll(cache_s=0, now_ns=S + 6 * MS) is None
    platform.answers[(2).to_bytes(16)] = GREEN
    assert online.poll(cache_s=0, now_ns=S + 7 * MS).scheme is Scheme.OPAQUE


@pytest.mark.parametrize("resolver", [None, type("Cut", (), {"ask": lambda *_: None})()])
def test_without_a_way_to_the_platform_it_says_so_at_once(resolver):
    shown = ask(Online(resolver=resolver, pepper=PEPPER), "JKM1", scheme=Scheme.OPAQUE)
    assert (shown.reason, shown.scheme) == (Reason.RESOLVER_TIMEOUT, Scheme.OPAQUE)


def test_a_kept_answer_counts_for_as_long_as_the_policy_says(platform, online):
    asked(platform, online, GREEN, cache_s=30)
    assert ask(online, at_ns=30 * S, cache_s=30) == asked_again(online)
    assert ask(online, at_ns=30 * S + 5 * MS, cache_s=30) is None
    assert len(platform.asked) == 2


def asked_again(online):
    return ResolvedCode(
        scheme=Scheme.CARD_NUMBER,
        code_hash=online.code_hash(NUMBER, Scheme.CARD_NUMBER),
        colour=Colour.GREEN,
        subject=GREEN.subject,
        issued_s=GREEN.issued_s,
        masked=GREEN.masked,
        rule=GREEN.rule,
        issuer_kid=GREEN.issuer_kid,
    )


def test_a_kept_answer_counts_for_no_longer_than_the_platform_said(platform, online):
    asked(platform, online, GREEN, cache_s=3600)
    assert ask(online, at_ns=59 * S, cache_s=3600) is not None
    assert ask(online, at_ns=60 * S + 5 * MS, cache_s=3600) is None


def test_a_policy_that_allows_less_holds_for_what_is_kept_already(platform, online):
    asked(platform, online, GREEN, cache_s=3600)
    assert ask(online, at_ns=10 * S, cache_s=5) is None
    asked(platform, online, GREEN, cache_s=3600, at_ns=20 * S, text="another")
    assert ask(online, "another", at_ns=20 * S + 10 * MS, cache_s=0) is None


def test_nobody_found_is_asked_again(platform, online):
    asked(platform, online, NOBODY, cache_s=3600)
    assert ask(online, at_ns=S, cache_s=3600) is None


def test_the_cache_is_bounded_and_holds_no_number(platform, online):
    for number in range(CACHE_ANSWERS + 5):
        asked(platform, online, GREEN, cache_s=3600, text=f"number-{number}")
    assert len(online._cache) == CACHE_ANSWERS
    assert ask(online, "number-4", at_ns=S, cache_s=3600) is None
    assert ask(online, "number-5", at_ns=S, cache_s=3600) is not None
    assert "number-" not in repr(online._cache)
    assert all(len(key) == 16 for key in online._cache)


def test_the_hash_of_a_number_tells_nobody_anything_without_the_gates_key(online):
    made = online.code_hash(NUMBER, Scheme.CARD_NUMBER)
    assert len(made) == 16
    assert made not in hashlib.sha256(NUMBER.encode()).digest()
    assert made != Online(resolver=None, pepper=bytes(PEPPER_BYTES)).code_hash(NUMBER, Scheme.CARD_NUMBER)
    assert made == Online(resolver=None, pepper=PEPPER).code_hash(NUMBER, Scheme.CARD_NUMBER)
    assert made != online.code_hash(NUMBER, Scheme.OPAQUE)
    assert len(online.code_hash("\ud800", Scheme.OPAQUE)) == 16


@pytest.mark.parametrize("pepper", [b"", bytes(31), bytes(33)])
def test_the_key_has_its_length(pepper):
    with pytest.raises(ValueError):
        Online(resolver=None, pepper=pepper)
