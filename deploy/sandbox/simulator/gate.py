"""One gate: the device's own scan, spool and uplink, with a simulated disk, clock, view and lamp."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from deploy.sandbox.simulator.broker import Broker, Connection
from deploy.sandbox.simulator.disk import Disk, Doom
from deploy.sandbox.simulator.keys import HUB_KEY, PLACE, TRUST, GateKeys
from deploy.sandbox.simulator.truth import Person, Truth
from deploy.sandbox.simulator.wire import open_wire
from deploy.sandbox.simulator.world import WallClock, World
from device.hardware.ports import LightSignal, Tune
from device.model import Decoded, Draft, Frame, StorageError
from device.scan.capture import Mailbox
from device.scan.decide import longest_use_ms
from device.scan.decode import DecoderProcess
from device.scan.indicate import Indicator
from device.scan.loop import ScanLoop
from device.scan.memory import Memory
from device.scan.record import Lane
from device.scan.sight import Sight
from device.send.ports import Will, WirePort
from device.send.seal import seal
from device.send.spool import Spool
from device.send.status import Versions
from device.send.uplink import Uplink
from protocol.verdict import rules_of

RESERVE_BYTES = 64 * 1024
_DARK = np.zeros((1, 1), np.uint8)
_FRAME_MS = 240
_FRAMES_BETWEEN = 4
"""Frames without a code between two people: nobody is in view any more."""

_RESTART_MS = (500, 5_000)


@dataclass(slots=True)
class _View:
    """In place of camera and decoder: what is held before the gate is what was read."""

    text: str | None = None

    def decode(self, frame: Frame) -> Decoded:
        texts = () if self.text is None else (self.text,)
        return Decoded(texts=texts, frame_seq=frame.seq, at_mono_ns=frame.at_mono_ns, decode_ms=0.0)


@dataclass(slots=True)
class _Face:
    """In place of lights, buzzer and relay."""

    on_light: Callable[[str], None]
    on_open: Callable[[], None]
    failed: Exception | None = None

    def show(self, signal: LightSignal) -> None:
        self.on_light(signal.colour_name)

    def open(self, _ms: int) -> None:
        self.on_open()

    def close(self) -> None:
        """It closes by itself."""

    def play(self, _tune: Tune) -> None:
        """Nobody listens."""

    def stop(self) -> None:
        """Nobody listens."""

    def shutdown(self) -> None:
        """Nothing is on."""


class SimGate:
    """A gate that lives, dies and starts again. `boot` it once."""

    def __init__(self, world: World, *, keys: GateKeys, folder: Path, broker: Broker, truth: Truth) -> None:
        self._world, self._broker, self._truth = world, broker, truth
        self.keys = keys
        self.clock = WallClock(world)
        folder.mkdir()
        self.disk = Disk(world, folder, self._fell)
        self.spool: Spool | None = None
        self.resting = False
        """True: nothing starts it again."""
        self.admitted: list[str] = []
        """Codes for which it opened: it must not do so again."""
        self._scan: ScanLoop | None = None
        self._work: Generator[int] | None = None
        self._uplink: Uplink | None = None
        self._connection: Connection | None = None
        self._power = False
        self._pumps = 0
        self._view = _View()
        self._person: Person | None = None
        self._committed = False

    @property
    def name(self) -> str:
        """For the log."""
        return self.keys.name

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.spool is not None and self.disk.alive

    @property
    def drained(self) -> bool:
        """Whether everything that it made has a receipt."""
        return self.spool is not None and self.spool.depth == 0

    def boot(self) -> None:
        """The process starts; when it cannot, it is started again later."""
        self.disk.power_up()
        if self.clock.most_ahead_ms:
            # What had ended by a clock that was ahead is not found again after a start.
            self.admitted.clear()
        try:
            spool = Spool.open(
                self.disk.folder / "spool.db",
                new_epoch=self._world.rng.randbytes(8),
                now_ms=self.clock.now_ms(),
                reserve_bytes=RESERVE_BYTES,
            )
        except StorageError as error:
            self._world.say(self.name, f"does not start: {_short(error)}")
            if self.disk.alive:
                self._again()
            return
        if spool.damage is not None:
            self._truth.fail(f"{self.name} found its spool damaged: {spool.damage.reason}")
        self.spool = spool
        self._truth.spool_found(self.keys.device, spool.epoch, oldest=spool.oldest, newest=spool.newest)
        self._world.say(self.name, f"starts with {spool.oldest}..{spool.newest} of {spool.epoch.hex()[:4]}")
        self._scan = self._make_scan(spool)
        self._uplink = self._make_uplink(spool)
        self._work = self._uplink.work()
        self._poke()

    def visit(self, person: Person, text: str) -> None:
        """Somebody holds a code before the camera. Between them and who came before, there were frames without any."""
        for before in range(_FRAMES_BETWEEN, 0, -1):
            self._look(None, ago_ms=before * _FRAME_MS)
        self._person, self._committed = person, False
        self._look(text, ago_ms=0)
        self._person = None

    def kill(self, *, power: bool) -> None:
        """SIGKILL, or the mains."""
        if self.disk.alive:
            self.disk.alive = False
            self._power = power
            self._bury()

    def doom(self, *, changes: int, power: bool) -> None:
        """It will die at the so many-th change of its disk from now."""
        self.disk.doom = Doom(changes=changes, power=power)
        self._power = power

    def _fell(self) -> None:
        """The disk's doom came true, deep within SQLite: what is left of the process is cleared away after."""
        if self._connection is not None:
            self._broker.vanish(self._connection)
        self._world.after(0, self._bury)

    def _bury(self) -> None:
        if self._connection is not None:
            self._broker.vanish(self._connection)
            self._connection = None
        if self._work is not None:
            self._work.close()
        if self.spool is not None:
            self.spool.close()
        self.spool = self._work = self._scan = self._uplink = None
        self._pumps += 1
        became = self.disk.stop(power=self._power)
        self._world.say(self.name, f"{'loses power' if self._power else 'is killed'}: {became}")
        self._again()

    def _again(self) -> None:
        def boot() -> None:
            if self.spool is None and not self.resting:
                self.boot()

        self._world.after(self._world.between(*_RESTART_MS), boot)

    def _look(self, text: str | None, *, ago_ms: int) -> None:
        if self._scan is None or not self.alive:
            return
        self._view.text = text
        self._scan.step(
            Frame(luma=_DARK, seq=self._world.steps, at_mono_ns=(self._world.now_us - ago_ms * 1000) * 1000)
        )

    def _light(self, face: str) -> None:
        if self.alive and self._person is not None:
            self._world.say(self.name, f"{face} for {self._person.number}, who is {self._person.colour.name.lower()}")
            self._truth.lit(face, self._person, committed=self._committed)

    def _open(self) -> None:
        if self.alive:
            self.admitted.append(self._view.text or "")
            self._truth.opened(committed=self._committed)

    def _commit(self, draft: Draft, until_ms: int | None, *, from_reserve: bool = False) -> int:
        """As `device.gate.Gate`."""
        spool = self.spool
        if spool is None:
            raise StorageError("no spool")

        def build(epoch: bytes, seq: int, prev: bytes) -> bytes:
            data = seal(draft, device=self.keys.device, epoch=epoch, seq=seq, prev=prev, key=self.keys.key)
            self._truth.sealed((self.keys.device, epoch, seq), data)
            return data

        used = None if until_ms is None else (draft.code, until_ms)
        appended = spool.append(build, used=used, from_reserve=from_reserve)
        self._truth.committed_at((self.keys.device, spool.epoch, appended.seq), appended.hash)
        self._committed = True
        self._poke()
        return appended.seq

    def _make_scan(self, spool: Spool) -> ScanLoop:
        face = _Face(on_light=self._light, on_open=self._open)
        return ScanLoop(
            mailbox=Mailbox(),
            decoder=cast("DecoderProcess", self._view),
            sight=Sight(),
            policy=lambda: self.keys.policy,
            open_for_people=lambda: True,
            trust=lambda: TRUST,
            look_up=lambda _status, _kid, **_by: None,
            memory=Memory.loaded(
                spool.used_since(self.clock.now_ms()),
                now_ms=self.clock.now_ms(),
                mono_ms=self._world.now_ms,
                longest_ms=longest_use_ms(rules_of(self.keys.policy, open_for_people=True)),
            ),
            used_elsewhere=lambda _code: False,
            announce_used=lambda _code, _until_ms: None,
            resolver=None,
            pepper=bytes(32),
            temperature=lambda: None,
            lane=Lane(place=PLACE, gate=self.name),
            now_ms=self.clock.now_ms,
            clock_trusted=lambda: self.clock.trusted,
            commit=self._commit,
            commit_failure=partial(self._commit, until_ms=None, from_reserve=True),
            indicator=Indicator(lights=face, buzzer=face, gate=face),
            on_scan=lambda _scan: None,
            on_provisioning=lambda: None,
            mono_ns=lambda: self._world.now_us * 1000,
        )

    def _make_uplink(self, spool: Spool) -> Uplink:
        return Uplink(
            device=self.keys.device,
            spool=spool,
            hub_keys=[HUB_KEY.public],
            open_wire=self._open_wire,
            firmware="1",
            versions=lambda: Versions(trust=1, policy=1),
            health=lambda: b"well",
            now_ms=self.clock.now_ms,
            mono_ms=lambda: self._world.now_ms,
            random=self._world.rng.random,
            random_bytes=self._world.rng.randbytes,
        )

    def _open_wire(self, *, subscriptions: tuple[str, ...], will: Will, notify: Callable[[], None]) -> WirePort:
        # Its thread sleeps in the world's order of events, not on its own.
        del notify
        wire = open_wire(
            self._broker, client=self.keys.device.hex(), subscriptions=subscriptions, will=will, notify=self._poke
        )
        self._connection = wire.connection
        return wire

    def _poke(self) -> None:
        """Something happened that the uplink should look at."""
        self._sleep(0)

    def _sleep(self, ms: float) -> None:
        self._pumps += 1
        number = self._pumps
        self._world.after(ms, lambda: self._pump(number))

    def _pump(self, number: int) -> None:
        """The uplink's thread wakes up. Only the last that was asked for counts."""
        if number != self._pumps or self._work is None or self.spool is None or not self.disk.alive:
            return
        try:
            wait_ms = next(self._work)
        except StorageError as error:
            self._world.say(self.name, f"ends: {_short(error)}")
            self.kill(power=False)
            return
        if self.spool is not None and self.disk.alive:
            self._truth.forgotten(self.keys.device, self.spool.epoch, self.spool.oldest - 1)
            if number == self._pumps:
                self._sleep(wait_ms)


def _short(error: BaseException) -> str:
    """Without the folder, which no two runs have in common."""
    return str(error).rpartition("/")[2]
