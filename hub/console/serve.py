"""[console] -> pages that are served, in a process of their own."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from hub.clock import now_ms
from hub.config import Console
from hub.console.accounts.door import Door
from hub.console.accounts.passwords import Passwords
from hub.console.accounts.throttle import FREE_ADDRESS, FREE_NAME, FREE_SLIP, Throttle
from hub.console.app import console_app
from hub.console.errands import Errands
from hub.console.site import Enrolling, Site
from hub.console.web.words import Words
from hub.firmware.mirror import Mirror
from hub.store.errors import StoreError
from hub.store.ports import Store
from protocol.keys import VerifyKey

_LOG: Final = logging.getLogger(__name__)
_CONNECTIONS_MAX: Final = 1000
"""The pages of a city's operators, each with a stream of live figures."""
_HEADERS_BYTES: Final = 16 * 1024
_KEEP_ALIVE_S: Final = 20
_FAREWELL_S: Final = 2
_SWEEP_S: Final = 600.0
_ERRANDS_KEPT_MS: Final = 3_600_000


class _Server(uvicorn.Server):
    """Leaves signals to whoever started it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def site_of(
    console: Console,
    *,
    store: Store,
    enrolling: Enrolling | None = None,
    root: VerifyKey | None = None,
    mirror: Mirror | None = None,
    clock_ms: Callable[[], int] = now_ms,
) -> Site:
    """What the routes of a console work with."""
    return Site(
        name=console.name,
        url=console.url,
        timezone=console.timezone,
        alerts_to_loopback=console.alerts_to_loopback,
        store=store,
        door=Door(
            store=store,
            passwords=Passwords(),
            by_name=Throttle(now_s=time.monotonic, free=FREE_NAME),
            by_address=Throttle(now_s=time.monotonic, free=FREE_ADDRESS),
            now_ms=clock_ms,
        ),
        errands=Errands(store=store, now_ms=clock_ms),
        words=Words(),
        slips=Throttle(now_s=time.monotonic, free=FREE_SLIP),
        enrolling=enrolling,
        now_ms=clock_ms,
        root=root,
        mirror=mirror,
    )


async def serve(
    console: Console,
    *,
    open_store: Callable[[], Awaitable[Store]],
    enrolling: Enrolling | None,
    root: VerifyKey,
    mirror: Mirror | None,
    watched: bool,
) -> int:
    """Serve until a signal comes, or, when `watched`, until whoever started us is gone. Returns the exit code.

    Raises:
        StoreError: the database cannot be used.
        OSError: a certificate cannot be read.
    """
    store = await open_store()
    try:
        app = console_app(site_of(console, store=store, enrolling=enrolling, root=root, mirror=mirror))
        server = _Server(
            uvicorn.Config(
                app,
                host=console.host,
                port=console.port,
                ssl_certfile=console.cert,
                ssl_keyfile=console.key,
                # A proxy's word for an address counts only where there is one, on this machine.
                proxy_headers=console.cert is None and console.url.startswith("https:"),
                forwarded_allow_ips=["127.0.0.1", "::1"],
                server_header=False,
                access_log=False,
                log_config=None,
                limit_concurrency=_CONNECTIONS_MAX,
                h11_max_incomplete_event_size=_HEADERS_BYTES,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_FAREWELL_S,
                lifespan="off",
            )
        )

        def stop() -> None:
            server.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        if watched:
            loop.add_reader(sys.stdin.fileno(), stop)
        sweeping = asyncio.create_task(_sweep(store))
        _LOG.info("console_started", extra={"url": console.url})
        try:
            await server.serve()
        finally:
            sweeping.cancel()
        return 0 if server.started else 1
    finally:
        await store.close()


async def _sweep(store: Store) -> None:
    """Forget sessions that ended, and errands of an hour ago."""
    while True:
        try:
            await store.forget_sessions(expired_before_ms=now_ms())
            await store.forget_errands(made_before_ms=now_ms() - _ERRANDS_KEPT_MS)
        except StoreError as error:
            _LOG.warning("sweep_failed", extra={"what": str(error)})
        await asyncio.sleep(_SWEEP_S)
