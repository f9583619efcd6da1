"""The switch between the parts, on sockets instead of interfaces."""

import asyncio
import socket

import pytest

from deploy.sandbox.faults.wire import RUNNER, Direction, Weather, Wire

ONE, OTHER = 2, 3


def frame(to, text):
    return bytes([2, 0, 0, 0, 0, to]) + bytes(6) + text


class Part:
    def __init__(self, wire, port):
        self.own, switch = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.own.setblocking(False)
        wire.plug(port, switch.detach())

    def say(self, to, text):
        self.own.send(frame(to, text))

    def heard(self):
        frames = []
        try:
            while True:
                frames.append(self.own.recv(2048)[12:])
        except BlockingIOError:
            return frames


@pytest.fixture
async def site():
    wire = Wire(seed=1)
    parts = {port: Part(wire, port) for port in (RUNNER, ONE, OTHER)}
    yield wire, parts
    wire.close()
    for part in parts.values():
        part.own.close()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_frames_go_to_whom_they_are_addressed_and_shouts_to_everybody(site):
    _, parts = site
    parts[ONE].say(OTHER, b"you")
    parts[ONE].say(0xFF, b"all")
    await settle()
    assert (parts[OTHER].heard(), parts[RUNNER].heard(), parts[ONE].heard()) == ([b"you", b"all"], [b"all"], [])


@pytest.mark.parametrize(
    ("direction", "out", "in_"), [(Direction.BOTH, 0, 0), (Direction.OUT, 0, 1), (Direction.IN, 1, 0)]
)
async def test_a_cut_takes_what_it_says_and_no_more(site, direction, out, in_):
    wire, parts = site
    traffic = wire.disturb(ONE, Weather(loss=1.0, direction=direction))
    parts[ONE].say(OTHER, b"out")
    parts[OTHER].say(ONE, b"in")
    parts[RUNNER].say(ONE, b"watch")
    parts[ONE].say(RUNNER, b"seen")
    await settle()
    assert len(parts[OTHER].heard()) == out
    assert parts[ONE].heard() == [b"in"] * in_ + [b"watch"], "whoever watches is never cut off"
    assert parts[RUNNER].heard() == [b"seen"]
    assert traffic.dropped == 2 - out - in_
    wire.calm(ONE)
    parts[ONE].say(OTHER, b"again")
    await settle()
    assert parts[OTHER].heard() == [b"again"]


async def test_poor_weather_loses_delays_doubles_and_overtakes(site):
    wire, parts = site
    traffic = wire.disturb(ONE, Weather(loss=0.3, delay_ms=20, doubled=0.2))
    for number in range(100):
        parts[ONE].say(OTHER, bytes([number]))
        await settle()
    await asyncio.sleep(0.05)
    heard = parts[OTHER].heard()
    assert (traffic.passed, traffic.dropped) == (100 - traffic.dropped, traffic.dropped)
    assert 10 < traffic.dropped < 50
    assert len(heard) == traffic.passed + traffic.doubled
    assert traffic.doubled > 5
    assert traffic.overtaken > 5
    assert heard != sorted(heard)
