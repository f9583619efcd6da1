"""HubConfig -> a running hub. The only module that knows everything; each part gets what it needs by keyword.

Tasks: broker, ingest, forward, retention. One that returns or raises ends the process with 1, for systemd to start
it again; SIGTERM and SIGINT end it with 0 after an orderly farewell to the broker.
"""

import asyncio
import logging
import secrets
import signal
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from hub.broker.client import BrokerClient, Presence
from hub.broker.wire import Outgoing
from hub.config import HubConfig
from hub.deliver.aggregate import aggregate
from hub.deliver.forward import Forward
from hub.deliver.platform import HttpsPlatform
from hub.deliver.retention import Retention
from hub.health import Health, Metrics, health_app, serve_health
from hub.ingest.directory import Directory
from hub.ingest.insist import Insist
from hub.ingest.loop import Ingest
from hub.logs import log_as_json
from hub.registry.checks import RegistryError
from hub.registry.keyfiles import read_key_file
from hub.store.errors import StoreError
from hub.store.ports import ReportStore
from hub.store.sqlite import open_store
from protocol import topics
from protocol.batch import BATCH_ID_BYTES
from protocol.errors import ProtocolError
from protocol.keyfile import parse_private
from protocol.keys import SigningKey, VerifyKey, decode_key
from protocol.limits import KEY_FILE_BYTES, TRUST_BYTES
from protocol.presence import SESSION_BYTES, HubPresence, encode_hub_presence
from protocol.trust import TrustBundle, open_trust

_LOG: Final = logging.getLogger(__name__)
_CLIENT_ID: Final = "hub"


def run(config: HubConfig) -> int:
    """Run until a signal or a failure. Returns the exit code."""
    log_as_json()
    try:
        return asyncio.run(_serve(config))
    except (OSError, ValueError, StoreError, ProtocolError, RegistryError) as error:
        _LOG.critical("hub_failed", extra={"reason": type(error).__name__, "what": str(error)})
        return 1


async def _serve(config: HubConfig) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    key = read_signing_key(config.keys.signing)
    trust = read_bundle(config.trust.bundle, root=decode_key(read_key_file(config.keys.root)))
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
        broker = BrokerClient(
            host=config.broker.host,
            port=config.broker.port,
            tls=mutual_tls(ca=config.broker.ca, cert=config.broker.cert, key=config.broker.key),
            client_id=_CLIENT_ID,
            filters=(topics.CHECKINS_FILTER, topics.PRESENCE_FILTER),
            presence=new_presence,
        )
        forward = Forward(
            store=store,
            platform=platform,
            hub_id=config.hub,
            key=key,
            trust=trust,
            key_of=directory.key_of,
            new_id=lambda: secrets.token_bytes(BATCH_ID_BYTES),
            health=health,
            metrics=metrics,
            now_ms=now_ms,
        )
        ingest = Ingest(
            broker=broker,
            store=store,
            directory=directory,
            insist=Insist(health=health, metrics=metrics),
            key=key,
            count=aggregate,
            stored=forward.wake,
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
        # Without the devices' keys, forward would take every row for a stranger's.
        await directory.refresh()
        return await _supervise(
            {
                "broker": asyncio.create_task(broker.run()),
                "ingest": asyncio.create_task(ingest.run()),
                "forward": asyncio.create_task(forward.run()),
                "retention": asyncio.create_task(retention.run()),
            },
            stop=stop,
        )


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


def new_presence() -> Presence:
    """A new session for every connection: what the broker dropped meanwhile must be sent again."""
    session, at_ms = secrets.token_bytes(SESSION_BYTES), now_ms()

    def message(*, online: bool) -> Outgoing:
        payload = encode_hub_presence(HubPresence(session=session, online=online, at_ms=at_ms))
        return Outgoing(topic=topics.HUB_PRESENCE, payload=payload, qos=1, retain=True)

    return Presence(online=message(online=True), offline=message(online=False))


def mutual_tls(*, ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.3 with our certificate; the other side's must be signed by `ca`. Raises OSError for bad files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(ca)
    context.load_cert_chain(cert, key)
    return context


def read_bundle(path: Path, *, root: VerifyKey) -> TrustBundle:
    """The trust bundle, no more of a file than one may have. Raises OSError or ProtocolError."""
    with path.open("rb") as file:
        return open_trust(file.read(TRUST_BYTES + 1), root=root)


def read_signing_key(path: Path) -> SigningKey:
    """The hub's private key. Raises OSError, ValueError or ProtocolError."""
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: others than its owner may read the private key; chmod 600 it")
    with path.open("rb") as file:
        return parse_private(file.read(KEY_FILE_BYTES + 1))


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000
