"""What hub and platform count, asked twice a second for whoever watches."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from deploy.sandbox.readings import ReadingError, get_json, read_metrics
from deploy.sandbox.site import Site

POLL_S = 0.5


@dataclass(slots=True, kw_only=True)
class Counters:
    """The newest answers. A part that does not answer is down; what it said last stays."""

    hub_up: bool = False
    platform_up: bool = False
    hub: dict[str, float] = field(default_factory=dict)
    platform: dict[str, int] = field(default_factory=dict)

    async def ask(self, site: Site) -> None:
        """Asks both once."""
        self.hub_up, self.platform_up = await asyncio.gather(self._ask_hub(site), self._ask_platform(site))

    async def _ask_hub(self, site: Site) -> bool:
        try:
            self.hub = await read_metrics(site.session, site.layout.hub_url)
        except ReadingError:
            return False
        return True

    async def _ask_platform(self, site: Site) -> bool:
        try:
            summary = await get_json(site.session, f"{site.layout.pages_url}/v1/summary")
        except ReadingError:
            return False
        self.platform = {name: value for name, value in summary.items() if isinstance(value, int)}
        return True


@contextlib.asynccontextmanager
async def watched(site: Site) -> AsyncIterator[Counters]:
    """Counters that keep themselves fresh inside the block."""
    counters = Counters()

    async def keep_asking() -> None:
        while True:
            await counters.ask(site)
            await asyncio.sleep(POLL_S)

    asking = asyncio.create_task(keep_asking())
    try:
        yield counters
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
