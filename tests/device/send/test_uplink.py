"""The uplink as stories on a wire that is scripted: no socket, no thread, no real time."""

from dataclasses import replace

import pytest

from device.model import StorageError
from device.send.outbox import Outbox
from device.send.ports import Acknowledged, Missed, Oversized, Received, Refused, Up, WireError
from device.send.status import Versions
from device.send.uplink import Uplink
from protocol import topics
from protocol.checkin import GENESIS, decode_message, hash_of
from protocol.keys import Ed25519SigningKey
from protocol.presence import HubPresence, decode_device_presence, encode_hub_presence
from protocol.receipt import Receipt, seal_receipt

NOW_MS = 1_790_000_000_000
HUB_KEY = Ed25519SigningKey(b"hub " * 8)


def hub_is(*, online=True, session=b"session1"):
    presence = HubPresence(session=session, online=online, at_ms=NOW_MS)
    return Received(topic=topics.HUB_PRESENCE, payload=encode_hub_presence(presence))


class ScriptedWire:
    """Plays a story: a generator that yields what happens next, and looks at what was published meanwhile."""

    def __init__(self, stage, story):
        self._stage = stage
        self._story = story(self)
        self.published = []
        self.ended = None
        self.closed = False
        self.going = False
        self.asked = []
        self.taken_ = []

    def subscribe(self, topics_):
        self.asked += [("+", topic) for topic in topics_]

    def unsubscribe(self, topics_):
        self.asked += [("-", topic) for topic in topics_]

    def taken(self, message):
        self.taken_.append(message.mid)

    def events(self):
        self._stage.notify()  # So that the uplink never waits.
        try:
            return next(self._story)
        except StopIteration:
            self.ended = "the story is over"
            return []

    def publish(self, topic, payload, *, qos, retain=False):
        if self.going:
            return None
        self.published.append((topic.rsplit("/", 1)[1], payload, qos, retain))
        return len(self.published)

    def close(self):
        self.closed = True

    def acknowledged(self, *, ok=True):
        """The broker's answer to the last check-ins message."""
        mids = [mid for mid, (name, *_) in enumerate(self.published, start=1) if name == "checkins"]
        return Acknowledged(mid=mids[-1], ok=ok)

    def mid_of(self, leaf):
        return next(mid for mid, (name, *_) in enumerate(self.published, start=1) if name == leaf)

    def of(self, leaf):
        return [payload for name, payload, _, _ in self.published if name == leaf]


class ScriptedDownlink:
    def __init__(self, stage):
        self._stage = stage
        self.subscriptions = ()
        self.taken = []
        self.takes_ms = 0
        self.then = lambda topic: None

    def take(self, topic, payload):
        self._stage.mono_ms += self.takes_ms
        self.taken.append(payload)
        self.then(topic)


class Stage:
    """An uplink with a clock that the story moves."""

    def __init__(self, spool, device, build):
        self.spool, self.device, self.build = spool, device, build
        self.mono_ms = 0
        self.notify = lambda: None
        self.wires = []
        self.story = None
        self.downlink = ScriptedDownlink(self)
        self.outbox = Outbox(mono_ms=lambda: self.mono_ms)
        self.versions = Versions(trust=3, policy=4)
        self.condition = "well"
        self.wants_time = False
        self.asked = []
        self.drawn = 0
        self.uplink = Uplink(
            device=device,
            spool=spool,
            hub_keys=[HUB_KEY.public],
            open_wire=self._open_wire,
            firmware="0.1.0",
            versions=lambda: self.versions,
            health=lambda: b"well",
            now_ms=lambda: NOW_MS + self.mono_ms,
            mono_ms=lambda: self.mono_ms,
            random=lambda: 0.0,
            random_bytes=self._random_bytes,
            downlink=self.downlink,
            outbox=self.outbox,
            condition=lambda: self.condition,
            wants_time=lambda: self.wants_time,
            asked=self.asked.append,
        )

    def _random_bytes(self, length):
        self.drawn += 1
        return self.drawn.to_bytes(length, "big")

    def _open_wire(self, *, subscriptions, will, notify):
        if self.story is None:
            raise WireError("no network")
        self.notify, self.will, self.subscriptions = notify, will, subscriptions
        self.wires.append(ScriptedWire(self, self.story))
        return self.wires[-1]

    def connect(self):
        """One connection, from its beginning to its end, without waiting."""
        for _ in self.uplink._connect_once():
            pass

    def play(self, story):
        self.story = story
        self.connect()
        return self.wires[-1]

    def append(self, count=1):
        return [self.spool.append(self.build) for _ in range(count)]

    def receipt(self, seq, digest, *, key=HUB_KEY, device=None, epoch=None):
        receipt = Receipt(
            device=device or self.device, epoch=epoch or self.spool.epoch, seq=seq, hash=digest, at_ms=NOW_MS
        )
        return Received(topic=topics.receipts(self.device), payload=seal_receipt(receipt, key=key))


@pytest.fixture
def stage(open_spool, device, build):
    return Stage(open_spool(), device, build)


def test_from_the_spool_to_the_hub_and_only_the_receipt_forgets(stage):
    appended = stage.append(3)

    def story(wire):
        yield []
        assert wire.published == []
        yield [Up()]
        assert [name for name, *_ in wire.published] == ["presence", "health"]
        yield [hub_is()]
        (message,) = wire.of("checkins")
        assert [hash_of(data) for data in decode_message(message)] == [one.hash for one in appended]
        assert wire.published[-1][2:] == (1, False)
        yield [wire.acknowledged()]
        assert stage.spool.depth == 3
        yield [stage.receipt(3, appended[2].hash)]
        assert stage.spool.depth == 0
        assert stage.uplink.status.connected
        assert stage.uplink.status.hub_online

    wire = stage.play(story)
    assert wire.closed
    status = stage.uplink.status
    assert (status.sent, status.messages, status.receipts, status.connects) == (3, 1, 1, 1)
    assert (status.bad_receipts, status.rewinds, status.last_receipt_ms) == (0, 0, NOW_MS)
    assert (status.connected, status.hub_online) == (False, False)
    assert stage.subscriptions == ("gatelight/1/hub/presence", topics.receipts(stage.device))


def test_presence_tells_what_the_spool_holds_and_the_will_says_offline(stage):
    appended = stage.append(5)
    stage.spool.forget(2, appended[1].hash)

    def story(wire):
        yield [Up()]
        yield [hub_is()]
        yield [hub_is(session=b"session2")]
        yield []

    wire = stage.play(story)
    here, again = (decode_device_presence(payload) for payload in wire.of("presence"))
    assert replace(here, session=again.session) == again
    assert (here.online, here.epoch, here.oldest_seq, here.newest_seq) == (True, stage.spool.epoch, 3, 5)
    assert (here.firmware, here.trust_version, here.policy_version) == ("0.1.0", 3, 4)
    assert all((qos, retain) == (1, True) for name, _, qos, retain in wire.published if name == "presence")
    will = decode_device_presence(stage.will.payload)
    assert (will.online, will.session, stage.will.topic) == (False, here.session, topics.presence(stage.device))


BAD = {
    "not a receipt": lambda stage, one: Received(topic=topics.receipts(stage.device), payload=b"\xd2\x84junk"),
    "nothing": lambda stage, one: Received(topic=topics.receipts(stage.device), payload=b""),
    "another key": lambda stage, one: stage.receipt(1, one.hash, key=Ed25519SigningKey(b"x" * 32)),
    "another device": lambda stage, one: stage.receipt(1, one.hash, device=b"neighbor"),
    "another epoch": lambda stage, one: stage.receipt(1, one.hash, epoch=b"epoch-00"),
    "another hash": lambda stage, one: stage.receipt(1, bytes(32)),
    "a seq never given": lambda stage, one: stage.receipt(7, one.hash),
    "a broken signature": lambda stage, one: Received(
        topic=topics.receipts(stage.device), payload=stage.receipt(1, one.hash).payload[:-1] + b"\x00"
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_receipt_never_deletes_and_is_counted(stage, bad):
    (one,) = stage.append()

    def story(wire):
        yield [Up(), hub_is()]
        yield [bad(stage, one)]
        yield [stage.receipt(1, one.hash)]

    def before_the_good_one(wire):
        yield [Up(), hub_is()]
        yield [bad(stage, one)]
        yield []
        assert (stage.spool.depth, stage.uplink.status.receipts, stage.uplink.status.bad_receipts) == (1, 0, 1)

    stage.play(before_the_good_one)
    stage.play(story)
    assert (stage.spool.depth, stage.uplink.status.bad_receipts) == (0, 2)


def test_no_receipt_in_time_sends_again(stage):
    stage.append(2)

    def story(wire):
        yield [Up(), hub_is()]
        yield [wire.acknowledged()]
        stage.mono_ms += 4_999
        yield []
        assert len(wire.of("checkins")) == 1
        stage.mono_ms += 1
        yield []
        yield []
        assert wire.of("checkins")[0] == wire.of("checkins")[1]

    stage.play(story)
    assert stage.uplink.status.rewinds == 1


def test_a_hub_with_less_than_the_spool_forgot_hears_the_oldest_seq(stage):
    appended = stage.append(5)
    stage.spool.forget(3, appended[2].hash)
    stage = Stage(stage.spool, stage.device, stage.build)

    def story(wire):
        yield [Up(), hub_is()]
        yield [stage.receipt(0, GENESIS)]
        yield []

    wire = stage.play(story)
    assert [decode_device_presence(payload).oldest_seq for payload in wire.of("presence")] == [4, 4]
    assert [len(decode_message(payload)) for payload in wire.of("checkins")] == [2, 2]
    assert stage.spool.depth == 2


def test_a_message_of_the_largest_check_ins_stays_below_64_kib(stage):
    for _ in range(64):
        stage.spool.append(lambda epoch, seq, prev: seq.to_bytes(4, "big") * 256)

    def story(wire):
        yield [Up(), hub_is()]
        yield []

    wire = stage.play(story)
    assert [len(decode_message(payload)) for payload in wire.of("checkins")] == [63, 1]


def test_what_is_appended_meanwhile_goes_at_once(stage):
    def story(wire):
        yield [Up(), hub_is()]
        for count in (1, 2, 3):
            stage.append()
            stage.uplink.appended()
            yield []
            yield []
            assert len(wire.of("checkins")) == count

    stage.play(story)


def test_a_disk_that_cannot_forget_now_is_asked_again(stage, monkeypatch):
    (one,) = stage.append()
    forget = stage.spool.forget

    def full(*_):
        raise StorageError("the disk is full")

    def story(wire):
        yield [Up(), hub_is()]
        monkeypatch.setattr(stage.spool, "forget", full)
        yield [stage.receipt(1, one.hash)]
        monkeypatch.setattr(stage.spool, "forget", forget)
        yield []
        assert (stage.uplink.status.storage_faults, stage.uplink.status.receipts, stage.spool.depth) == (1, 0, 1)
        yield [stage.receipt(1, one.hash)]

    stage.play(story)
    assert stage.spool.depth == 0


def test_a_presence_that_says_nothing_is_ignored(stage):
    stage.append()

    def story(wire):
        yield [Up(), Oversized(), Received(topic=topics.HUB_PRESENCE, payload=b"")]
        yield [Received(topic="gatelight/1/d/00/0000000000000000/receipts", payload=b"not for us")]
        yield []
        assert wire.of("checkins") == []
        yield [hub_is()]
        yield [hub_is(online=False)]
        stage.append()
        yield []
        assert len(wire.of("checkins")) == 1
        assert not stage.uplink.status.hub_online

    stage.play(story)
    assert stage.uplink.status.oversized == 1


def test_a_message_that_the_broker_refused_is_counted_and_sent_again_later(stage):
    stage.append()

    def story(wire):
        yield [Up(), hub_is()]
        yield [wire.acknowledged(ok=False), Acknowledged(mid=999, ok=False)]
        stage.mono_ms += 5_000
        yield []
        yield []
        assert len(wire.of("checkins")) == 2

    stage.play(story)
    assert stage.uplink.status.refused_messages == 1


def test_a_broker_that_refuses_everything_is_not_asked_busily(stage):
    stage.append(100)

    def story(wire):
        yield [Up(), hub_is()]
        sent = 0
        while stage.mono_ms < 600_000:
            events = [wire.acknowledged(ok=False)] if len(wire.of("checkins")) > sent else []
            sent = len(wire.of("checkins"))
            yield events
            stage.mono_ms += 100

    wire = stage.play(story)
    assert len(wire.of("checkins")) <= 30
    assert stage.spool.depth == 100


def test_a_flapping_hub_gets_no_more_than_the_window_without_pubacks(stage):
    stage.append(100)

    def story(wire):
        yield [Up()]
        for n in range(500):
            yield [hub_is(session=n.to_bytes(8, "big"), online=True)]
            yield [hub_is(session=n.to_bytes(8, "big"), online=False)]

    wire = stage.play(story)
    assert len(wire.of("checkins")) <= 8
    assert stage.spool.depth == 100


def test_receipts_that_go_back_and_forth_neither_delete_nor_send_without_end(stage):
    appended = stage.append(10)

    def story(wire):
        yield [Up(), hub_is()]
        yield [stage.receipt(5, appended[4].hash)]
        for n in range(200):
            yield [stage.receipt(n % 5 or 0, appended[n % 5 - 1].hash if n % 5 else GENESIS), wire.acknowledged()]

    wire = stage.play(story)
    assert stage.spool.depth == 5
    assert len(wire.of("checkins")) <= 4


def test_health_at_once_and_every_30_s(stage):
    def story(wire):
        yield [Up()]
        for _ in range(6):
            yield []
            stage.mono_ms += 10_000
        yield []
        yield []

    wire = stage.play(story)
    assert [(payload, qos) for name, payload, qos, _ in wire.published if name == "health"] == [(b"well", 0)] * 3


def test_a_broker_that_never_answers_is_left(stage):
    def story(wire):
        while True:
            stage.mono_ms += 1_000
            yield []

    assert stage.play(story).closed
    assert 10_000 <= stage.mono_ms <= 12_000


def test_a_broker_that_acknowledges_nothing_is_left(stage):
    stage.append()

    def story(wire):
        yield [Up(), hub_is()]
        while True:
            stage.mono_ms += 1_000
            yield []

    assert stage.play(story).closed
    assert 5_000 <= stage.mono_ms <= 7_000


def test_a_connection_that_is_going_is_not_written_to(stage):
    stage.append()

    def story(wire):
        yield [Up()]
        wire.going = True
        yield [hub_is()]
        yield []

    assert stage.play(story).of("checkins") == []
    assert stage.uplink.status.sent == 0


def test_after_a_cut_everything_since_the_receipt_goes_again_on_a_new_wire(stage):
    appended = stage.append(3)

    def cut(wire):
        yield [Up(), hub_is()]
        yield [stage.receipt(1, appended[0].hash)]

    def again(wire):
        yield [Up(), hub_is()]
        yield []

    first, second = stage.play(cut), stage.play(again)
    assert [len(decode_message(wire.of("checkins")[0])) for wire in (first, second)] == [3, 2]
    assert stage.uplink.status.connects == 2


def test_the_waits_between_connections_grow_and_a_steady_one_makes_them_short(stage):
    waits = []
    runs = iter([None, None, "short", "steady", None])

    def story(wire):
        yield [Up()]
        stage.mono_ms += steps[0]
        yield []

    steps = [0]

    def next_run():
        run = next(runs, "end")
        stage.story = None if run is None else story
        steps[0] = {"short": 9_000, "steady": 10_000}.get(run, 0)
        return run == "end"

    stage.uplink._stopping = type("Stopping", (), {"is_set": staticmethod(lambda: False)})()
    while not next_run():
        stage.connect()
        waits.append(stage.uplink._backoff.next_ms())
    assert waits == [1_000, 2_000, 4_000, 1_000, 2_000]


def test_a_receipt_makes_the_next_wait_short_however_short_the_connection_was(stage):
    (appended,) = stage.append(1)
    for _ in range(4):
        stage.uplink._backoff.next_ms()

    def story(wire):
        yield [Up(), hub_is()]
        yield [stage.receipt(1, appended.hash)]

    stage.play(story)
    assert stage.uplink._backoff.next_ms() == 1_000


def test_stopping_says_offline_with_the_numbers_of_now(stage):
    def story(wire):
        yield [Up(), hub_is()]
        stage.append(2)
        stage.uplink._stopping.set()
        yield []

    wire = stage.play(story)
    said = decode_device_presence(wire.of("presence")[-1])
    assert (said.online, said.newest_seq) == (False, 2)
    assert wire.closed


def test_used_codes_that_ended_are_dropped_now_and_then(stage):
    stage.spool.append(stage.build, used=(b"code", NOW_MS + 3_000))

    def story(wire):
        yield [Up()]
        for _ in range(6):
            stage.mono_ms += 1_000
            yield []

    stage.play(story)
    assert stage.spool.used_since(0) == []


def test_whatever_goes_wrong_ends_the_thread_and_is_there_to_see(stage):
    def story(wire):
        yield [Up()]
        raise RuntimeError("a mistake of ours")

    stage.story = story
    stage.uplink.start()
    stage.uplink._thread.join(5)
    assert not stage.uplink._thread.is_alive()
    assert str(stage.uplink.failure) == "a mistake of ours"
    assert stage.wires[0].closed


def test_without_a_network_it_waits_and_can_be_stopped(stage):
    stage.uplink.start()
    assert stage.uplink.stop(timeout_s=5)
    assert stage.uplink.failure is None


def test_the_downlink_hears_what_it_wants_when_it_wants_it(stage):
    stage.downlink.subscriptions = ("a", "b", "a")

    def story(wire):
        yield []
        assert wire.asked == []
        yield [Up()]
        assert wire.asked == [("+", "a"), ("+", "b")]
        stage.downlink.subscriptions = ("b", "c")
        yield [Received(topic="b", payload=b"1", mid=7), Received(topic="used", payload=b"hint")]
        yield []
        assert wire.asked[2:] == [("-", "a"), ("+", "c")]
        # A hint goes first, for it grows old; who waits for QoS 1 to be taken is told.
        assert (stage.downlink.taken, wire.taken_) == ([b"hint", b"1"], [0, 7])
        yield []

    wire = stage.play(story)
    again = stage.play(story_of_one_turn)
    assert len(wire.asked) == 4
    assert again.asked == [("+", "b"), ("+", "c")]


def story_of_one_turn(wire):
    yield [Up()]
    yield []


def test_what_is_wanted_anew_between_two_messages_is_asked_for_anew(stage):
    def then(topic):
        stage.downlink.subscriptions = () if topic == "snapshot" else ("snapshot",)

    stage.downlink.subscriptions = ("snapshot",)
    stage.downlink.then = then

    def story(wire):
        yield [Up()]
        yield [Received(topic="snapshot", payload=b"", mid=1), Received(topic="delta", payload=b"", mid=2)]
        yield []

    assert stage.play(story).asked == [("+", "snapshot"), ("-", "snapshot"), ("+", "snapshot")]


def test_the_downlink_listens_before_the_hub_hears_that_we_are_there(stage):
    stage.downlink.subscriptions = ("time",)
    order = []

    def story(wire):
        subscribe, publish = wire.subscribe, wire.publish
        wire.subscribe = lambda asked: (order.append("subscribe"), subscribe(asked))
        wire.publish = lambda topic, *args, **more: (order.append("publish"), publish(topic, *args, **more))[1]
        yield [Up()]
        yield []

    stage.play(story)
    assert order[:2] == ["subscribe", "publish"]


def test_receipts_have_their_turn_between_large_messages(stage):
    appended = stage.append(1)
    stage.downlink.takes_ms = 300
    many = [Received(topic="snapshot", payload=bytes([number]), mid=number + 1) for number in range(12)]

    def story(wire):
        yield [Up(), hub_is()]
        yield [*many, stage.receipt(1, appended[0].hash), wire.acknowledged()]
        for turn in range(1, 11, 2):
            # One large message a turn; a check-in goes out in the one, its receipt is heard in the next.
            (one,) = stage.append(1)
            yield []
            assert (len(stage.downlink.taken), stage.spool.depth, len(wire.of("checkins"))) == (
                turn + 1,
                1,
                turn // 2 + 2,
            )
            yield [stage.receipt(turn // 2 + 2, one.hash), wire.acknowledged()]
            assert (len(stage.downlink.taken), stage.spool.depth) == (turn + 2, 0)
        yield []

    stage.play(story)
    assert stage.downlink.taken == [bytes([number]) for number in range(12)]
    assert (stage.uplink.status.receipts, stage.uplink.status.rewinds) == (6, 0)


def test_refused_subscriptions_and_lost_hints_are_counted_and_change_nothing(stage):
    stage.append(1)

    def story(wire):
        yield [Up(), Refused(), Missed(count=3), Oversized(count=2), hub_is()]
        yield []
        assert len(wire.of("checkins")) == 1

    stage.play(story)
    status = stage.uplink.status
    assert (status.refused_subscriptions, status.missed, status.oversized) == (1, 3, 2)


def test_what_others_want_said_goes_when_somebody_hears_it(stage):
    result = stage.outbox.put("d/results", b"result", 1)
    stage.outbox.put("p/used", b"hint", 0)

    def story(wire):
        yield []
        assert wire.published == []
        yield [Up()]
        assert wire.of("used") == [b"hint"]
        assert wire.of("results") == []
        yield [hub_is()]
        yield []
        assert wire.of("results") == [b"result"]
        assert not result.acknowledged
        yield [Acknowledged(mid=wire.mid_of("results"), ok=True)]
        assert result.wait(0)

    stage.play(story)
    assert stage.uplink.status.unsent == 0


def test_a_result_without_a_puback_is_said_again_on_the_next_connection(stage):
    result = stage.outbox.put("d/results", b"result", 1)

    def story(wire):
        yield [Up(), hub_is()]
        yield []

    assert [stage.play(story).of("results") for _ in range(2)] == [[b"result"]] * 2
    assert not result.acknowledged


def test_a_new_policy_is_told_within_a_second_and_new_lists_within_thirty(stage):
    def told(wire):
        return [(said.policy_version, dict(said.lists)) for said in map(decode_device_presence, wire.of("presence"))]

    def story(wire):
        yield [Up()]
        yield []
        stage.versions = Versions(trust=3, policy=5)
        yield []
        assert len(told(wire)) == 1
        stage.mono_ms += 1_000
        yield []
        yield []
        assert told(wire)[1:] == [(5, {})]
        stage.versions = Versions(trust=3, policy=5, lists={b"list-one": 7})
        stage.mono_ms += 29_999
        yield []
        assert len(told(wire)) == 2
        stage.mono_ms += 1
        yield []
        yield []
        assert told(wire)[2:] == [(5, {b"list-one": 7})]

    stage.play(story)


def test_a_gate_that_does_not_know_the_time_asks_by_another_presence(stage):
    def story(wire):
        yield [Up()]
        yield []
        (first,) = stage.asked
        stage.wants_time = True
        stage.mono_ms += 1_000
        yield []
        yield []
        said = [decode_device_presence(payload).session for payload in wire.of("presence")]
        # Another question has another name, or an old answer would do for it.
        assert said == stage.asked == [first, stage.asked[1]]
        assert first != stage.asked[1]
        wire.going = True
        stage.mono_ms += 1_000
        yield []
        yield []
        assert len(stage.asked) == 2

    stage.play(story)


def test_a_change_of_state_is_told_at_once_but_not_more_than_once_a_second(stage):
    def story(wire):
        yield [Up()]
        for number in range(100):
            stage.condition = f"state {number}"
            stage.mono_ms += 100
            yield []
        yield []
        assert 9 <= len(wire.of("health")) <= 11
        stage.mono_ms += 1_000
        yield []
        yield []
        count = len(wire.of("health"))
        stage.mono_ms += 10_000
        yield []
        yield []
        assert len(wire.of("health")) == count

    stage.play(story)
