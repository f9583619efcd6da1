"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hub.console.accounts.door import Door
from hub.console.errands import Errands
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

    @property
    def https(self) -> bool:
        """Whether browsers reach it by HTTPS."""
        return self.url.startswith("https://")
