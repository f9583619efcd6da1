"""A machine with slots: the real updater and the real start, around a gate whose fate a test decides."""

import contextlib
import io
from contextlib import contextmanager

from device import durable
from device.logs import Log
from device.update import notes
from device.update.errors import UpdateError
from device.update.notes import Status, Wanted
from device.update.slots import Slots
from device.update.start import before_start
from device.update.state import Store
from device.update.unpack import unpack
from device.update.updater import Updater, World
from device.update.wellness import Wellness
from protocol.health import UpdateFailure
from protocol.release import version_of
from tests.device.update.conftest import bundle

FACTORY = 1000


class Machine:
    """`bad`: releases that die at their start. `deaf`: those that run and never reach the hub.

    `publisher`: release -> what asking for it gives: bytes, or an error that is raised.
    """

    def __init__(self, root, *, out=None, factory=FACTORY):
        self.state_dir, self.firmware_dir = root / "state", root / "firmware"
        self.factory, self.out = factory, out if out is not None else io.StringIO()
        self.bad, self.deaf = set(), set()
        self.publisher = {}
        self.now_s, self.mono_s = 1_800_000_000, 0.0
        self.ran = []  # every release that was started
        self.orders = 0
        self.firmware_dir.mkdir(parents=True, exist_ok=True)

    def want(self, release):
        self.orders += 1
        path = notes.wanted_file(self.state_dir)
        durable.make_folder(path.parent)
        notes.write(path, Wanted(release=release, id=f"{self.orders:02x}"))

    @property
    def in_force(self):
        return self.look().in_force

    @property
    def state(self):
        return Store(self.firmware_dir).load()

    @property
    def status(self):
        return notes.read(notes.status_file(self.firmware_dir), Status)

    def look(self):
        return Slots(self.firmware_dir).look(self.state, factory=self.factory)

    def start_gate(self):
        """As systemd: until it stays up, or has no start left to try."""
        for _ in range(10):
            with contextlib.suppress(OSError):
                store, slots = Store(self.firmware_dir), Slots(self.firmware_dir)
                before_start(store, slots, factory=self.factory, log=Log(self.out))
            release = self.in_force
            self.ran.append(release)
            if release not in self.bad:
                break
        wellness = Wellness(self.state_dir, version=version_of(release), complain=print)
        wellness.begin()
        wellness.look(decoded=True, recording=True, hub_online=release not in self.deaf)

    def run(self):
        Updater(self.world()).run()

    def world(self):
        return World(
            firmware_dir=self.firmware_dir,
            state_dir=self.state_dir,
            factory=self.factory,
            bundle=self._bundle,
            unpack=lambda data, into, release: unpack(data, into, release=release, platform="sandbox"),
            restart=self.start_gate,
            trial_s=180,
            fetch_s=600,
            now_s=lambda: self.now_s,
            mono_s=lambda: self.mono_s,
            sleep=self._sleep,
            log=Log(self.out),
        )

    def _sleep(self, seconds):
        self.mono_s += seconds

    @contextmanager
    def _bundle(self, release):
        given = self.publisher.get(release, bundle(release).getvalue())
        if isinstance(given, list):
            given = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(given, Exception):
            raise given
        yield io.BytesIO(given)


def unreachable():
    return UpdateError(UpdateFailure.UNREACHABLE, "no route to the hub")
