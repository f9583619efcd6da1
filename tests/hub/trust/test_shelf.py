import asyncio

import pytest

from hub.trust import shelf as module


def test_what_is_set_is_written_before_set_returns(shelf, broker):
    shelf.set("a", b"1")
    shelf.set("b", b"2")
    assert broker.sent == [("a", b"1", True), ("b", b"2", True)]


def test_the_same_again_is_not_written_again(shelf, broker):
    shelf.set("a", b"1")
    shelf.set("a", b"1")
    assert len(broker.sent) == 1


def test_what_is_live_is_not_retained_and_not_kept(shelf, broker):
    assert shelf.live("a", b"1")
    broker.lose_everything()
    shelf.flush()
    assert broker.sent == []
    broker.there = False
    assert not shelf.live("a", b"1")


def test_dropped_topics_get_an_empty_message(shelf, broker):
    shelf.set("a", b"1")
    shelf.drop("a")
    shelf.drop("a")
    assert broker.sent[1:] == [("a", b"", True)]
    assert broker.retained == {}


def test_after_a_new_connection_everything_stands_there_again(shelf, broker):
    for number in range(200):
        shelf.set(f"t{number}", bytes([number]))
    shelf.drop("t7")
    broker.lose_everything()
    shelf.flush()
    assert broker.retained == {f"t{number}": bytes([number]) for number in range(200) if number != 7}
    assert ("t7", b"", True) in broker.sent
    assert len(broker.sent) == 200


def test_without_a_broker_the_newest_form_of_each_waits_in_order_of_change(shelf, broker):
    broker.there = False
    shelf.set("a", b"1")
    shelf.set("b", b"1")
    shelf.set("a", b"2")
    broker.there = True
    shelf.flush()
    assert broker.sent == [("b", b"1", True), ("a", b"2", True)]


def test_a_full_broker_gets_the_rest_later(shelf, broker):
    broker.there = False
    payload = bytes(200_000)
    for number in range(10):
        shelf.set(f"t{number}", payload)
    broker.there, broker.full_after = True, 4
    shelf.flush()
    assert broker.topics() == ["t0", "t1", "t2", "t3"], "one write is bounded"
    broker.full_after = None
    shelf.flush()
    assert len(broker.retained) == 10


def test_a_connection_between_two_looks_is_noticed_by_the_next_set(shelf, broker):
    shelf.set("a", b"1")
    broker.lose_everything()
    shelf.set("b", b"2")
    assert broker.retained == {"a": b"1", "b": b"2"}


def test_of_dropped_topics_only_so_many_are_remembered(shelf, broker, monkeypatch):
    monkeypatch.setattr(module, "_DROPPED_MAX", 3)
    broker.there = False
    for number in range(10):
        shelf.drop(f"t{number}")
    broker.there = True
    shelf.flush()
    assert broker.topics() == ["t7", "t8", "t9"]


def test_a_topic_that_comes_back_is_no_longer_dropped(shelf, broker):
    shelf.drop("a")
    shelf.set("a", b"1")
    broker.lose_everything()
    shelf.flush()
    assert broker.sent == [("a", b"1", True)]


async def test_its_task_writes_what_could_not_be_written(*, shelf, broker, health, monkeypatch, eventually):
    monkeypatch.setattr(module, "_LOOK_S", 0)
    broker.there = False
    shelf.set("a", b"1")
    running = asyncio.create_task(shelf.run())
    await asyncio.sleep(0)
    assert broker.sent == []
    broker.there = True
    await eventually(lambda: broker.sent)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert health.stalled() == {}
