"""The way from a real spool over a real broker to a hub, while broker and hub are killed."""

import random
import secrets
import time
from functools import partial

import pytest

from device.send.audit import audit_file
from device.send.outbox import Outbox
from device.send.status import Versions
from device.send.uplink import Uplink
from device.send.wire import Broker, Wire
from protocol import topics
from protocol.checkin import parse_checkin
from protocol.limits import STATUS_LIST_BYTES

pytestmark = [pytest.mark.sockets, pytest.mark.system]


class SlowReader:
    """A downlink that takes as long for a list as a Pi."""

    def __init__(self, device):
        self.subscriptions = (topics.policy(device),)
        self.taken = []

    def take(self, topic, payload):
        time.sleep(0.05)
        self.taken.append((topic, payload))


def mono_ms():
    return time.monotonic_ns() // 1_000_000


@pytest.fixture
def uplink(site, hub, open_spool, device):
    spool = open_spool()
    cert, key = site.pem(device.hex())
    broker = Broker(host="127.0.0.1", port=site.port, ca=site.folder / "ca.pem", cert=cert, key=key)
    outbox, downlink = Outbox(mono_ms=mono_ms), SlowReader(device)
    uplink = Uplink(
        device=device,
        spool=spool,
        hub_keys=[hub.key.public],
        open_wire=partial(Wire.open, broker=broker, client_id=device.hex()),
        firmware="0.1.0",
        versions=lambda: Versions(trust=1, policy=1),
        health=lambda: b"\xa0",
        now_ms=lambda: time.time_ns() // 1_000_000,
        mono_ms=mono_ms,
        random=random.Random(7).random,
        random_bytes=secrets.token_bytes,
        outbox=outbox,
        downlink=downlink,
    )
    uplink.spool, uplink.outbox, uplink.downlink = spool, outbox, downlink
    uplink.start()
    yield uplink
    assert uplink.stop()
    assert uplink.failure is None


def stored_seqs(hub):
    return [seq for _, seq in sorted(hub.stored)]


def test_a_check_in_is_receipted_at_once(uplink, hub, build, eventually):
    hub.start()
    eventually(lambda: uplink.status.hub_online)
    for seq in range(1, 6):
        started = time.monotonic()
        uplink.spool.append(build)
        uplink.appended()
        eventually(lambda: uplink.spool.depth == 0)
        assert time.monotonic() - started < 4
        assert stored_seqs(hub)[-1] == seq
    eventually(lambda: hub.presences and hub.health)
    assert hub.presences[-1].online


def test_a_backlog_goes_in_full_messages_and_in_order(uplink, hub, build, eventually):
    for _ in range(1_000):
        uplink.spool.append(build)
    uplink.appended()
    hub.start()
    eventually(lambda: uplink.spool.depth == 0)
    assert stored_seqs(hub) == list(range(1, 1_001))
    assert [len(message) for message in hub.messages[:15]] == [64] * 15
    assert uplink.status.rewinds == 0


def test_nothing_is_published_before_the_hub_is_there(uplink, hub, build, eventually):
    uplink.spool.append(build)
    uplink.appended()
    eventually(lambda: uplink.status.connected)
    assert (uplink.status.messages, uplink.status.hub_online) == (0, False)
    hub.start()
    eventually(lambda: uplink.spool.depth == 0)


@pytest.mark.slow
def test_a_hub_that_says_nothing_gets_it_again(uplink, hub, build, eventually):
    hub.silent = True
    hub.start()
    uplink.spool.append(build)
    uplink.appended()
    eventually(lambda: hub.messages)
    assert uplink.spool.depth == 1
    hub.silent = False
    eventually(lambda: uplink.spool.depth == 0, within_s=12)
    assert uplink.status.rewinds == 1


def test_goodbye_leaves_an_offline_presence(uplink, hub, build, eventually):
    hub.start()
    uplink.spool.append(build)
    uplink.appended()
    eventually(lambda: uplink.spool.depth == 0)
    assert uplink.stop()
    eventually(lambda: not hub.presences[-1].online)
    assert (hub.presences[-1].oldest_seq, hub.presences[-1].newest_seq) == (2, 1)


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_broker_and_hub_are_killed(uplink, hub, build, eventually, path):
    chance = random.Random(11)
    hub.start()
    for round_ in range(6):
        for _ in range(chance.randint(1, 300)):
            uplink.spool.append(build)
            uplink.appended()
        time.sleep(chance.uniform(0, 0.05))
        if round_ % 3 == 0:
            hub.site.kill()
            hub.stop()
            hub.site.start()
            hub.start()
        elif round_ % 3 == 1:
            hub.stop()
            hub.start()
    eventually(lambda: uplink.spool.depth == 0, within_s=30)
    assert stored_seqs(hub) == list(range(1, uplink.spool.newest + 1))
    assert all(parse_checkin(data).checkin.seq == seq for (_, seq), data in hub.stored.items())
    assert (uplink.status.bad_receipts, uplink.status.storage_faults) == (0, 0)
    assert uplink.status.connects >= 2
    assert audit_file(path).faults == ()


def test_a_result_reaches_the_hub_though_it_comes_later(uplink, hub, device, eventually):
    result = uplink.outbox.put(topics.results(device), b"done", 1)
    eventually(lambda: uplink.status.connected)
    assert not result.acknowledged
    hub.start()
    assert result.wait(10)
    eventually(lambda: hub.results == [b"done"])


@pytest.mark.slow
def test_receipts_come_while_large_lists_pour_in(uplink, hub, device, build, eventually):
    hub.start()
    eventually(lambda: uplink.status.hub_online)
    uplink.spool.append(build)
    uplink.appended()
    eventually(lambda: uplink.spool.depth == 0)
    for number in range(24):
        hub.say(topics.policy(device), bytes([number]) * STATUS_LIST_BYTES)
    slowest_s = 0.0
    end = time.monotonic() + 30
    while len(uplink.downlink.taken) < 24:
        assert time.monotonic() < end
        started = time.monotonic()
        uplink.spool.append(build)
        uplink.appended()
        eventually(lambda: uplink.spool.depth == 0)
        slowest_s = max(slowest_s, time.monotonic() - started)
    assert [payload[0] for _, payload in uplink.downlink.taken] == list(range(24))
    # The receipt stands behind what the broker has sent already, which is bounded; never behind all of it.
    assert slowest_s < 4.0
    print(f"slowest receipt {slowest_s:.2f} s")
    assert (uplink.status.connects, uplink.status.rewinds, uplink.status.oversized) == (1, 0, 0)
