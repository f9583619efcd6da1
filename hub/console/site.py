"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from hub.console.accounts.door import Door
from hub.console.accounts.throttle import Throttle
from hub.console.errands import Errands
from hub.console.live.feed import Feed
from hub.console.poster.draw import Drawing
from hub.console.web.pace import Pace
from hub.console.web.slots import Slots
from hub.console.web.words import Words
from hub.store.ports import Store


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
    drawing: Drawing = field(default_factory=Drawing)
    pace: Pace = field(default_factory=Pace)
    slots: Slots = field(default_factory=Slots)
    alerts_to_loopback: bool = False

    @cached_property
    def feed(self) -> Feed:
        """What walls show: one for all who look."""
        return Feed(self.store, timezone=self.timezone, now_ms=self.now_ms)

    @property
    def https(self) -> bool:
        """Whether browsers reach it by HTTPS."""
        return self.url.startswith("https://")
