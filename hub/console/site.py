"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hub.console.accounts.door import Door
from hub.console.accounts.throttle import Throttle
from hub.console.errands import Errands
from hub.console.poster.draw import Drawing
from hub.console.web.pace import Pace
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

    @property
    def https(self) -> bool:
        """Whether browsers reach it by HTTPS."""
        return self.url.startswith("https://")
