import random

from hub.broker.inbox import Delivery, Inbox

LONG = bytes(5000)
SHORT = bytes(300)


def delivery(device, payload=SHORT, *, at_s=100.0, leaf="checkins", number=0):
    topic = f"gatelight/1/d/{device}/{device}/{leaf}"
    return Delivery(topic=topic, payload=payload, packet_id=number, connection=1, arrived_s=at_s)


def filled(*deliveries):
    inbox = Inbox()
    for each in deliveries:
        inbox.put(each)
    return inbox


def take(inbox, *, messages_max=512, bytes_max=1 << 20, now_s=100.0):
    return inbox.take(messages_max=messages_max, bytes_max=bytes_max, now_s=now_s)


def test_a_live_gate_does_not_wait_for_a_backlog():
    backlog = [delivery("back", LONG, number=number) for number in range(50)]
    live = delivery("live")
    taken = take(filled(*backlog, live))
    assert taken[0] is live
    assert taken[1:] == backlog[: len(taken) - 1]
    assert 1 <= len(taken) - 1 <= 4


def test_without_live_gates_a_batch_is_filled():
    backlog = [delivery("back", LONG, number=number) for number in range(50)]
    inbox = filled(delivery("live", at_s=90.0), *backlog)
    assert len(take(inbox)) == 51
    assert len(inbox) == inbox.bytes == 0


def test_both_bounds_are_kept_and_one_message_is_always_taken():
    inbox = filled(*[delivery("back", LONG) for _ in range(9)])
    assert len(take(inbox, messages_max=2)) == 2
    assert len(take(inbox, bytes_max=10_000)) == 2
    assert len(take(inbox, bytes_max=1)) == 1
    assert (len(inbox), inbox.bytes) == (4, 4 * len(LONG))
    inbox.put(delivery("live"))
    assert len(take(inbox, messages_max=1)) == 1
    assert len(inbox) == 4


def test_a_backlog_goes_on_beside_live_gates_as_soon_as_these_are_served():
    inbox = filled(delivery("back", LONG, number=7), *[delivery(f"live-{n}") for n in range(600)])
    assert len(take(inbox)) == 512
    assert take(inbox)[-1].packet_id == 7


def test_a_long_message_does_not_overtake_what_its_device_sent_before():
    inbox = filled(delivery("gate", number=1), delivery("gate", number=2), delivery("gate", LONG, number=3))
    assert [each.packet_id for each in take(inbox, bytes_max=1)] == [1]
    assert [each.packet_id for each in take(inbox)] == [2, 3]


def test_what_a_device_sends_after_a_long_message_stays_behind_it():
    inbox = filled(
        delivery("back", LONG, number=1), delivery("back", number=2), delivery("back", leaf="presence", number=3)
    )
    assert [each.packet_id for each in take(inbox)] == [1, 2, 3]
    inbox.put(delivery("back", number=4))
    inbox.put(delivery("other", LONG, number=5))
    assert [each.packet_id for each in take(inbox)] == [4, 5]


def test_whatever_comes_and_is_taken_every_device_keeps_its_order():
    for seed in range(200):
        rng = random.Random(seed)
        inbox, sent, got = Inbox(), 0, []
        now_s = 0.0
        for _ in range(120):
            now_s += rng.choice((0.0, 0.3, 2.0))
            for _ in range(rng.randrange(4)):
                sent += 1
                device = f"gate-{rng.randrange(3)}"
                payload = rng.choice((SHORT, SHORT, LONG, bytes(4096), bytes(4097)))
                inbox.put(delivery(device, payload, at_s=now_s, number=sent))
            got += inbox.take(messages_max=rng.randrange(1, 6), bytes_max=rng.choice((1, 9000, 1 << 20)), now_s=now_s)
        while len(inbox):
            got += inbox.take(messages_max=512, bytes_max=1 << 20, now_s=now_s + 9)
        assert len(got) == sent
        assert inbox.bytes == 0
        for device in ("gate-0", "gate-1", "gate-2"):
            numbers = [each.packet_id for each in got if f"/{device}/" in each.topic]
            assert numbers == sorted(numbers)
