"""What a newcomer can do beside a running site: open the console by its one-time link, enrol a scanner from the box."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from deploy.sandbox.configs import HOST
from deploy.sandbox.platform.lookup import id_number
from deploy.sandbox.site import Site
from deploy.sandbox.stand import Stand
from deploy.sandbox.stories.story import hub_command

_APPLICANT: Final = 1
"""The first of the crowd: green, and known to the platform as soon as he came."""
_PHONE: Final = "13900000001"
_CREDIT_CODE: Final = "91350100M000100Y43"


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
    numbers = f"{id_number(_APPLICANT)}  {_PHONE}  {_CREDIT_CODE}"
    applicant = f"申领人 applicant   {numbers}  （申领场所码用的证件号、手机号、信用代码 for “Apply for a place code”）"
    try:
        yield (
            f"控制台 console     {link}  （一次性链接 good once）",
            f"新扫码机 scanner   {stand.url}  （控制台“添加扫码机”的码给它看 show it the code of “Add scanner”）",
            applicant,
        )
    finally:
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        await stand.stop()
