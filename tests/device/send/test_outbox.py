"""The outbox alone: bounds, order, what is dropped and what is not."""

import threading

import pytest

from device.send.outbox import HINT_MS, HINTS_MOST, RESULTS_MOST, Outbox


class Clock:
    def __init__(self):
        self.ms = 1_000_000

    def __call__(self):
        return self.ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outbox(clock):
    return Outbox(mono_ms=clock)


class Line:
    """A connection that takes everything, or nothing."""

    def __init__(self, *, first_mid=1, going=False):
        self.said, self.mid, self.going = [], first_mid - 1, going

    def publish(self, entry):
        if self.going:
            return None
        self.mid += 1
        self.said.append(entry.payload)
        return self.mid


def test_putting_wakes_whoever_sends(outbox):
    woken = []
    outbox.on_put(lambda: woken.append(1))
    outbox.put("t", b"", 0)
    outbox.put("t", b"", 1)
    assert woken == [1, 1]


def test_a_hint_that_waited_too_long_is_not_said(outbox, clock):
    outbox.put("t", b"old", 0)
    clock.ms += HINT_MS
    outbox.put("t", b"new", 0)
    clock.ms += 1
    line = Line()
    assert not outbox.send(line.publish, hub_online=False)
    assert (line.said, outbox.dropped) == ([b"new"], 1)


def test_a_hint_is_lost_with_its_connection(outbox):
    outbox.put("t", b"hint", 0)
    outbox.send(Line(going=True).publish, hub_online=True)
    line = Line()
    outbox.send(line.publish, hub_online=True)
    assert (line.said, outbox.dropped) == ([], 1)


def test_hints_go_in_pieces_for_each_leaves_an_event_behind(outbox):
    for number in range(HINTS_MOST + 10):
        outbox.put("t", number.to_bytes(2, "big"), 0)
    line = Line()
    turns = 1
    while outbox.send(line.publish, hub_online=False):
        turns += 1
        assert len(line.said) <= 32 * turns
    assert line.said == [number.to_bytes(2, "big") for number in range(10, HINTS_MOST + 10)]
    assert outbox.dropped == 10


def test_results_keep_their_order_over_a_broken_connection(outbox):
    entries = [outbox.put("t", bytes([number]), 1) for number in range(6)]
    first, second = Line(), Line(first_mid=100)
    outbox.send(first.publish, hub_online=True)
    assert first.said == [bytes([number]) for number in range(4)]
    assert outbox.acknowledged(1, ok=True)
    outbox.begin()
    assert not outbox.acknowledged(2, ok=True)
    while not all(entry.acknowledged for entry in entries):
        outbox.send(second.publish, hub_online=True)
        assert outbox.acknowledged(100 + sum(entry.acknowledged for entry in entries) - 1, ok=True)
    assert second.said == [bytes([number]) for number in range(1, 6)]


def test_results_wait_for_a_hub(outbox):
    outbox.put("t", b"result", 1)
    line = Line()
    outbox.send(line.publish, hub_online=False)
    assert line.said == []


def test_of_too_many_results_the_oldest_goes(outbox):
    entries = [outbox.put("t", bytes([number]), 1) for number in range(RESULTS_MOST)]
    line = Line()
    outbox.send(line.publish, hub_online=True)
    entries += [outbox.put("t", bytes([number]), 1) for number in range(RESULTS_MOST, RESULTS_MOST + 6)]
    outbox.begin()
    again = Line()
    for mid in range(1, RESULTS_MOST + 1):
        outbox.send(again.publish, hub_online=True)
        outbox.acknowledged(mid, ok=True)
    assert len(again.said) == RESULTS_MOST
    # What is on the wire already stays; behind it, the oldest have gone.
    assert [one[0] for one in again.said] == [0, 1, 2, 3, *range(10, RESULTS_MOST + 6)]
    assert outbox.dropped == 6


def test_a_result_that_the_broker_refuses_is_given_up_and_blocks_nobody(outbox):
    refused = [outbox.put("t", b"refused", 1) for _ in range(4)]
    outbox.put("t", b"next", 1)
    line = Line()
    outbox.send(line.publish, hub_online=True)
    for mid in range(1, 5):
        assert outbox.acknowledged(mid, ok=False)
    outbox.send(line.publish, hub_online=True)
    assert line.said[-1] == b"next"
    assert outbox.dropped == 4
    assert not any(entry.wait(0) for entry in refused)


def test_a_result_that_the_going_connection_did_not_take_stays_first(outbox):
    outbox.put("t", b"1", 1)
    outbox.put("t", b"2", 1)
    outbox.send(Line(going=True).publish, hub_online=True)
    line = Line()
    outbox.send(line.publish, hub_online=True)
    assert line.said == [b"1", b"2"]


def test_many_threads_may_put(outbox):
    def put():
        for _ in range(500):
            outbox.put("t", b"x", 0)
            outbox.put("t", b"y", 1)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    line = Line()
    acknowledged = 0
    putting = True
    while putting or line.mid > acknowledged:
        # Asked before sending: whatever is put after the last look is sent by another turn.
        putting = any(thread.is_alive() for thread in threads)
        for mid in range(acknowledged + 1, line.mid + 1):
            outbox.acknowledged(mid, ok=True)
        acknowledged = line.mid
        outbox.send(line.publish, hub_online=True)
    assert line.mid + outbox.dropped == 4_000
    assert line.said.count(b"y") >= RESULTS_MOST
