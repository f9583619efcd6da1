"""What paho's thread may put down, and what a flood of it does."""

import paho.mqtt.client as mqtt
import pytest

from device.send.arrivals import EVENTS_MOST, HINT_BYTES, HINTS_MOST, UNTAKEN_BYTES, UNTAKEN_MOST, Arrivals
from device.send.ports import Acknowledged, Missed, Oversized, Received, Refused, Up
from protocol.limits import STATUS_LIST_BYTES


def test_a_subscription_that_is_refused_ends_the_connection():
    arrivals = Arrivals(lambda: None)
    refused = mqtt.ReasonCode(mqtt.PacketTypes.SUBACK, identifier=0x87)
    arrivals.on_subscribe(None, None, 1, [refused], None)
    assert (arrivals.ended, arrivals.take_all()) == ("the broker refused a subscription", [])


def test_a_later_one_that_is_refused_does_not():
    arrivals = Arrivals(lambda: None)
    granted, refused = (mqtt.ReasonCode(mqtt.PacketTypes.SUBACK, identifier=code) for code in (1, 0x87))
    arrivals.on_subscribe(None, None, 1, [granted, granted], None)
    arrivals.on_subscribe(None, None, 2, [granted, refused], None)
    assert (arrivals.ended, arrivals.take_all()) == (None, [Up(), Refused()])


def test_the_arrivals_are_bounded_and_give_up_the_connection_rather_than_losing_a_puback():
    calls = []
    arrivals = Arrivals(lambda: calls.append(1))
    for mid in range(EVENTS_MOST):
        arrivals.on_publish(None, None, mid, mqtt.ReasonCode(mqtt.PacketTypes.PUBACK), None)
    assert arrivals.ended is None
    arrivals.on_publish(None, None, 999, mqtt.ReasonCode(mqtt.PacketTypes.PUBACK), None)
    assert arrivals.ended == "more events than can be kept"
    assert len(arrivals.take_all()) == EVENTS_MOST
    assert len(calls) == EVENTS_MOST + 1


def hint(payload):
    message = mqtt.MQTTMessage(topic=b"gatelight/1/p/mall/used")
    message.payload, message.qos = payload, 0
    return message


class NobodyAcks:
    def ack(self, mid, qos):
        assert (mid, qos) == (0, 0)


def test_a_flood_of_hints_neither_ends_the_connection_nor_takes_the_room_of_a_puback():
    arrivals = Arrivals(lambda: None)
    for _ in range(10_000):
        arrivals.on_message(NobodyAcks(), None, hint(b"hint"))
        arrivals.on_message(NobodyAcks(), None, hint(bytes(HINT_BYTES + 1)))
    arrivals.on_publish(None, None, 7, mqtt.ReasonCode(mqtt.PacketTypes.PUBACK), None)
    events = arrivals.take_all()
    assert arrivals.ended is None
    assert events[0] == Acknowledged(mid=7, ok=True)
    assert len([one for one in events if isinstance(one, Received)]) == HINTS_MOST
    assert events[-2:] == [Missed(count=10_000 - HINTS_MOST), Oversized(count=10_000)]
    assert arrivals.take_all() == []


class Acks:
    def __init__(self):
        self.mids = []

    def ack(self, mid, qos):
        assert qos == 1
        self.mids.append(mid)


def test_a_message_of_qos_1_waits_for_being_taken_and_one_too_long_does_not():
    arrivals, acks = Arrivals(lambda: None), Acks()
    for mid, size in ((1, STATUS_LIST_BYTES), (2, STATUS_LIST_BYTES + 1)):
        message = mqtt.MQTTMessage(mid=mid, topic=b"gatelight/1/trust")
        message.payload, message.qos = bytes(size), 1
        arrivals.on_message(acks, None, message)
    received, oversized = arrivals.take_all()
    assert (received.mid, len(received.payload), oversized) == (1, STATUS_LIST_BYTES, Oversized(count=1))
    assert acks.mids == [2]


def test_a_topic_that_is_no_text_is_nobodys():
    arrivals, acks = Arrivals(lambda: None), Acks()
    message = mqtt.MQTTMessage(mid=3, topic=b"\xff\xfe")
    message.payload, message.qos = b"", 1
    arrivals.on_message(acks, None, message)
    assert (arrivals.take_all(), acks.mids) == ([], [3])


@pytest.mark.parametrize(
    ("size", "most"), [(10, UNTAKEN_MOST), (STATUS_LIST_BYTES, UNTAKEN_BYTES // STATUS_LIST_BYTES)]
)
def test_a_broker_that_sends_far_more_than_it_may_is_left(size, most):
    arrivals = Arrivals(lambda: None)
    message = mqtt.MQTTMessage(mid=1, topic=b"gatelight/1/trust")
    message.payload, message.qos = bytes(size), 1
    for _ in range(2 * most):
        arrivals.on_message(Acks(), None, message)
        (received,) = arrivals.take_all()
        arrivals.taken(received)
    for _ in range(most):
        arrivals.on_message(Acks(), None, message)
    assert arrivals.ended is None
    assert len(arrivals.take_all()) == most
    arrivals.on_message(Acks(), None, message)
    assert arrivals.ended == "the broker sends more than it may"
    assert arrivals.take_all() == []
