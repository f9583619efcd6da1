"""One wait that all the loops here have in common."""

import asyncio


async def until_woken(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, or that long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
