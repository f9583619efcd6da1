"""The crowd against gates that follow a script."""

import asyncio

import pytest

from deploy.sandbox import crowd as crowd_module
from deploy.sandbox.crowd import Crowd, Scan
from deploy.sandbox.people import Person, Showing, crowd_of
from protocol.terms import Colour


def scan_of(expected, seq):
    return Scan(
        seq=seq,
        colour=expected.colour.wire_name,
        verdict=expected.verdict.wire_name,
        reason=expected.reason.wire_name,
        frame_to_light_ms=1.0,
        spool=0,
    )


GREEN = crowd_of(1, seed=0)[0].expected


class Wallets:
    """Gives every showing a text that names its person."""

    def __init__(self):
        self.fetched = 0

    async def texts(self, person):
        self.fetched += 1
        if person.showing is Showing.TWO_CODES:
            return (f"{person.number}a", f"{person.number}b")
        return (f"{person.number}.{self.fetched}",)


class ScriptedGate:
    """Answers from `replies(texts)`; keeps what it was shown."""

    def __init__(self, replies):
        self.replies = replies
        self.seen = []
        self.answers = asyncio.Queue()
        self.away = 0

    async def show(self, texts):
        if self.away:
            self.away -= 1
            raise ConnectionError("no camera")
        self.seen.append(tuple(texts))
        scan = self.replies(tuple(texts), len(self.seen))
        if scan is not None:
            self.answers.put_nowait(scan)

    async def clear(self):
        self.seen.append(())

    def forget_answers(self):
        while not self.answers.empty():
            self.answers.get_nowait()

    async def answer(self, *, timeout_s):
        return None if self.answers.empty() else self.answers.get_nowait()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for name in ("ANSWER_S", "SILENCE_S", "NEXT_PERSON_S", "GONE_S", "CAMERA_RETRY_S"):
        monkeypatch.setattr(crowd_module, name, 0.0)


def person(number, showing=Showing.LIVE, colour=Colour.GREEN):
    return Person(number=number, name="王伟", colour=colour, showing=showing)


def always_green(_texts, number):
    return scan_of(GREEN, number)


async def test_everybody_passes_and_the_lanes_share_the_people():
    gates = [ScriptedGate(always_green), ScriptedGate(always_green)]
    passed = []
    people = [person(number) for number in range(1, 8)]
    count = await Crowd(lanes=gates, people=people, wallets=Wallets(), on_passed=passed.append).run()
    assert (count.people, count.shown, count.as_expected, count.shown_again) == (7, 7, 7, 0)
    assert [len([texts for texts in gate.seen if texts]) for gate in gates] == [4, 3]
    assert sorted(passage.person.number for passage in passed) == list(range(1, 8))
    assert {passage.lane for passage in passed} == {0, 1}


async def test_an_unanswered_person_shows_a_fresh_code_again():
    gate = ScriptedGate(lambda texts, number: scan_of(GREEN, number) if texts == ("1.3",) else None)
    count = await Crowd(lanes=[gate], people=[person(1)], wallets=Wallets()).run()
    assert (count.shown, count.shown_again, count.as_expected) == (3, 2, 1)
    # In between they step back, so that a gate which saw several codes finds its view empty.
    assert gate.seen == [("1.1",), (), ("1.2",), (), ("1.3",), ()]


async def test_a_person_who_is_never_answered_is_counted_and_the_next_one_comes():
    gate = ScriptedGate(lambda texts, number: None if texts[0].startswith("1.") else scan_of(GREEN, number))
    count = await Crowd(lanes=[gate], people=[person(1), person(2)], wallets=Wallets()).run()
    assert (count.people, count.unanswered, count.as_expected) == (2, 1, 1)


async def test_people_wait_while_the_camera_is_away():
    gate = ScriptedGate(always_green)
    gate.away = 5
    count = await Crowd(lanes=[gate], people=[person(1)], wallets=Wallets()).run()
    assert (count.shown, count.as_expected) == (1, 1)


async def test_a_camera_that_stays_away_leaves_its_people_unanswered(monkeypatch):
    monkeypatch.setattr(crowd_module, "CAMERA_PATIENCE_S", -1.0)
    gate = ScriptedGate(always_green)
    gate.away = 10**9
    count = await Crowd(lanes=[gate], people=[person(1), person(2)], wallets=Wallets()).run()
    assert (count.people, count.shown, count.unanswered) == (2, 0, 2)


async def test_a_borrower_shows_the_code_that_was_admitted_before():
    gate = ScriptedGate(always_green)
    people = [person(1), person(2, Showing.BORROWED)]
    count = await Crowd(lanes=[gate], people=people, wallets=Wallets()).run()
    # The view is emptied in between, or the gate would rightly take it for the same showing.
    assert [texts for texts in gate.seen if texts] == [("1.1",), ("1.1",)]
    assert gate.seen[1] == ()
    assert count.wrongly_admitted == 1
    assert "borrowed" in count.surprises[0]


async def test_who_is_told_to_show_only_one_code_shows_a_fresh_one():
    several = person(1, Showing.TWO_CODES).expected

    def reply(texts, number):
        return scan_of(several if texts == ("1.1",) else GREEN, number)

    gate = ScriptedGate(reply)
    count = await Crowd(lanes=[gate], people=[person(1)], wallets=Wallets()).run()
    assert (count.shown, count.shown_again, count.as_expected) == (2, 1, 1)


async def test_two_codes_are_held_up_together():
    gate = ScriptedGate(always_green)
    await Crowd(lanes=[gate], people=[person(1, Showing.TWO_CODES)], wallets=Wallets()).run()
    assert gate.seen[0] == ("1a", "1b")


async def test_silence_is_a_right_answer_to_an_advert():
    gate = ScriptedGate(lambda _texts, _number: None)
    count = await Crowd(lanes=[gate], people=[person(1, Showing.ADVERT)], wallets=Wallets()).run()
    assert (count.shown, count.silent, count.as_expected, count.unanswered) == (1, 1, 1, 0)


async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_persons():
    gate = ScriptedGate(always_green)
    gate.answers.put_nowait(scan_of(person(9, colour=Colour.RED).expected, 99))
    count = await Crowd(lanes=[gate], people=[person(1)], wallets=Wallets()).run()
    assert count.as_expected == 1


async def test_red_people_who_are_admitted_are_counted():
    count = await Crowd(
        lanes=[ScriptedGate(always_green)], people=[person(1, colour=Colour.RED)], wallets=Wallets()
    ).run()
    assert (count.wrongly_admitted, count.as_expected) == (1, 0)


async def test_who_finds_nobody_to_borrow_from_shows_a_code_of_their_own():
    gate = ScriptedGate(always_green)
    count = await Crowd(lanes=[gate], people=[person(1, Showing.BORROWED)], wallets=Wallets()).run()
    assert (count.as_expected, count.wrongly_admitted) == (1, 0)


async def test_a_borrower_who_is_not_answered_has_no_fresh_code_to_show():
    grey = scan_of(person(2, Showing.BORROWED).expected, 3)
    replies = iter([scan_of(GREEN, 1), None, grey])
    gate = ScriptedGate(lambda texts, number: next(replies))
    people = [person(1), person(2, Showing.BORROWED)]
    count = await Crowd(lanes=[gate], people=people, wallets=Wallets()).run()
    assert shown(gate) == [("1.1",)] * 3
    assert (count.shown_again, count.as_expected) == (1, 2)


def shown(gate):
    return [texts for texts in gate.seen if texts]
