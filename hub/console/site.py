"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass

from hub.console.accounts.door import Door
from hub.console.errands import Errands
from hub.console.web.words import Words
from hub.store.ports import Store
from protocol.keys import VerifyKey


@dataclass(frozen=True, kw_only=True)
class Site:
    """One console.

    Attributes:
        name: what the site is called, on every page.
        url: how browsers reach it, without a path.
        timezone: in which people read times.
        root: the platform's root key, by which the console knows the platform's sealing key for desks.
    """

    name: str
    url: str
    timezone: str
    store: Store
    door: Door
    errands: Errands
    words: Words
    now_ms: Callable[[], int]
    root: VerifyKey | None = None

    @property
    def https(self) -> bool:
        """Whether browsers reach it by HTTPS."""
        return self.url.startswith("https://")
