"""What must hold, whatever happened. Everybody tells it what they do; it knows what nobody in the site can know.

    green means recorded      no light with green in it without a commit before it, and no commit is ever gone
    only a receipt forgets    a gate forgets what the hub has signed for; the hub signs for what survives its death
    each once, in order       the platform's rows are commits, each once, in the order of their chain
    a fork is never merged    of two check-ins with one number at most one is a row, and nothing follows the other
    grey is not red           red is shown to whoever is red, and to nobody else
    nobody is kept            personal data is gone when its clock has run out

What may be missing at the end is named when it happens (`excuse`), and only destroying the one copy is an excuse: a
card that was taken out, or a hub that was put back to an old backup.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from deploy.sandbox.simulator.world import World
from protocol.checkin import hash_of
from protocol.terms import Colour

GREEN_FACES = frozenset({"green", "notice_admitted"})
"""Faces that open the gate."""

BACKUP = "the hub was put back"

Place = tuple[bytes, bytes, int]
"""(device, epoch, seq): where a check-in stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who stands there. `believable`: the code that they show is genuine, in time, and not used before."""

    number: int
    colour: Colour
    believable: bool = True


class Truth:
    """The witness of one history.

    Attributes:
        broken: what did not hold; the first is what matters.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.broken: list[str] = []
        self.greens = 0
        self.greys = 0
        self._sealed: dict[Place, set[bytes]] = defaultdict(set)
        self._committed: dict[Place, bytes] = {}
        self._receipted: dict[tuple[bytes, bytes], int] = defaultdict(int)
        self._promised: dict[tuple[bytes, bytes], int] = defaultdict(int)
        self._at_platform: dict[Place, bytes] = {}
        self._excused: dict[Place, str] = {}
        self._forkable: set[bytes] = set()
        self._ended: set[tuple[bytes, bytes]] = set()

    @property
    def committed(self) -> int:
        """How many check-ins were made."""
        return len(self._committed)

    @property
    def arrived(self) -> int:
        """How many of them the platform has."""
        return len(self._at_platform)

    @property
    def forks_expected(self) -> bool:
        """Whether a card was put back."""
        return bool(self._forkable)

    def fail(self, what: str) -> None:
        """Something did not hold."""
        self._world.say("TRUTH", what)
        self.broken.append(what)

    # ---- the gate

    def sealed(self, place: Place, data: bytes) -> None:
        """A check-in was signed. It may never be committed."""
        self._sealed[place].add(hash_of(data))

    def committed_at(self, place: Place, digest: bytes) -> None:
        """A check-in is on the gate's disk, as far as the gate knows."""
        if place in self._committed and place not in self._excused:
            self.fail(f"number {place[2]} of {place[0].hex()} was given twice")
        self._committed[place] = digest

    def lit(self, face: str, person: Person, *, committed: bool) -> None:
        """A light was shown to a person; `committed`: and their check-in was on disk before it."""
        self.greens += face in GREEN_FACES
        self.greys += face == "grey"
        if face in GREEN_FACES and not committed:
            self.fail(f"{face} was lit without a record")
        if face in GREEN_FACES and (person.colour is not Colour.GREEN or not person.believable):
            self.fail(f"{face} was lit for somebody who is {person.colour.name}, believable: {person.believable}")
        if face == "yellow" and (person.colour is not Colour.YELLOW or not person.believable):
            self.fail(f"yellow was lit for somebody who is {person.colour.name}, believable: {person.believable}")
        if face == "red" and (person.colour is not Colour.RED or not person.believable):
            self.fail(f"red was lit for somebody who is {person.colour.name}, believable: {person.believable}")
        if face not in GREEN_FACES and face not in {"red", "yellow", "grey"}:
            self.fail(f"{face} was lit, which nobody asked for")

    def opened(self, *, committed: bool) -> None:
        """The gate was opened."""
        if not committed:
            self.fail("the gate was opened without a record")

    def spool_found(self, device: bytes, epoch: bytes, *, oldest: int, newest: int) -> None:
        """What a gate has when it starts: everything that was committed and that no receipt let go."""
        made = max(
            (place[2] for place in self._committed if place[:2] == (device, epoch) and place not in self._excused),
            default=0,
        )
        if newest < made:
            self.fail(f"a gate started with {newest} check-ins, but {made} were committed")
        self.forgotten(device, epoch, oldest - 1)

    def forgotten(self, device: bytes, epoch: bytes, upto: int) -> None:
        """A gate no longer has anything up to `upto`."""
        if upto > self._receipted[device, epoch]:
            self.fail(f"check-ins up to {upto} were forgotten, receipted were {self._receipted[device, epoch]}")

    # ---- the hub

    def receipted(self, device: bytes, epoch: bytes, seq: int, digest: bytes) -> None:
        """The hub signed for everything up to `seq`."""
        if seq and digest not in self._sealed[device, epoch, seq]:
            self.fail(f"the hub signed for a check-in {seq} that nobody made")
        for mark in (self._receipted, self._promised):
            mark[device, epoch] = max(mark[device, epoch], seq)

    def hub_found(self, heads: Iterable[tuple[bytes, bytes, int]]) -> None:
        """What the hub has when it starts: at least what it signed for."""
        found = {(device, epoch): seq for device, epoch, seq in heads}
        for spool, seq in self._promised.items():
            if found.get(spool, 0) < seq:
                self.fail(f"the hub started with {found.get(spool, 0)} check-ins, and had signed for {seq}")

    def hub_put_back(self, heads: Iterable[tuple[bytes, bytes, int]], lost: Iterable[Place]) -> None:
        """The hub's database is an old one again; `lost` are the rows that only the newer one had."""
        self._promised = defaultdict(int, {(device, epoch): seq for device, epoch, seq in heads})
        for place in lost:
            self.excuse(place, BACKUP)

    # ---- the platform

    def took(self, rows: list[tuple[Place, bytes]]) -> None:
        """A batch, as the platform stored it."""
        last: dict[tuple[bytes, bytes], int] = {}
        for place, digest in rows:
            device, epoch, seq = place
            if digest not in self._sealed.get(place, ()):
                self.fail(f"the platform has a check-in {seq} that nobody made")
            if self._at_platform.setdefault(place, digest) != digest:
                self.fail(f"the platform has two check-ins with number {seq}")
            if last.get((device, epoch), 0) >= seq:
                self.fail(f"check-in {seq} came after {last[device, epoch]} in one batch")
            last[device, epoch] = seq

    # ---- the end

    def excuse(self, place: Place, why: str) -> None:
        """The one copy of a check-in was destroyed by hand."""
        self._excused.setdefault(place, why)

    def card_taken_out(self, device: bytes, epoch: bytes, *, receipted: int) -> None:
        """A gate has a new spool: nobody speaks of the old one any more, so no gap in it can be noticed either."""
        self.excuse_spool(device, epoch, above=receipted, why="the card was taken out")
        self._ended.add((device, epoch))

    def card_put_back(self, device: bytes, epoch: bytes, *, newest: int) -> None:
        """A gate's spool is an old one again: numbers above `newest` will be given twice, and the hub may find out."""
        self.excuse_spool(device, epoch, above=newest, why="the card was put back")
        self._forkable.add(device)

    def may_be_stopped(self, device: object) -> bool:
        """Whether a fork is to be expected of this device."""
        return device in self._forkable

    def excuse_spool(self, device: bytes, epoch: bytes, *, above: int, why: str) -> None:
        """So were all of a spool's, above a number."""
        for place in self._committed:
            if place[:2] == (device, epoch) and place[2] > above:
                self.excuse(place, why)

    def missing(self) -> list[Place]:
        """What was committed and is not at the platform, though nothing excuses it."""
        return [
            place
            for place, digest in self._committed.items()
            if self._at_platform.get(place) != digest and place not in self._excused and place[0] not in self._forkable
        ]

    def missing_by_backup(self) -> list[Place]:
        """What a put-back hub lost for good: each must stand in a gap that the hub has noted."""
        return [
            place
            for place, why in self._excused.items()
            if why == BACKUP
            and place not in self._at_platform
            and place[0] not in self._forkable
            and place[:2] not in self._ended
        ]
