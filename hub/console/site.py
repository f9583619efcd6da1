"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hub.console.accounts.door import Door
from hub.console.errands import Errands
from hub.console.fleet.recent import Recent
from hub.console.web.pace import Pace
from hub.console.web.slots import Slots
from hub.console.web.words import Words
from hub.store.ports import Store


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
        enrolling: None where devices are entered by hand.
        slots: of open streams.
        fleet: all scanners, as they were a moment ago.
    """

    name: str
    url: str
    timezone: str
    store: Store
    door: Door
    errands: Errands
    words: Words
    now_ms: Callable[[], int]
    enrolling: Enrolling | None = None
    slots: Slots = field(default_factory=Slots)
    pace: Pace = field(default_factory=Pace)
    fleet: Recent = field(init=False)

    def __post_init__(self) -> None:
        """What is made of the others."""
        object.__setattr__(self, "fleet", Recent(store=self.store, now_ms=self.now_ms))

    @property
    def https(self) -> bool:
        """Whether browsers reach it by HTTPS."""
        return self.url.startswith("https://")
