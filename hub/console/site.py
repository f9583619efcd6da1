"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from hub.console.accounts.door import Door
from hub.console.accounts.throttle import Throttle
from hub.console.errands import Errands
from hub.console.fleet.recent import Recent
from hub.console.live.feed import Feed
from hub.console.poster.draw import Drawing
from hub.console.web.pace import Pace
from hub.console.web.slots import Slots
from hub.console.web.words import Words
from hub.firmware.mirror import Mirror
from hub.store.ports import Store
from protocol.keys import VerifyKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """What every provisioning code of this hub says: public facts.

    Attributes:
        url: how devices reach the hub to enrol.
        ca_hash: SHA-256 of the public key info of the hub's authority, 32 bytes.
    """

    url: str
    ca_hash: bytes


@dataclass(frozen=True, kw_only=True)
class Site:
    """One console.

    Attributes:
        name: what the site is called, on every page.
        url: how browsers reach it, without a path.
        timezone: in which people read times.
        drawing: makes posters.
        slips: who asks for slip numbers that do not exist waits, by account.
        alerts_to_loopback: alerts may be sent to this machine.
        enrolling: None where devices are entered by hand.
        slots: of open streams.
        mirror: of firmware; None: the hub has none.
        root: the platform's root key, by which the console knows the platform's sealing key for desks.
    """

    name: str
    url: str
    timezone: str
    store: Store
    door: Door
    errands: Errands
    words: Words
    slips: Throttle
    now_ms: Callable[[], int]
    root: VerifyKey | None = None
    mirror: Mirror | None = None
    enrolling: Enrolling | None = None
    drawing: Drawing = field(default_factory=Drawing)
    pace: Pace = field(default_factory=Pace)
    slots: Slots = field(default_factory=Slots)
    alerts_to_loopback: bool = False

    @cached_property
    def fleet(self) -> Recent:
        """All scanners, as they were a moment ago."""
        return Recent(store=self.store, now_ms=self.now_ms)

    @cached_property
    def feed(self) -> Feed:
        """What walls show: one for all who look."""
        return Feed(self.store, timezone=self.timezone, now_ms=self.now_ms)

    @property
    def https(self) -> bool:
        """Whether browsers reach it by HTTPS."""
        return self.url.startswith("https://")
