"""HubConfig -> a running hub. The only module that knows everything; each part gets what it needs by keyword.

Tasks: broker, ingest, forward, retention, register, and those of `hub.trust`, `hub.enrol` and `hub.firmware`. One that
returns or raises ends the process with 1, for systemd to start it again; SIGTERM and SIGINT end it with 0 after an
orderly farewell to the broker.
"""

import asyncio
import gc
import logging
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from hub.broker.access import RESPONSE, AccessControl
from hub.broker.client import BrokerClient, Route
from hub.clock import kernel_synchronised, now_ms
from hub.config import HubConfig
from hub.deliver.aggregate import aggregate
from hub.deliver.forward import Forward
from hub.deliver.platform import HttpsPlatform
from hub.deliver.register import Register
from hub.deliver.retention import Retention
from hub.expiry import Expiry
from hub.health import Health, Metrics, health_app, serve_health
from hub.ingest.directory import Directory
from hub.ingest.insist import Insist
from hub.ingest.loop import Ingest
from hub.logs import log_as_json
from hub.notify import notify_tasks
from hub.registry.checks import RegistryError
from hub.registry.keyfiles import read_key_file
from hub.startup import (
    alerting,
    authority_of,
    console_tasks,
    enrolment_server,
    mutual_tls,
    new_presence,
    read_bundle,
    read_signing_key,
    rollouts,
)
from hub.store.errors import StoreError
from hub.store.ports import ReportStore
from hub.store.sqlite import open_store
from hub.trust.access import Access
from hub.trust.parts import build
from hub.trust.platform import HttpsSource
from protocol import topics
from protocol.batch import BATCH_ID_BYTES
from protocol.errors import ProtocolError
from protocol.keys import decode_key
from protocol.trust import TrustBundle, open_trust

_LOG: Final = logging.getLogger(__name__)
_SWITCH_S: Final = 0.0005
"""How long a thread keeps the interpreter's lock when another waits: SQLite's thread asks for it at each row, and at
Python's 5 ms a commit of a few rows took twice as long while check-ins came in."""
_CLIENT_ID: Final = "hub"
_FILTERS: Final = (
    topics.CHECKINS_FILTER,
    topics.PRESENCE_FILTER,
    topics.HEALTH_FILTER,
    topics.RESULTS_FILTER,
    topics.RESOLVE_FILTER,
)


def run(config: HubConfig, *, console: Sequence[str] = ()) -> int:
    """Run until a signal or a failure. Returns the exit code.

    Args:
        config: what is in force.
        console: the command that serves the operators' pages, for where `[console]` is set.
    """
    log_as_json()
    sys.setswitchinterval(_SWITCH_S)
    try:
        return asyncio.run(_serve(config, console=console))
    except (OSError, ValueError, StoreError, ProtocolError, RegistryError) as error:
        _LOG.critical("hub_failed", extra={"reason": type(error).__name__, "what": str(error)})
        return 1


async def _serve(config: HubConfig, *, console: Sequence[str]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    key = read_signing_key(config.keys.signing)
    root, bundle = decode_key(read_key_file(config.keys.root)), read_bundle(config.trust.bundle)
    health, metrics = Health(), Metrics()
    async with AsyncExitStack() as stack:
        store = await open_store(config.database)
        stack.push_async_callback(store.close)
        platform = HttpsPlatform(
            url=config.platform.url,
            tls=mutual_tls(ca=config.platform.ca, cert=config.platform.cert, key=config.platform.key),
        )
        stack.push_async_callback(platform.close)
        directory = Directory(store)

        def on_side(topic: str, payload: bytes) -> None:
            if topic == RESPONSE:
                control.take(payload)
            else:
                believing.inbound.take(topic, payload)

        def on_trust(trust: TrustBundle) -> None:
            forward.believe(trust)

        def on_ready() -> None:
            if config.broker.manages_access:
                control.connected()
            believing.shelf.flush()

        broker = BrokerClient(
            host=config.broker.host,
            port=config.broker.port,
            tls=mutual_tls(ca=config.broker.ca, cert=config.broker.cert, key=config.broker.key),
            client_id=_CLIENT_ID,
            filters=(*_FILTERS, RESPONSE) if config.broker.manages_access else _FILTERS,
            presence=new_presence,
            route=_route,
            on_side=on_side,
            on_ready=on_ready,
        )
        control = AccessControl(publish=broker.publish)
        source = HttpsSource(
            url=config.platform.url,
            tls=mutual_tls(ca=config.platform.ca, cert=config.platform.cert, key=config.platform.key),
        )
        stack.push_async_callback(source.close)
        believing = build(
            store=store,
            source=source,
            publisher=broker,
            key=key,
            hub=config.hub,
            personal_h=config.retention.personal_h,
            root=root,
            bundle=bundle,
            on_trust=on_trust,
            refused_h=config.retention.quarantine_h,
            clock_trusted=(lambda: True) if config.clock.source == "assume" else kernel_synchronised,
            health=health,
            metrics=metrics,
            now_ms=now_ms,
        )
        forward = Forward(
            store=store,
            platform=platform,
            hub_id=config.hub,
            key=key,
            trust=open_trust(bundle, root=root),
            key_of=directory.key_of,
            announced=believing.announce.announced,
            new_id=lambda: secrets.token_bytes(BATCH_ID_BYTES),
            health=health,
            metrics=metrics,
            now_ms=now_ms,
        )
        alerts = alerting(
            config,
            store=store,
            fleet=believing.fleet,
            broker_ready=lambda: broker.ready,
            stack=stack,
            health=health,
            now_ms=now_ms,
        )
        ingest = Ingest(
            broker=broker,
            store=store,
            directory=directory,
            insist=Insist(health=health, metrics=metrics),
            key=key,
            count=aggregate,
            stored=alerts.after(forward.wake),
            health=health,
            metrics=metrics,
            now_ms=now_ms,
        )
        retention = Retention(
            store=store,
            personal_h=config.retention.personal_h,
            quarantine_h=config.retention.quarantine_h,
            health=health,
            metrics=metrics,
            now_ms=now_ms,
        )

        async def refresh() -> None:
            await read_gauges(broker=broker, store=store, health=health, metrics=metrics)

        pages = health_app(health=health, metrics=metrics, refresh=refresh)
        runner = await serve_health(pages, host=config.http.host, port=config.http.port)
        stack.push_async_callback(runner.cleanup)
        runs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "broker": broker.run,
            "ingest": ingest.run,
            "forward": forward.run,
            "retention": retention.run,
            "register": Register(store=store, health=health, now_ms=now_ms).run,
            **believing.tasks,
            **rollouts(
                config,
                store=store,
                believing=believing,
                broker_ready=lambda: broker.ready,
                health=health,
                metrics=metrics,
                now_ms=now_ms,
            ),
            **notify_tasks(lambda: not health.stalled()),
            "expiry": Expiry(
                files={"broker": config.broker.cert, "platform": config.platform.cert}, health=health, now_ms=now_ms
            ).run,
        }
        if config.broker.manages_access:
            runs["access"] = Access(roster=believing.roster, control=control, health=health).run
        authority = authority_of(config, now_ms=now_ms)
        if authority is not None and config.enrolment is not None:
            enrolling = enrolment_server(
                config,
                store=store,
                authority=authority,
                key=key,
                root=root,
                believing=believing,
                health=health,
                metrics=metrics,
                now_ms=now_ms,
            )
            stack.push_async_callback(enrolling.close)
            await enrolling.start()
            runs["enrol"] = enrolling.run
        runs |= console_tasks(
            config,
            command=console,
            store=store,
            authority=authority,
            key=key,
            source=source,
            believing=believing,
            alerting=alerts,
            health=health,
            now_ms=now_ms,
        )
        # Without the devices' keys, forward would take every row for a stranger's.
        await directory.refresh()
        await believing.load()
        # What stands now stays: to look through it for garbage held everything up for 45 ms each time.
        gc.collect()
        gc.freeze()
        return await _supervise({name: asyncio.create_task(run(), name=name) for name, run in runs.items()}, stop=stop)


def _route(topic: str) -> Route:
    """Check-ins are stored; presence is both; all else is taken at once."""
    leaf = topic.rpartition("/")[2]
    if leaf == "checkins":
        return Route.INBOX
    return Route.INBOX | Route.SIDE if leaf == "presence" else Route.SIDE


async def _supervise(tasks: dict[str, asyncio.Task[None]], *, stop: asyncio.Event) -> int:
    """Wait for a signal (0) or the end of any task (1), then end all of them."""
    _LOG.info("hub_started")
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, *tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
    code = 0
    for name, task in tasks.items():
        if task.done():
            code = 1
            error = None if task.cancelled() else task.exception()
            _LOG.critical("task_ended", extra={"task": name, "what": repr(error)}, exc_info=error)
    stopped.cancel()
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(stopped, *tasks.values(), return_exceptions=True)
    _LOG.info("hub_stopped", extra={"code": code})
    return code


async def read_gauges(*, broker: BrokerClient, store: ReportStore, health: Health, metrics: Metrics) -> None:
    """Bring up to date what is asked for and not counted: the broker's state and the outbox."""
    metrics.broker_ready.set(broker.ready)
    health.trouble("broker", None if broker.ready else "not connected")
    try:
        status = await store.status()
    except StoreError as error:
        health.trouble("database", str(error))
        return
    metrics.outbox_rows.set(status.outbox_rows)
    oldest_ms = status.outbox_oldest_ms
    metrics.outbox_age.set(0 if oldest_ms is None else max(0, now_ms() - oldest_ms) / 1000)
