"""One code at every gate of a place: what a hint does, and what it can never do."""

import random

import pytest

from device.trust.used import CODES_MOST, UsedElsewhere
from protocol import topics
from protocol.used import Used, decode_used, encode_used

NOW_MS = 1_800_000_000_000
LONGEST_MS = 300_000
HERE, THERE = b"gate-one", b"gate-two"


def code(number):
    return number.to_bytes(16, "big")


class World:
    """A wall clock and a monotonic one, which can go apart."""

    def __init__(self):
        self.now_ms = NOW_MS
        self.mono_ms = 5_000

    def pass_(self, ms):
        self.now_ms += ms
        self.mono_ms += ms

    def gate(self, device, put=lambda *_: None):
        return UsedElsewhere(
            device=device,
            place="mall",
            longest_ms=lambda: LONGEST_MS,
            put=put,
            now_ms=lambda: self.now_ms,
            mono_ms=lambda: self.mono_ms,
        )


@pytest.fixture
def world():
    return World()


def hint(number, *, ms, device=THERE):
    return encode_used(Used(code=code(number), until_ms=NOW_MS + ms, device=device))


def test_a_code_used_at_another_gate_is_used_here_until_its_time_is_over(world):
    gate = world.gate(HERE)
    gate.take(hint(1, ms=60_000))
    assert gate.used(code(1))
    assert not gate.used(code(2))
    world.pass_(59_999)
    assert gate.used(code(1))
    world.pass_(1)
    assert not gate.used(code(1))


def test_our_own_hint_comes_back_and_says_nothing(world):
    gate = world.gate(HERE)
    gate.take(hint(1, ms=60_000, device=HERE))
    assert not gate.used(code(1))


def test_what_is_announced_is_heard_at_the_other_gate(world):
    said = []
    here, there = world.gate(HERE, put=lambda *message: said.append(message)), world.gate(THERE)
    here.announce(code(1), NOW_MS + 60_000)
    ((topic, payload, qos),) = said
    assert (topic, qos, decode_used(payload).device) == (topics.used("mall"), 0, HERE)
    there.take(payload)
    assert there.used(code(1))


def test_no_hint_lasts_longer_than_a_code_can_be_used(world):
    gate = world.gate(HERE)
    gate.take(encode_used(Used(code=code(1), until_ms=253_402_300_799_999, device=THERE)))
    world.pass_(LONGEST_MS - 1)
    assert gate.used(code(1))
    world.pass_(1)
    assert not gate.used(code(1))


def test_a_wall_clock_that_jumps_changes_nothing_that_was_heard(world):
    gate = world.gate(HERE)
    gate.take(hint(1, ms=60_000))
    gate.take(hint(2, ms=60_000))
    world.now_ms += 10**10
    assert gate.used(code(1))
    world.now_ms -= 2 * 10**10
    world.mono_ms += 60_000
    assert not gate.used(code(2))


def test_a_hint_that_is_over_says_nothing(world):
    gate = world.gate(HERE)
    gate.take(hint(1, ms=0))
    assert not gate.used(code(1))


def test_a_later_hint_makes_the_time_longer_and_never_shorter(world):
    gate = world.gate(HERE)
    gate.take(hint(1, ms=10_000))
    gate.take(hint(1, ms=60_000))
    gate.take(hint(1, ms=5_000))
    world.pass_(59_999)
    assert gate.used(code(1))


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff",
        b"\xa0",
        hint(1, ms=1)[:-1],
        hint(1, ms=1) + b"\x00",
        bytes(4096),
        b"\xa3\x01\x4f" + bytes(15) + b"\x02\x01\x03\x48" + bytes(8),
    ],
)
def test_a_hint_that_cannot_be_read_is_counted(world, bad):
    gate = world.gate(HERE)
    gate.take(bad)
    assert (gate.refused, gate._ends) == (1, {})


def test_a_flood_takes_no_more_room_and_lets_the_oldest_pass_again(world):
    gate = world.gate(HERE)
    gate.take(hint(1, ms=200_000))
    for number in range(2, 12_000):
        gate.take(hint(number, ms=200_000))
        assert len(gate._ends) <= CODES_MOST
    assert gate.used(code(11_999))
    assert not gate.used(code(1))
    assert gate.forgotten == 11_999 - len(gate._ends)


def test_what_is_over_makes_room_before_what_is_not(world):
    gate = world.gate(HERE)
    gate.take(hint(1, ms=LONGEST_MS))
    for number in range(2, CODES_MOST + 1):
        gate.take(hint(number, ms=10))
    world.pass_(11)
    for number in range(10_000, 10_000 + CODES_MOST // 2):
        gate.take(hint(number, ms=100_000))
    assert gate.used(code(1))
    assert gate.forgotten == 0


def test_at_the_bound_a_code_heard_of_again_keeps_its_end(world):
    gate = world.gate(HERE)
    for number in range(CODES_MOST):
        gate.take(hint(number, ms=100_000))
    gate.take(hint(0, ms=50_000))
    world.pass_(99_999)
    assert gate.used(code(0))


class Place:
    """Gates of one place behind a broker that loses, repeats and delays. A code is shown at one after the other."""

    def __init__(self, world, chance, *, gates, lost, repeated, flood):
        self.world, self.chance = world, chance
        self.lost, self.repeated, self.flood = lost, repeated, flood
        self.queue = []
        self.devices = [b"gate-%03d" % number for number in range(gates)]
        self.gates = [
            world.gate(device, put=lambda _, payload, __: self.queue.append(payload)) for device in self.devices
        ]
        self.own = [{} for _ in self.gates]
        self.heard = [set() for _ in self.gates]

    def deliver(self):
        for payload in self.queue:
            for gate, heard in zip(self.gates, self.heard, strict=True):
                times = 0 if self.chance.random() < self.lost else 2 if self.chance.random() < self.repeated else 1
                for _ in range(times):
                    gate.take(payload)
                    heard.add(decode_used(payload).code)
        self.queue.clear()
        for gate in self.gates:
            for _ in range(self.flood):
                gate.take(hint(self.chance.getrandbits(128), ms=LONGEST_MS, device=b"gone-bad"))

    def show(self, at, shown):
        """As the scan does: the gate's own memory, then what it heard."""
        if self.own[at].get(shown, 0) > self.world.mono_ms or self.gates[at].used(shown):
            return False
        self.own[at][shown] = self.world.mono_ms + 120_000
        self.gates[at].announce(shown, self.world.now_ms + 120_000)
        return True


@pytest.mark.parametrize("lost", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("flood", [0, pytest.param(4, marks=pytest.mark.slow)])
def test_a_lost_hint_fails_open_once_at_each_gate_that_did_not_hear_it_and_no_further(world, lost, flood):
    chance = random.Random(7)
    place = Place(world, chance, gates=4, lost=lost, repeated=0.3, flood=flood)
    admitted = {}
    for number in range(120):
        shown = code(number)
        # The same picture is handed on and shown at random gates, again and again, within its time.
        for _ in range(12):
            at = chance.randrange(4)
            unheard = shown not in place.heard[at]
            if place.show(at, shown):
                # Never twice at one gate, and only where nothing had been heard.
                assert at not in admitted.setdefault(number, set())
                assert unheard
                admitted[number].add(at)
            place.deliver()
            world.pass_(20)
    assert all(gates for gates in admitted.values())
    if lost == 0.0:
        assert all(len(gates) == 1 for gates in admitted.values())
    if lost == 1.0:
        assert any(len(gates) == 4 for gates in admitted.values())


def test_after_its_time_a_hint_shuts_out_nobody(world):
    place = Place(world, random.Random(3), gates=3, lost=0.0, repeated=0.0, flood=0)
    assert place.show(0, code(1))
    place.deliver()
    assert not any(place.show(at, code(1)) for at in range(3))
    world.pass_(120_000)
    assert all(gate.used(code(1)) is False for gate in place.gates)
