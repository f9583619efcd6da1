"""The Ethernet between the parts of a site, each of which has a network namespace of its own.

Every part's namespace has one TAP interface whose other end is here: each frame that a part sends passes through
`_arrived`, where it may be dropped, delayed, doubled, or overtaken. The parts' TCP and TLS are the kernel's own, so a
cut that nobody announces is what it is in the field: both ends believe in their connection until a time-out says
otherwise.

A frame's way is its destination address: the last byte of each MAC address is the number of a port here.
"""

import asyncio
import fcntl
import os
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

FRAME_BYTES = 2_048
RUNNER = 1
"""The port of whoever watches: it is never disturbed, or nobody could tell what happened."""

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x0002 | 0x1000
_BROADCAST = 0xFF


class Direction(Enum):
    """Which way a part's frames are disturbed. One way only is what a broken receiver or a wrong route does."""

    BOTH = "both ways"
    OUT = "outwards"
    IN = "inwards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What happens to the frames of one part.

    Attributes:
        loss: the share that is dropped; 1 is a cut that nobody announces.
        delay_ms: from nothing to this, drawn for each frame; frames overtake each other by it.
        doubled: the share that arrives twice.
        direction: which way.
    """

    loss: float = 0.0
    delay_ms: float = 0.0
    doubled: float = 0.0
    direction: Direction = Direction.BOTH


@dataclass(slots=True, kw_only=True)
class Traffic:
    """What happened to frames of one part while its weather was bad."""

    passed: int = 0
    dropped: int = 0
    delayed: int = 0
    overtaken: int = 0
    doubled: int = 0


def tap(interface: str) -> int:
    """Makes the TAP interface `interface` in this process's namespace, from where whoever wants it takes it; our end.

    Raises:
        OSError: there is no /dev/net/tun, or we may not.
    """
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", interface.encode("ascii"), _IFF_TAP_NO_PI))
    except OSError:
        os.close(end)
        raise
    return end


class Wire:
    """A switch with weather. For one event loop.

    Args:
        seed: of the draws for single frames.
    """

    def __init__(self, *, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a repeatable disturbance, no secret
        self._ports: dict[int, int] = {}
        self._weather: dict[int, Weather] = {}
        self._traffic: dict[int, Traffic] = {}
        self._newest: dict[tuple[int, int], int] = {}
        self._frames = 0

    def plug(self, port: int, end: int) -> None:
        """Connects a port: `end` gives and takes one frame at a time, and is closed by us."""
        self._ports[port] = end
        asyncio.get_running_loop().add_reader(end, self._arrived, port)

    def close(self) -> None:
        """Pulls every plug; the interfaces vanish."""
        loop = asyncio.get_running_loop()
        for end in self._ports.values():
            loop.remove_reader(end)
            os.close(end)
        self._ports.clear()

    def disturb(self, port: int, weather: Weather) -> Traffic:
        """Bad weather for one part from now on; returns what is counted while it lasts."""
        self._weather[port] = weather
        self._traffic[port] = Traffic()
        return self._traffic[port]

    def calm(self, port: int) -> None:
        """Good weather again."""
        self._weather.pop(port, None)

    def _arrived(self, port: int) -> None:
        """One frame from a part."""
        try:
            frame = os.read(self._ports[port], FRAME_BYTES)
        except OSError:
            # Its interface is down or gone.
            return
        wanted = frame[5]
        for to in list(self._ports) if wanted == _BROADCAST else [wanted]:
            if to != port and to in self._ports:
                self._pass(frame, sender=port, to=to)

    def _pass(self, frame: bytes, *, sender: int, to: int) -> None:
        weather, traffic = self._between(sender, to)
        if weather is None:
            self._deliver(frame, to)
            return
        if self._random.random() < weather.loss:
            traffic.dropped += 1
            return
        traffic.passed += 1
        copies = 1 + (self._random.random() < weather.doubled)
        traffic.doubled += copies - 1
        for _ in range(copies):
            if not weather.delay_ms:
                self._deliver(frame, to)
                continue
            traffic.delayed += 1
            self._frames += 1
            late = self._counted(traffic, frame, way=(sender, to), number=self._frames)
            asyncio.get_running_loop().call_later(self._random.uniform(0, weather.delay_ms) / 1000, late)

    def _counted(self, traffic: Traffic, frame: bytes, *, way: tuple[int, int], number: int) -> Callable[[], None]:
        """Delivers later, and notes whether a younger frame came first."""

        def late() -> None:
            newest = self._newest.get(way, 0)
            traffic.overtaken += number < newest
            self._newest[way] = max(newest, number)
            self._deliver(frame, way[1])

        return late

    def _between(self, sender: int, to: int) -> tuple[Weather | None, Traffic]:
        if RUNNER not in {sender, to}:
            for port, against in ((sender, Direction.IN), (to, Direction.OUT)):
                weather = self._weather.get(port)
                if weather is not None and weather.direction is not against:
                    return weather, self._traffic[port]
        return None, Traffic()

    def _deliver(self, frame: bytes, to: int) -> None:
        end = self._ports.get(to)
        if end is None:
            return
        try:
            os.write(end, frame)
        except OSError:
            # An interface that is down takes nothing, and a full one drops, as cables do.
            return
