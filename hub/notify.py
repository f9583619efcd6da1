"""systemd's notification socket: READY once every loop runs, WATCHDOG while all of them come round (sd_notify(3))."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

_FEEDS: Final = 4
"""How often within the unit's WatchdogSec=, so that one which is late does no harm."""
_ALIVE_S: Final = 20.0
"""Where the unit asks for no watchdog; then systemd takes the food and does nothing with it."""


class Notify:
    """`run` it in a task.

    Args:
        address: a path, or a name that begins with "@" (abstract).
        watchdog_s: how long systemd waits for food.
        well: whether every loop has shown progress.

    Raises:
        ValueError: the address is neither.
    """

    def __init__(self, address: str, *, watchdog_s: float, well: Callable[[], bool]) -> None:
        if address[:1] not in {"/", "@"}:
            raise ValueError(f"NOTIFY_SOCKET is neither a path nor an abstract name: {address}")
        self._address = "\0" + address[1:] if address[0] == "@" else address
        self._every_s = watchdog_s / _FEEDS
        self._well = well

    async def run(self) -> None:
        """Say READY, then feed the watchdog; ends only by cancellation. Raises OSError when systemd does not listen."""
        send = asyncio.get_running_loop().sock_sendto
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
            speaking.setblocking(False)
            await send(speaking, b"READY=1", self._address)
            while True:
                if self._well():
                    await send(speaking, b"WATCHDOG=1", self._address)
                await asyncio.sleep(self._every_s)


def notify_tasks(
    well: Callable[[], bool], *, environ: Mapping[str, str] = os.environ
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    """The task that speaks to systemd; none where systemd did not start us."""
    address, watchdog_us = environ.get("NOTIFY_SOCKET"), environ.get("WATCHDOG_USEC")
    watchdog_s = int(watchdog_us) / 1e6 if watchdog_us else _ALIVE_S
    return {} if not address else {"notify": Notify(address, watchdog_s=watchdog_s, well=well).run}
