"""Go-back-N against a channel that loses everything now and then, and a hub that crashes and forgets."""

import random
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.send.gobackn import GoBackN, LinkState

pytestmark = pytest.mark.slow


class Hub:
    """Stores check-ins of one device in order; what is stored survives a crash, unless a backup is restored."""

    def __init__(self):
        self.stored: list[int] = []
        self.gaps: list[tuple[int, int]] = []
        self.head = 0
        self.backup: tuple[list[int], int] = ([], 0)
        self.session = 1

    def presence(self, oldest):
        """The device says what it no longer has: if that is missing here, nobody has it."""
        if oldest > self.head + 1:
            self.gaps.append((self.head + 1, oldest - 1))
            self.head = oldest - 1

    def take(self, first, last):
        """One message; gives the receipt."""
        if first <= self.head + 1:
            self.stored.extend(range(self.head + 1, last + 1))
            self.head = max(self.head, last)
        return self.head


class World:
    """Everything between a spool and a hub. Each step is one thing that may happen, chosen by `chance`."""

    def __init__(self, chance: random.Random, *, restores: bool):
        self.chance = chance
        self.restores = restores
        self.link = GoBackN(oldest=1, newest=0, random=chance.random)
        self.hub = Hub()
        self.receipted = 0
        self.newest = 0
        self.now_ms = 0
        self.to_hub: deque[tuple[int, int]] = deque()
        self.to_device: deque[int] = deque()
        self.pubacks = 0
        self.ever_stored: set[int] = set()
        self.lost_by_the_hub: set[int] = set()

    def step(self):
        calm = [self.append, self.deliver, self.deliver, self.deliver, self.answer, self.answer, self.puback, self.wait]
        wild = [self.cut, self.hub_crash, self.lose, self.duplicate]
        if self.restores:
            wild += [self.take_backup, self.restore]
        self.chance.choice(calm * 3 + wild)()
        self.pump()

    def append(self):
        self.newest += self.chance.choice([1, 1, 1, 100])
        self.link.appended(self.newest)

    def wait(self):
        self.now_ms += self.chance.choice([10, 1_000, 30_000])
        self.link.tick(now_ms=self.now_ms)

    def connect(self):
        if self.link.state is LinkState.OFFLINE:
            self.link.connected()
            self.greet()

    def greet(self):
        self.link.hub_presence(session=self.hub.session.to_bytes(8, "big"), online=True)

    def cut(self):
        """The connection breaks: whatever is on its way is gone, also answers to what the hub has stored."""
        self.link.disconnected()
        self.to_hub.clear()
        self.to_device.clear()
        self.pubacks = 0
        self.connect()

    def hub_crash(self):
        """Messages that the broker had acknowledged are lost; the new hub says a new session."""
        for _ in range(self.chance.randint(0, len(self.to_hub))):
            self.to_hub.popleft()
        self.hub.session += 1
        if self.link.state is not LinkState.OFFLINE:
            if self.chance.random() < 0.5:
                self.link.hub_presence(session=bytes(8), online=False)
            self.greet()

    def lose(self):
        """The broker drops a message in the middle (a full queue), or a receipt."""
        for queue in (self.to_hub, self.to_device):
            if queue and self.chance.random() < 0.5:
                del queue[self.chance.randrange(len(queue))]

    def duplicate(self):
        if self.to_hub:
            self.to_hub.insert(0, self.to_hub[0])
        if self.to_device:
            self.to_device.append(self.to_device[0])

    def take_backup(self):
        self.hub.backup = (list(self.hub.stored), self.hub.head)

    def restore(self):
        """The hub's disk is lost; the backup comes back, and a new session."""
        stored, self.hub.head = self.hub.backup
        self.lost_by_the_hub |= set(self.hub.stored) - set(stored)
        self.hub.stored = list(stored)
        self.to_device.clear()
        self.hub_crash()

    def deliver(self):
        if self.to_hub:
            receipt = self.hub.take(*self.to_hub.popleft())
            self.ever_stored |= set(self.hub.stored[-1000:])
            self.to_device.append(receipt)

    def answer(self):
        if self.to_device:
            seq = self.to_device.popleft()
            if seq > self.receipted:
                assert seq in self.ever_stored, "forgotten, but never stored"
                self.receipted = seq
            self.link.receipt(seq, now_ms=self.now_ms)

    def puback(self):
        if self.pubacks:
            self.pubacks -= 1
            self.link.puback()

    def pump(self):
        if self.link.take_hang_up():
            self.cut()
        if self.link.take_presence():
            self.hub.presence(self.receipted + 1)
        sent = 0
        while (wanted := self.link.next_message()) is not None:
            assert self.receipted < wanted.first <= self.newest, "what is wanted must still be in the spool"
            last = wanted.first + self.chance.randint(1, wanted.most) - 1
            self.link.sent(last, now_ms=self.now_ms)
            self.to_hub.append((wanted.first, last))
            self.pubacks += 1
            sent += 1
            assert sent <= 8
        assert self.pubacks <= 8

    def settle(self):
        """From now on everything works: the spool must become empty."""
        self.connect()
        for _ in range(40 * (self.newest + 20)):
            self.pump()
            if self.receipted == self.newest:
                return
            self.deliver()
            self.answer()
            self.puback()
            self.now_ms += 100
            self.link.tick(now_ms=self.now_ms)
        pytest.fail(f"stuck at {self.receipted} of {self.newest}")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_is_lost_everything_arrives_once_and_in_order(seed):
    world = World(random.Random(seed), restores=False)
    world.connect()
    for _ in range(150):
        world.step()
    world.settle()
    assert world.hub.stored == list(range(1, world.newest + 1))
    assert world.hub.gaps == []


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_a_restored_hub_records_the_gap_and_gets_everything_else(seed):
    world = World(random.Random(seed), restores=True)
    world.connect()
    for _ in range(150):
        world.step()
    world.settle()
    assert all(before < after for before, after in pairwise(world.hub.stored))
    lost = {seq for first, last in world.hub.gaps for seq in range(first, last + 1)}
    missing = set(range(1, world.newest + 1)) - set(world.hub.stored)
    assert missing <= lost
    assert missing <= world.lost_by_the_hub
