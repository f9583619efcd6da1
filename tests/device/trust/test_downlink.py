import threading
from dataclasses import dataclass, field, replace

import pytest

from device.trust.clock import HINT_LASTS_S
from device.trust.downlink import GRACE_MS, Downlink
from device.trust.lists import LISTS
from device.trust.policy import Policies
from protocol import cbor, topics
from protocol.keys import Ed25519SigningKey
from protocol.limits import (
    COMMAND_BYTES,
    INT64_MAX,
    POLICY_BYTES,
    RESOLVED_BYTES,
    STATUS_DELTA_BYTES,
    STATUS_LIST_BYTES,
    TIME_HINT_BYTES,
    TRUST_BYTES,
    USED_BYTES,
)
from protocol.policy import GatePolicy
from protocol.terms import Colour
from protocol.timehint import TimeHint, seal_time
from protocol.trust import seal_trust

DEVICE = b"device-1"
DEFAULT = GatePolicy(device=DEVICE, version=0, issued_s=0, place="mall", gate="n1")


@dataclass
class Broker:
    """A FAKE of broker, hub and uplink: retained messages come once for each new subscription."""

    gate: object
    platform: object
    commands: list = field(default_factory=list)
    resolved: list = field(default_factory=list)
    used: list = field(default_factory=list)
    in_force: list = field(default_factory=list)
    retained: dict = field(default_factory=dict)
    subscribed: set = field(default_factory=set)
    delivered: list = field(default_factory=list)
    mono_ms: int = 0

    def __post_init__(self):
        keys = {self.platform.hub.public.kid: self.platform.hub.public}
        gate = self.gate
        self.policies = Policies(default=DEFAULT, hub_keys=keys, believed=gate.believed)
        self.downlink = Downlink(
            device=DEVICE,
            place="mall",
            hub_keys=keys,
            issuers=gate.issuers,
            lists=gate.lists,
            policies=self.policies,
            clock=gate.clock,
            on_command=self.commands.append,
            on_resolved=self.resolved.append,
            on_used=self.used.append,
            on_trust=lambda version: self.in_force.append(("trust", version)),
            on_status=lambda name, version: self.in_force.append((name, version)),
            mono_ms=lambda: self.mono_ms,
        )

    def publish(self, topic, payload, *, retain=False):
        if retain:
            self.retained[topic] = payload
        if any(matches(wanted, topic) for wanted in self.subscribed):
            self._deliver(topic, payload)
        self.follow()

    def follow(self):
        """As `device.send.feed` does after each message: new subscriptions bring what is retained."""
        while (wanted := set(self.downlink.subscriptions)) != self.subscribed:
            new, self.subscribed = wanted - self.subscribed, wanted
            for topic, payload in list(self.retained.items()):
                if any(matches(one, topic) for one in new):
                    self._deliver(topic, payload)

    def wait(self, ms):
        self.mono_ms += ms
        self.follow()

    def _deliver(self, topic, payload):
        self.delivered.append(topic)
        self.downlink.take(topic, payload)

    def publish_list(self, series, *, delta=None):
        if delta is not None:
            self.publish(topics.status_delta(series.id), delta)
        self.publish(topics.status_snapshot(series.id), series.snapshot(), retain=True)
        self.publish(topics.status_version(series.id), cbor.encode(series.version), retain=True)

    def snapshots(self):
        return [topic for topic in self.downlink.subscriptions if topic.endswith("/snapshot")]


def matches(wanted, topic):
    return len(wanted.split("/")) == len(topic.split("/")) and all(
        one in {"+", other} for one, other in zip(wanted.split("/"), topic.split("/"), strict=True)
    )


@pytest.fixture
def broker(gate, platform):
    broker = Broker(gate, platform)
    broker.follow()
    return broker


def test_it_wants_to_hear_what_concerns_it_and_no_more(broker):
    assert broker.downlink.subscriptions == (
        "gatelight/1/trust",
        topics.time(DEVICE),
        topics.policy(DEVICE),
        topics.commands(DEVICE),
        topics.resolved(DEVICE),
        "gatelight/1/p/mall/used",
        "gatelight/1/status/+/delta",
        "gatelight/1/status/+/version",
    )


def test_everything_finds_its_place(broker, gate, platform):
    broker.publish(topics.TRUST, platform.trust(version=2))
    broker.publish(topics.policy(DEVICE), platform.policy(version=4))
    broker.publish(topics.commands(DEVICE), b"command")
    broker.publish(topics.resolved(DEVICE), b"resolved")
    broker.publish(topics.used("mall"), b"used")
    assert gate.issuers.current.version == 2
    assert broker.policies.current.version == 4
    assert (broker.commands, broker.resolved, broker.used) == ([b"command"], [b"resolved"], [b"used"])
    assert broker.downlink.counts == {}


def test_what_comes_into_force_is_told_once(broker, platform):
    series = platform.series()
    broker.publish(topics.TRUST, platform.trust(version=2))
    broker.publish(topics.TRUST, platform.trust(version=2))
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    broker.publish(topics.status_delta(series.id), delta := series.delta({7: 1}))
    broker.publish(topics.status_delta(series.id), delta)
    broker.publish(topics.status_delta(series.id), series.heartbeat(issued_s=series.now_s + 1))
    broker.publish(topics.status_snapshot(series.id), series.snapshot())
    assert broker.in_force == [("trust", 2), (series.id, 1), (series.id, 2)]


def test_a_hint_of_the_time_reaches_the_clock(broker, gate, platform):
    gate.synchronised = False
    gate.mono_s += HINT_LASTS_S + 1
    assert not gate.clock.trusted
    gate.clock.asked(b"session1")
    hint = TimeHint(device=DEVICE, session=b"session1", at_ms=gate.now_s * 1000)
    broker.publish(topics.time(DEVICE), seal_time(hint, key=platform.hub))
    assert gate.clock.trusted
    broker.publish(topics.time(DEVICE), seal_time(replace(hint, session=b"session0"), key=platform.hub))
    assert broker.downlink.counts == {("time", "rollback"): 1}


def test_a_new_gate_catches_up_and_then_lives_by_deltas(gate, platform):
    broker = Broker(gate, platform)
    series = platform.series()
    broker.publish_list(series)
    broker.follow()
    assert broker.snapshots() == []
    broker.wait(GRACE_MS)
    assert gate.lists.version_of(series.id) == 1
    assert broker.snapshots() == []
    broker.publish_list(series, delta=series.delta({7: 1}))
    assert gate.colour(series, 7) is Colour.RED
    assert broker.delivered.count(topics.status_snapshot(series.id)) == 1
    assert broker.downlink.counts == {}


def test_a_gate_that_missed_deltas_catches_up_by_itself(broker, gate, platform):
    series = platform.series()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    broker.subscribed.clear()  # The network is gone.
    missed = [series.delta({index: 1}) for index in range(5)]
    for delta in missed:
        broker.retained[topics.status_version(series.id)] = cbor.encode(series.version)
        broker.retained[topics.status_snapshot(series.id)] = series.snapshot()
        assert delta
    broker.follow()
    broker.wait(GRACE_MS)
    assert gate.lists.version_of(series.id) == 6
    assert broker.snapshots() == []


def test_a_delta_that_shows_a_gap_brings_the_whole_list_at_once(broker, gate, platform):
    series = platform.series()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    series.delta({1: 1})
    broker.retained[topics.status_snapshot(series.id)] = series.snapshot()
    broker.publish(topics.status_delta(series.id), series.delta({2: 1}))
    assert gate.lists.version_of(series.id) == 3
    assert [gate.colour(series, index) for index in range(4)] == [0, 1, 1, 0]
    assert broker.snapshots() == []


def test_a_version_that_arrives_just_before_its_delta_brings_no_whole_list(broker, gate, platform):
    series = platform.series()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    delta = series.delta({7: 1})
    broker.publish(topics.status_version(series.id), cbor.encode(2), retain=True)
    broker.wait(GRACE_MS - 1)
    broker.publish(topics.status_delta(series.id), delta)
    broker.wait(GRACE_MS)
    assert gate.lists.version_of(series.id) == 2
    assert broker.delivered.count(topics.status_snapshot(series.id)) == 1


def test_a_false_version_costs_a_subscription_until_the_issuer_says_otherwise(broker, gate, platform):
    series = platform.series()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    broker.publish(topics.status_version(series.id), cbor.encode(INT64_MAX))
    broker.wait(GRACE_MS)
    assert broker.snapshots() == [topics.status_snapshot(series.id)]
    assert gate.colour(series, 1) is Colour.GREEN
    gate.now_s = series.now_s = gate.now_s + 20
    broker.publish(topics.status_delta(series.id), series.heartbeat())
    assert broker.snapshots() == []
    broker.publish(topics.status_version(series.id), cbor.encode(INT64_MAX))
    broker.publish(topics.status_version(series.id), cbor.encode(1))
    broker.wait(GRACE_MS)
    assert broker.snapshots() == []


@pytest.mark.parametrize(
    "payload", [cbor.encode(0), cbor.encode(INT64_MAX + 1), cbor.encode("1"), b"\x18\x01", b"\x01\x01", bytes(10)]
)
def test_a_version_that_is_none_changes_nothing(broker, platform, payload):
    broker.publish(topics.status_version(platform.series().id), payload)
    broker.wait(GRACE_MS)
    assert broker.snapshots() == []
    assert sum(broker.downlink.counts.values()) == 1


def test_versions_of_lists_that_nobody_has_are_bounded(broker):
    for number in range(LISTS + 10):
        broker.publish(topics.status_version(f"{number:016x}"), cbor.encode(1))
    broker.wait(GRACE_MS)
    assert len(broker.snapshots()) == LISTS
    assert broker.downlink.counts == {("status_version", "room"): 10}


def test_a_gate_that_is_full_asks_for_no_more_lists(broker, gate, platform):
    for number in range(LISTS):
        gate.lists.offer_snapshot(platform.series(f"https://status.example/{number}").snapshot())
    broker.publish_list(platform.series("https://status.example/more"))
    broker.wait(GRACE_MS)
    assert broker.snapshots() == []
    assert broker.downlink.counts == {("status_version", "room"): 1}


def test_an_older_whole_list_and_an_older_delta_are_ignored_and_counted(broker, gate, platform):
    series = platform.series()
    first = series.snapshot()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    delta = series.delta({7: 1})
    broker.publish(topics.status_delta(series.id), delta)
    broker.publish(topics.status_delta(series.id), delta)
    broker.downlink.take(topics.status_snapshot(series.id), first)
    assert gate.colour(series, 7) is Colour.RED
    assert broker.downlink.counts == {("status_delta", "older"): 1, ("status_snapshot", "older"): 1}


def test_a_list_of_another_issuer_with_the_same_address_affects_nobody(broker, gate, platform):
    ours = platform.series()
    broker.publish_list(ours)
    broker.wait(GRACE_MS)
    theirs = platform.series(issuer="jiangxi", version=900, packed=bytearray(b"\x55" * 1024))
    broker.publish_list(theirs)
    broker.wait(GRACE_MS)
    broker.publish(topics.status_delta(theirs.id), theirs.delta({1: 1}))
    assert gate.colour(ours, 1) is Colour.GREEN
    assert gate.colour(theirs, 1) is Colour.RED
    broker.publish(topics.status_delta(ours.id), ours.delta({7: 1}))
    assert gate.colour(ours, 7) is Colour.RED
    assert broker.snapshots() == []


def test_cross_topic_objects_are_refused(broker, gate, platform):
    series, other = platform.series(), platform.series("https://status.example/2")
    objects = {
        "trust": platform.trust(version=2),
        "policy": platform.policy(version=2),
        "snapshot": series.snapshot(),
        "delta": series.heartbeat(),
        "time": seal_time(TimeHint(device=DEVICE, session=b"session1", at_ms=gate.now_s * 1000), key=platform.hub),
    }
    gate.clock.asked(b"session1")
    places = {
        "trust": topics.TRUST,
        "policy": topics.policy(DEVICE),
        "snapshot": topics.status_snapshot(other.id),
        "delta": topics.status_delta(other.id),
        "time": topics.time(DEVICE),
    }
    refused = 0
    for name, data in objects.items():
        for place, topic in places.items():
            if (name, place) not in {("trust", "trust"), ("policy", "policy"), ("time", "time")}:
                broker.downlink.take(topic, data)
                refused += 1
    assert sum(broker.downlink.counts.values()) == refused == 22
    assert gate.lists.versions == {}
    assert gate.issuers.current.version == 1
    assert broker.policies.current is DEFAULT
    assert gate.clock.offset_ms is None
    assert broker.snapshots() == []


OVER = [
    (topics.TRUST, TRUST_BYTES, "trust"),
    (topics.policy(DEVICE), POLICY_BYTES, "policy"),
    (topics.time(DEVICE), TIME_HINT_BYTES, "time"),
    (topics.commands(DEVICE), COMMAND_BYTES, "commands"),
    (topics.resolved(DEVICE), RESOLVED_BYTES, "resolved"),
    (topics.used("mall"), USED_BYTES, "used"),
    (topics.status_version("0" * 16), 9, "status_version"),
    (topics.status_delta("0" * 16), STATUS_DELTA_BYTES, "status_delta"),
    (topics.status_snapshot("0" * 16), STATUS_LIST_BYTES, "status_snapshot"),
]


@pytest.mark.parametrize(("topic", "limit", "kind"), OVER, ids=[kind for _, _, kind in OVER])
def test_what_is_too_long_is_not_read_at_all(broker, topic, limit, kind):
    broker.downlink.take(topic, bytes(limit + 1))
    assert broker.downlink.counts == {(kind, "limit"): 1}
    assert (broker.commands, broker.resolved, broker.used) == ([], [], [])
    broker.downlink.take(topic, bytes(limit))
    assert (kind, "limit") not in broker.downlink.counts or broker.downlink.counts[kind, "limit"] == 1


@pytest.mark.parametrize(("topic", "limit", "kind"), OVER, ids=[kind for _, _, kind in OVER])
def test_a_topic_that_was_cleared_says_nothing(broker, topic, limit, kind):
    broker.downlink.take(topic, b"")
    assert broker.downlink.counts == {}
    assert (broker.commands, broker.resolved, broker.used) == ([], [], [])


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "gatelight/1/status/xyz/delta",
        "gatelight/1/status/+/delta",
        topics.policy(b"device-2"),
        topics.used("metro"),
        "\U0001f6a6" * 100,
    ],
)
def test_a_topic_that_is_not_ours_is_counted(broker, topic):
    broker.downlink.take(topic, b"payload")
    assert broker.downlink.counts == {("other", "malformed"): 1}


def test_everything_signed_by_a_stranger_is_refused_and_said(broker, gate, platform, caplog):
    stranger = Ed25519SigningKey(bytes(32))
    series = platform.series()
    forged = replace(series, key=stranger)
    broker.downlink.take(topics.TRUST, seal_trust(platform.bundle(version=9), key=stranger))
    platform.hub = stranger
    broker.downlink.take(topics.policy(DEVICE), platform.policy(version=9))
    broker.downlink.take(topics.status_snapshot(series.id), forged.snapshot())
    broker.downlink.take(topics.status_delta(series.id), forged.delta({1: 1}))
    assert broker.downlink.counts == dict.fromkeys(
        ((kind, "unknown_key") for kind in ("trust", "policy", "status_snapshot", "status_delta")), 1
    )
    for kind in ("trust", "policy", "status_snapshot", "status_delta"):
        assert f"downlink: {kind} refused (unknown_key)" in caplog.text


def test_a_forged_whole_list_is_asked_for_again_only_when_there_is_reason_to(broker, gate, platform):
    """The issuer's new key signs a list before the trust bundle with that key has come."""
    new = Ed25519SigningKey(b"n" * 32)
    series = replace(platform.series(), key=new)
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    assert broker.downlink.counts == {("status_snapshot", "unknown_key"): 1}
    assert broker.snapshots() == []
    broker.wait(10 * GRACE_MS)
    assert broker.delivered.count(topics.status_snapshot(series.id)) == 1
    platform.issuers["chongqing"].append(new)
    broker.publish(topics.TRUST, platform.trust(version=2), retain=True)
    assert gate.lists.version_of(series.id) == 1
    assert broker.snapshots() == []


def test_a_list_whose_key_was_withdrawn_is_asked_for_again(broker, gate, platform):
    series = platform.series()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    new = Ed25519SigningKey(b"n" * 32)
    series.key = new
    broker.retained[topics.status_snapshot(series.id)] = series.snapshot()
    platform.issuers["chongqing"] = [new]
    broker.publish(topics.TRUST, platform.trust(version=2))
    assert gate.lists.version_of(series.id) == 1
    assert gate.colour(series, 1) is Colour.GREEN


def test_a_long_log_is_shortened_by_a_whole_list(broker, gate, platform, monkeypatch):
    monkeypatch.setattr("device.trust.listfiles.LOG_DELTAS", 5)
    series = platform.series()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    for index in range(20):
        broker.publish_list(series, delta=series.delta({index: 1}))
    assert gate.lists.wanting == frozenset()
    assert broker.snapshots() == []
    assert gate.restarted().lists.version_of(series.id) == 21
    assert broker.downlink.counts == {}


def test_random_bytes_on_every_topic_raise_nothing(broker, gate):
    import random

    chance = random.Random(1)
    known = [topic for topic, _, _ in OVER]
    for _ in range(3000):
        broker.downlink.take(chance.choice(known), chance.randbytes(chance.choice([0, 1, 5, 40, 300])))
    assert gate.lists.versions == {}
    assert broker.policies.current is DEFAULT


def test_the_counts_may_be_read_while_they_grow(broker, platform):
    stop = threading.Event()
    failed = []

    def read():
        while not stop.is_set():
            try:
                dict(broker.downlink.counts)
            except RuntimeError as error:
                failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(300):
            broker.downlink._count(f"kind {number}", "reason")
    finally:
        stop.set()
        reader.join()
    assert failed == []


@pytest.mark.slow
def test_a_look_up_never_sees_half_of_a_delta(broker, gate, platform):
    """Everybody changes together, from green to red and back, while another thread looks up."""
    series = platform.series()
    broker.publish_list(series)
    broker.wait(GRACE_MS)
    stop, seen, torn = threading.Event(), set(), []

    def scan():
        while not stop.is_set():
            entries = [gate.entry(series, index) for index in (0, 4095)]
            seen.update(entry.colour for entry in entries)
            # Odd versions are green, even ones red.
            torn.extend(entry for entry in entries if (entry.colour is Colour.RED) != (entry.version % 2 == 0))

    reader = threading.Thread(target=scan)
    reader.start()
    try:
        for round_ in range(60):
            status = 1 - round_ % 2
            broker.publish(topics.status_delta(series.id), series.delta(dict.fromkeys(range(4096), status)))
    finally:
        stop.set()
        reader.join()
    assert torn == []
    assert seen == {Colour.GREEN, Colour.RED}
    assert gate.lists.version_of(series.id) == 61


def test_whole_lists_that_nobody_asked_for_leave_nothing_behind(broker):
    for number in range(100):
        broker.downlink.take(topics.status_snapshot(f"{number:016x}"), b"x")
    assert broker.downlink.counts == {("status_snapshot", "malformed"): 100}
    assert broker.downlink._refused == set()
