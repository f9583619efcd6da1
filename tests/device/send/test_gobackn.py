import pytest

from device.send.gobackn import GoBackN, LinkState, fill

NEW, OTHER = b"session1", b"session2"


def machine(*, oldest=1, newest=0, random=lambda: 0.0):
    return GoBackN(oldest=oldest, newest=newest, random=random)


def sending(*, oldest=1, newest=0):
    link = machine(oldest=oldest, newest=newest)
    link.connected()
    link.hub_presence(session=NEW, online=True)
    link.take_presence()
    return link


def pump(link, now_ms=0):
    """Sends everything that is wanted; gives the first and last seq of each message."""
    sent = []
    while (wanted := link.next_message()) is not None:
        last = wanted.first + wanted.most - 1
        link.sent(last, now_ms=now_ms)
        sent.append((wanted.first, last))
    return sent


def test_nothing_is_sent_before_the_hub_is_online():
    link = machine(newest=5)
    assert pump(link) == []
    link.connected()
    assert (link.state, pump(link)) == (LinkState.WAITING, [])
    link.hub_presence(session=NEW, online=False)
    assert pump(link) == []
    link.hub_presence(session=NEW, online=True)
    assert (link.state, pump(link)) == (LinkState.SENDING, [(1, 5)])


def test_a_presence_left_over_from_an_older_connection_means_nothing():
    link = machine(newest=5)
    link.hub_presence(session=NEW, online=True)
    assert (link.state, pump(link)) == (LinkState.OFFLINE, [])


def test_presence_is_said_at_connect_and_to_a_new_session():
    link = machine()
    assert not link.take_presence()
    link.connected()
    assert link.take_presence()
    link.hub_presence(session=NEW, online=True)
    assert not link.take_presence()
    link.hub_presence(session=OTHER, online=True)
    assert link.take_presence()
    assert not link.take_presence()


def test_when_idle_one_goes_at_once_and_behind_the_array_fills():
    link = sending()
    for seq in (1, 2):
        link.appended(seq)
        assert pump(link) == [(seq, seq)]
    link.appended(150)
    assert pump(link) == [(3, 66), (67, 130), (131, 150)]


def test_at_most_eight_messages_beyond_the_last_receipt():
    link = sending(newest=1000)
    assert pump(link) == [(1 + 64 * i, 64 + 64 * i) for i in range(8)]
    for _ in range(8):
        link.puback()
    assert pump(link) == []
    link.receipt(128, now_ms=1)
    assert pump(link) == [(513, 576), (577, 640)]


def test_the_wire_takes_eight_messages_even_when_receipts_are_faster_than_pubacks():
    link = sending(newest=1000)
    pump(link)
    link.receipt(512, now_ms=1)
    assert pump(link) == []
    link.puback()
    assert pump(link) == [(513, 576)]


def test_a_puback_moves_nothing():
    link = sending(newest=10)
    pump(link)
    link.puback()
    assert pump(link) == []
    link.tick(now_ms=5_000)
    assert pump(link, 5_000) == [(1, 10)]


def test_without_a_receipt_it_begins_again_with_longer_waits_one_message_at_a_time():
    link = sending(newest=200)
    assert len(pump(link, 0)) == 4
    now_ms, waits = 0, []
    for _ in range(6):
        deadline = link.deadline_ms
        waits.append(deadline - now_ms)
        now_ms = deadline
        link.puback()
        link.tick(now_ms=now_ms - 1)
        assert pump(link, now_ms) == []
        link.tick(now_ms=now_ms)
        assert pump(link, now_ms) == [(1, 64)]
    assert waits == [5_000, 10_000, 20_000, 30_000, 30_000, 30_000]
    for _ in range(10):
        link.puback()
    link.receipt(64, now_ms=now_ms)
    assert pump(link, now_ms) == [(65, 128), (129, 192), (193, 200)]
    assert link.deadline_ms == now_ms + 5_000
    assert link.rewinds == 6


def test_the_wait_is_jittered():
    link = machine(newest=1, random=lambda: 0.5)
    link.connected()
    link.hub_presence(session=NEW, online=True)
    pump(link, 0)
    assert link.deadline_ms == 7_500


def test_each_receipt_gives_the_rest_its_full_time():
    link = sending(newest=130)
    pump(link, 0)
    link.receipt(64, now_ms=4_000)
    assert link.deadline_ms == 9_000
    link.receipt(130, now_ms=5_000)
    assert link.deadline_ms is None
    link.tick(now_ms=100_000)
    assert (pump(link), link.rewinds) == ([], 0)


def test_a_receipt_in_the_middle_of_a_message_keeps_the_rest_under_way():
    link = sending(newest=100)
    pump(link)
    link.receipt(70, now_ms=1)
    link.puback()
    assert pump(link) == []
    link.tick(now_ms=5_001)
    assert pump(link) == [(71, 100)]


def test_a_receipt_for_what_was_not_sent_on_this_connection_skips_it():
    link = sending(newest=100)
    link.receipt(90, now_ms=1)
    assert pump(link) == [(91, 100)]


def test_the_first_receipt_without_progress_begins_again_and_the_rest_of_the_burst_does_not():
    link = sending(oldest=11, newest=600)
    assert len(pump(link)) == 8
    for _ in range(8):
        link.puback()
        link.receipt(10, now_ms=1)
    assert link.rewinds == 1
    assert len(pump(link, 1)) == 8
    link.receipt(74, now_ms=2)
    link.receipt(74, now_ms=3)
    assert link.rewinds == 2


def test_a_receipt_without_progress_and_nothing_under_way_is_only_a_greeting():
    link = sending(oldest=11, newest=10)
    link.receipt(10, now_ms=1)
    assert (link.rewinds, link.take_presence()) == (0, False)


@pytest.mark.parametrize("seq", [0, 4, 9])
def test_a_hub_that_lost_rows_is_told_the_oldest_seq_and_gets_all_that_is_left(seq):
    link = sending(oldest=11, newest=20)
    pump(link)
    link.puback()
    link.receipt(seq, now_ms=1)
    assert link.take_presence()
    assert pump(link) == [(11, 20)]
    link.receipt(seq, now_ms=2)
    assert (link.take_presence(), pump(link)) == (False, [])
    link.receipt(20, now_ms=3)
    assert pump(link) == []


def test_a_hub_that_lost_rows_and_is_told_once_more_after_a_wait():
    link = sending(oldest=11, newest=20)
    pump(link)
    link.receipt(4, now_ms=1)
    link.take_presence()
    pump(link, 1)
    link.puback()
    link.tick(now_ms=link.deadline_ms)
    link.receipt(4, now_ms=20_000)
    assert link.take_presence()


def test_a_new_hub_session_gets_everything_since_the_last_receipt_at_once():
    link = sending(newest=128)
    pump(link, 0)
    link.puback()
    link.puback()
    link.receipt(64, now_ms=1)
    link.puback()
    link.tick(now_ms=5_001)
    pump(link, 5_001)
    link.hub_presence(session=OTHER, online=True)
    assert pump(link, 5_002) == [(65, 128)]
    assert link.deadline_ms == 10_002


def test_the_same_session_said_twice_changes_nothing():
    link = sending(newest=10)
    pump(link)
    link.hub_presence(session=NEW, online=True)
    assert (pump(link), link.take_presence()) == ([], False)


def test_a_hub_that_went_and_came_back_in_the_same_session_gets_it_again():
    link = sending(newest=10)
    pump(link)
    link.hub_presence(session=NEW, online=False)
    assert (link.deadline_ms, pump(link)) == (None, [])
    link.hub_presence(session=NEW, online=True)
    assert pump(link) == [(1, 10)]


def test_a_new_connection_starts_from_the_receipt_with_a_free_window():
    link = sending(newest=1000)
    pump(link)
    link.receipt(64, now_ms=1)
    link.disconnected()
    assert (link.state, link.deadline_ms, pump(link)) == (LinkState.OFFLINE, None, [])
    link.connected()
    link.hub_presence(session=NEW, online=True)
    assert pump(link)[0] == (65, 128)
    assert link.take_presence()


def test_a_receipt_before_the_hub_is_online_counts():
    link = machine(newest=10)
    link.connected()
    link.receipt(7, now_ms=1)
    link.receipt(5, now_ms=2)
    link.hub_presence(session=NEW, online=True)
    assert pump(link) == [(8, 10)]


def test_a_broker_that_acknowledges_nothing_is_left():
    link = sending(newest=10)
    pump(link, 0)
    link.tick(now_ms=5_000)
    assert link.take_hang_up()
    assert not link.take_hang_up()


def test_a_broker_that_acknowledges_is_not_left_for_the_silence_of_the_hub():
    link = sending(newest=1000)
    pump(link, 0)
    link.puback()
    link.tick(now_ms=5_000)
    assert not link.take_hang_up()


def test_what_was_not_wanted_cannot_have_been_sent():
    link = sending(newest=10)
    for last in (0, 11):
        with pytest.raises(ValueError, match="sent up to"):
            link.sent(last, now_ms=0)


def test_a_message_has_64_check_ins_and_64_kib():
    assert fill([300] * 100) == 64
    assert fill([300] * 10) == 10
    assert fill([]) == 0
    assert fill([1024] * 64) == 63
    assert fill([1021] + [1020] * 63) == 64
