"""What a newcomer can do beside a running site: open the console by its one-time link, enrol a scanner from the box."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from deploy.sandbox.configs import HOST
from deploy.sandbox.site import Site
from deploy.sandbox.stand import Stand
from deploy.sandbox.stories.story import hub_command


@contextlib.asynccontextmanager
async def try_out(site: Site) -> AsyncIterator[tuple[str, ...]]:
    """The steps, for whoever watches; inside the block the new scanner stands there. No steps without a blank gate.

    Raises:
        readings.ReadingError: the hub's command failed.
        OSError: the stand's port is taken.
    """
    if not site.blanks:
        yield ()
        return
    link = (await hub_command(site, "console", "link")).strip()
    stand = Stand(site, host=HOST, port=site.layout.ports.stand)
    await stand.start()
    joining = asyncio.create_task(site.join(site.blanks[0]))
    try:
        yield (
            f"控制台 console     {link}  （一次性链接 good once）",
            f"新扫描器 scanner   {stand.url}  （控制台“添加扫描器”的码给它看 show it the code of “Add scanner”）",
        )
    finally:
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        await stand.stop()
