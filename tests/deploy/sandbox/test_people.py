from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.sandbox.people import Showing, crowd_of
from protocol.reasons import GREY_REASONS
from protocol.terms import Colour, Verdict


@given(st.integers(0, 300), st.integers())
def test_the_same_seed_brings_the_same_people(count, seed):
    people = crowd_of(count, seed=seed)
    assert people == crowd_of(count, seed=seed)
    assert [person.number for person in people] == list(range(1, count + 1))


@given(st.integers(1, 300), st.integers())
def test_the_first_of_all_has_a_green_code_to_lend(count, seed):
    first = crowd_of(count, seed=seed)[0]
    assert (first.showing, first.colour) == (Showing.LIVE, Colour.GREEN)


def test_from_a_hundred_on_every_trouble_and_every_colour_is_there():
    people = crowd_of(100, seed=3)
    assert {person.showing for person in people} == set(Showing)
    colours = Counter(person.colour for person in people if person.showing is Showing.LIVE)
    assert set(colours) == {Colour.GREEN, Colour.YELLOW, Colour.RED, Colour.NOTICE}
    assert colours[Colour.GREEN] > 60


@pytest.mark.parametrize("person", crowd_of(100, seed=3), ids=lambda person: f"{person.number}-{person.showing}")
def test_nobody_is_expected_to_be_admitted_but_green_with_a_code_or_card_of_their_own(person):
    expected = person.expected
    own = person.showing in {Showing.LIVE, Showing.CARD}
    assert (expected.verdict is Verdict.ADMIT) == (own and person.colour is Colour.GREEN)
    assert (expected.colour is Colour.GREY) == (expected.reason in GREY_REASONS)
