"""What the downlink asks for, and in which pieces it gets it."""

import pytest

from device.send.feed import Feed, Silence
from device.send.ports import Received
from protocol import topics


class Wire:
    def __init__(self):
        self.on = set()
        self.most_lists = 0
        self.taken_ = []

    def subscribe(self, asked):
        for topic in asked:
            assert topic not in self.on
            self.on.add(topic)
        self.most_lists = max(self.most_lists, sum(topic.endswith("/snapshot") for topic in self.on))

    def unsubscribe(self, asked):
        for topic in asked:
            self.on.remove(topic)

    def taken(self, message):
        self.taken_.append(message)


class Reader:
    def __init__(self):
        self.subscriptions = ()
        self.messages = []

    def take(self, topic, payload):
        self.messages.append((topic, payload))
        # As the real one: what has come is not wanted any more.
        self.subscriptions = tuple(wanted for wanted in self.subscriptions if wanted != topic)


class Stage:
    def __init__(self):
        self.mono_ms = 0
        self.wire, self.reader = Wire(), Reader()
        self.feed = Feed(wire=self.wire, downlink=self.reader, mono_ms=lambda: self.mono_ms)


def lists(count):
    return tuple(topics.status_snapshot(f"{number:016x}") for number in range(count))


@pytest.fixture
def stage():
    return Stage()


def test_whole_lists_come_four_at_a_time_until_all_have_come(stage):
    stage.reader.subscriptions = (topics.TRUST, *lists(32))
    stage.feed.follow()
    assert stage.wire.on == {topics.TRUST, *lists(4)}
    while pending := [topic for topic in stage.wire.on if topic.endswith("/snapshot")]:
        stage.feed.put(Received(topic=min(pending), payload=b"", mid=1))
        assert not stage.feed.take_some()
    assert [topic for topic, _ in stage.reader.messages] == list(lists(32))
    assert (stage.wire.on, stage.wire.most_lists) == ({topics.TRUST}, 4)
    assert stage.feed._turns == {}


def test_lists_that_never_come_do_not_keep_the_others_away(stage):
    stage.reader.subscriptions = lists(10)
    seen = []
    for _ in range(4):
        stage.feed.follow()
        seen.append(frozenset(stage.wire.on))
        stage.mono_ms += 59_999
        stage.feed.follow()
        assert stage.wire.on == seen[-1]
        stage.mono_ms += 1
    assert seen[0] | seen[1] | seen[2] == set(lists(10))
    assert seen[3] != seen[2]
    assert stage.wire.most_lists == 4


def test_a_few_that_do_not_come_stay_subscribed(stage):
    stage.reader.subscriptions = lists(3)
    for _ in range(3):
        stage.feed.follow()
        assert stage.wire.on == set(lists(3))
        stage.mono_ms += 60_000


def test_hints_are_bounded_and_the_oldest_goes(stage):
    for number in range(300):
        stage.feed.put(Received(topic="used", payload=number.to_bytes(2, "big")))
    assert not stage.feed.take_some()
    assert [payload for _, payload in stage.reader.messages] == [number.to_bytes(2, "big") for number in range(44, 300)]
    assert stage.feed.dropped == 44


def test_more_is_said_while_more_waits(stage):
    for number in range(3):
        stage.feed.put(Received(topic="t", payload=b"", mid=number + 1))
    stage.feed._mono_ms = lambda: (setattr(stage, "mono_ms", stage.mono_ms + 25), stage.mono_ms)[1]
    assert [stage.feed.take_some() for _ in range(3)] == [True, True, False]
    assert [message.mid for message in stage.wire.taken_] == [1, 2, 3]


def test_a_downlink_for_who_only_sends_wants_nothing(stage):
    feed = Feed(wire=stage.wire, downlink=Silence(), mono_ms=lambda: 0)
    feed.follow()
    feed.put(Received(topic="t", payload=b"", mid=1))
    assert not feed.take_some()
    assert stage.wire.on == set()
