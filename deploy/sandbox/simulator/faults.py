"""What goes wrong, and when. Each history has its own few kinds of faults, which are drawn before it begins."""

import shutil
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial

from deploy.sandbox.simulator.broker import HUB, Weather
from deploy.sandbox.simulator.disk import Disk, Mood
from deploy.sandbox.simulator.gate import SimGate
from deploy.sandbox.simulator.platform import Mood as PlatformMood
from deploy.sandbox.simulator.site import SimSite

DAY_MS = 86_400_000
KINDS = (
    "gate killed",
    "gate loses power",
    "gate dies writing",
    "gate's card is new",
    "gate's card is put back",
    "gate's clock jumps",
    "gate's disk",
    "gate cut off",
    "hub killed",
    "hub loses power",
    "hub dies writing",
    "hub dies between steps",
    "hub's clock jumps",
    "hub's disk",
    "hub backed up",
    "hub put back",
    "hub cut off",
    "broker restarts",
    "broker misbehaves",
    "network slow",
    "platform moody",
)
_EVERY_MS = (300, 12_000)
_LASTING_MS = (200, 20_000)
_KIND_LIKELY = 0.3


class Faults:
    """Lets faults happen to a site until it is told to stop.

    Args:
        site: whose.
        kinds: names of faults; None: as chance says.

    Attributes:
        happened: how often each kind did.
    """

    def __init__(self, site: SimSite, *, kinds: Collection[str] | None) -> None:
        self._site, self._world = site, site.world
        self.happened: Counter[str] = Counter()
        self._stopped = False
        acts = dict(zip(KINDS, self._acts_of_kinds(), strict=True))
        drawn = [name for name in KINDS if self._world.likely(_KIND_LIKELY)]
        self.chosen = sorted(drawn if kinds is None else kinds)
        self._acts = [(name, acts[name]) for name in self.chosen]

    def start(self) -> None:
        """From now on."""
        if self._acts:
            self._world.after(self._world.between(*_EVERY_MS), self._strike)

    def heal(self) -> None:
        """No more faults: everything works, every clock is right, and whoever was held down starts."""
        self._stopped = True
        site = self._site
        site.broker.weather = Weather()
        site.broker.unreachable.clear()
        site.platform.mood = PlatformMood()
        for disk in site.disks:
            disk.mood, disk.doom = Mood(), None
        for clock in (*(gate.clock for gate in site.gates), site.hub.clock):
            clock.set_right()
        self._world.say("world", "is well again")

    def _strike(self) -> None:
        if self._stopped:
            return
        name, act = self._world.rng.choice(self._acts)
        self.happened[name] += 1
        self._world.say("FAULT", name)
        act()
        self._world.after(self._world.between(*_EVERY_MS), self._strike)

    def _acts_of_kinds(self) -> tuple[Callable[[], None], ...]:
        """In the order of `KINDS`."""
        hub, gate, broker = self._site.hub, self._gate, self._site.broker
        between, likely = self._world.between, self._world.likely
        return (
            lambda: gate().kill(power=False),
            lambda: gate().kill(power=True),
            lambda: gate().doom(changes=round(between(0, 12)), power=likely(0.7)),
            lambda: self._renew_card(gate()),
            lambda: self._put_back_card(gate()),
            lambda: self._jump(gate().clock.jump),
            lambda: self._spoil(gate().disk),
            lambda: self._cut(gate().keys.device.hex()),
            lambda: hub.kill(power=False),
            lambda: hub.kill(power=True),
            lambda: hub.doom(changes=round(between(0, 25)), power=likely(0.7)),
            lambda: hub.doom_between_steps(round(between(0, 60))),
            lambda: self._jump(hub.clock.jump),
            lambda: self._spoil(hub.disk),
            hub.back_up,
            hub.put_back,
            lambda: self._cut(HUB),
            lambda: broker.restart(away_ms=between(50, 8_000)),
            self._misbehave,
            lambda: self._for_a_while(partial(self._slow, between(50, 2_000)), partial(self._slow, 0)),
            self._annoy_platform,
        )

    def _gate(self) -> SimGate:
        return self._world.rng.choice(self._site.gates)

    def _for_a_while(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        begin()
        self._world.after(self._world.between(*_LASTING_MS), end)

    def _jump(self, jump: Callable[..., None]) -> None:
        ms = round(self._world.rng.choice((-1, 1)) * self._world.rng.choice((DAY_MS, 3_600_000, 90_000)))
        self._world.say("world", f"a clock jumps by {ms // 1000} s")
        jump(ms, noticed=self._world.likely(0.5))

    def _cut(self, client: str) -> None:
        broker = self._site.broker
        broker.cut(client, seen=self._world.likely(0.5))
        self._for_a_while(lambda: broker.unreachable.add(client), lambda: broker.unreachable.discard(client))

    def _slow(self, ms: float) -> None:
        self._site.broker.weather.slow_ms = ms

    def _misbehave(self) -> None:
        likely = self._world.likely
        bad = Weather(
            lost=self._world.between(0, 0.6) if likely(0.5) else 0,
            twice=self._world.between(0, 0.6) if likely(0.5) else 0,
            late=self._world.between(0, 0.6) if likely(0.5) else 0,
            refused=self._world.between(0, 0.6) if likely(0.3) else 0,
        )
        self._for_a_while(partial(self._weather, bad), partial(self._weather, Weather()))

    def _weather(self, weather: Weather) -> None:
        weather.slow_ms = self._site.broker.weather.slow_ms
        self._site.broker.weather = weather

    def _spoil(self, disk: Disk) -> None:
        """Full, failing or slow for a while."""
        kind = self._world.rng.choice(("full", "failing", "slow"))
        self._world.say("world", f"the disk of {disk.folder.name} is {kind}")
        if kind == "full":
            disk.fill(left_bytes=round(self._world.between(0, 40_000)))
        elif kind == "failing":
            disk.mood.failing = self._world.between(0.05, 1)
        else:
            disk.mood.sync_ms = self._world.between(20, 4_000)

        def mend() -> None:
            disk.mood = Mood()

        self._world.after(self._world.between(*_LASTING_MS), mend)

    def _annoy_platform(self) -> None:
        platform = self._site.platform
        kind = self._world.rng.choice(("away", "late", "failing", "refusing", "lying"))
        mood = PlatformMood(**{kind: self._world.between(0.2, 1)})
        self._world.say("world", f"the platform is {kind}")

        def set_mood(mood: PlatformMood) -> None:
            platform.mood = mood

        self._for_a_while(lambda: set_mood(mood), lambda: set_mood(PlatformMood()))

    def _renew_card(self, gate: SimGate) -> None:
        """The card is taken out and another put in: what only it had is gone."""
        spool = gate.spool
        if spool is None or not gate.alive:
            return
        epoch, receipted = spool.epoch, spool.oldest - 1
        gate.kill(power=False)
        for path in gate.disk.folder.iterdir():
            path.unlink()
        gate.admitted.clear()
        self._site.truth.card_taken_out(gate.keys.device, epoch, receipted=receipted)

    def _put_back_card(self, gate: SimGate) -> None:
        """An image of the card is taken; later the card is written from it: the same spool, as it was."""
        if not gate.alive or gate.spool is None:
            return
        image = gate.disk.folder.with_name(f"{gate.name}.image")
        epoch, newest = gate.spool.epoch, gate.spool.newest
        gate.kill(power=False)
        gate.disk.copy_to(image)

        def write() -> None:
            if self._stopped or not gate.alive:
                return
            gate.kill(power=False)
            shutil.rmtree(gate.disk.folder)
            shutil.copytree(image, gate.disk.folder)
            gate.admitted.clear()
            self._world.say(gate.name, f"its card is put back to {newest}")
            self._site.truth.card_put_back(gate.keys.device, epoch, newest=newest)

        self._world.after(self._world.between(2_000, 30_000), write)
