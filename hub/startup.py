"""Settings and files -> what `main` puts together: contexts, keys, presence, the enrolment server."""

import secrets
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.broker.client import Presence
from hub.broker.wire import Outgoing
from hub.clock import now_ms
from hub.companion import Companion
from hub.config import Console, HubConfig
from hub.deliver.alert import Alerts
from hub.deliver.apprise_sender import AppriseSender
from hub.deliver.errands import alert_errands
from hub.deliver.facts import Facts
from hub.deliver.tell import Tell
from hub.enrol.errands import enrol_errands
from hub.enrol.http import EnrolmentPages
from hub.enrol.rates import neighbourhood
from hub.enrol.server import EnrolmentServer
from hub.errands import Errands, Handler
from hub.firmware.loop import COMMAND_LIFE_S, WHO, Rollouts
from hub.firmware.mirror import Mirror
from hub.firmware.serving import FirmwareFiles
from hub.health import Health, Metrics
from hub.registry.authority import Authority, load_authority
from hub.registry.changes import Operator
from hub.registry.configuration import Addresses, Configurations
from hub.store.ports import Store
from hub.trust.changes import queue_command
from hub.trust.fleet import Fleet
from hub.trust.parts import Parts
from hub.trust.placecodes import PlaceCodes
from hub.trust.platform import HttpsSource
from protocol import topics
from protocol.command import CommandName
from protocol.keyfile import parse_private
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import KEY_FILE_BYTES, TRUST_BYTES
from protocol.presence import SESSION_BYTES, HubPresence, encode_hub_presence
from protocol.terms import Direction


def enrolment_server(
    config: HubConfig,
    *,
    store: Store,
    authority: Authority,
    key: SigningKey,
    root: VerifyKey,
    believing: Parts,
    health: Health,
    metrics: Metrics,
    now_ms: Callable[[], int],
) -> EnrolmentServer:
    """Where devices enrol and renew, and fetch firmware. Only with `[ca]` and `[enrolment]`."""
    if config.enrolment is None:
        raise ValueError("no [enrolment]")
    enrolment = config.enrolment

    async def policy_for(device: bytes, place: str, gate: str, direction: Direction) -> bytes:
        return await believing.policies.policy_for(device=device, place=place, gate=gate, direction=direction)

    configurations = Configurations(
        store=store,
        addresses=Addresses(
            broker_host=config.broker_host,
            broker_port=enrolment.broker_port or config.broker.port,
            hub_url=enrolment.url,
            ca=authority.der,
            hub_keys=(key.public,),
            root=root,
        ),
        policy_for=policy_for,
        trust=lambda: believing.bundle.data,
    )
    files = None
    if config.firmware is not None:
        files = FirmwareFiles(mirror=Mirror(config.firmware.dir), neighbourhood=neighbourhood, metrics=metrics)
    return EnrolmentServer(
        pages=EnrolmentPages(
            store=store,
            authority=authority,
            configurations=configurations,
            now_ms=now_ms,
            others=() if files is None else files.routes,
            is_busy=(lambda _: False) if files is None else files.is_busy,
        ),
        store=store,
        authority=authority,
        server_name=enrolment.server_name,
        host=enrolment.host,
        port=enrolment.port,
        health=health,
        now_ms=now_ms,
    )


def rollouts(
    config: HubConfig,
    *,
    store: Store,
    believing: Parts,
    broker_ready: Callable[[], bool],
    health: Health,
    metrics: Metrics,
    now_ms: Callable[[], int],
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    """Who brings releases through the fleet. Nobody without `[firmware]`."""
    if config.firmware is None:
        return {}

    async def order(device: bytes, command_id: bytes, release: int) -> None:
        await queue_command(
            store,
            operator=Operator(who=WHO, now_ms=now_ms()),
            command_id=command_id,
            device_id=device.hex(),
            name=CommandName.UPDATE,
            args={"release": release},
            life_s=COMMAND_LIFE_S,
        )

    loop = Rollouts(
        store=store,
        mirror=Mirror(config.firmware.dir),
        fleet=believing.fleet,
        order=order,
        broker_ready=broker_ready,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
    )
    return {"firmware": loop.run}


def authority_of(config: HubConfig, *, now_ms: Callable[[], int]) -> Authority | None:
    """Who signs devices' certificates; None without `[ca]`. Raises RegistryError: its files cannot be used."""
    ca = config.ca
    return None if ca is None else load_authority(cert=ca.cert, key=ca.key, days=ca.certificate_days, now_ms=now_ms())


@dataclass(frozen=True, kw_only=True)
class Alerting:
    """Who finds what people must know of, and who tells them. They run only beside a console."""

    alerts: Alerts
    tell: Tell
    handlers: Mapping[str, Handler]

    def after(self, wake: Callable[[], None]) -> Callable[[], None]:
        """What is done when something was stored: `wake`, and the look for alerts."""

        def stored() -> None:
            wake()
            self.alerts.wake()

        return stored


def alerting(
    config: HubConfig,
    *,
    store: Store,
    fleet: Fleet,
    broker_ready: Callable[[], bool],
    stack: AsyncExitStack,
    health: Health,
    now_ms: Callable[[], int],
) -> Alerting:
    """Built from the stored rows and what scanners say; `stack` lets go of its threads."""
    console = config.console or Console(url="http://localhost")
    sender = AppriseSender(loopback=console.alerts_to_loopback)
    stack.callback(sender.close)
    facts = Facts(
        store=store,
        seen=lambda: fleet.seen,
        healths=lambda: fleet.healths,
        broker_ready=broker_ready,
        now_ms=now_ms,
    )
    return Alerting(
        alerts=Alerts(store=store, look=facts.look, health=health, now_ms=now_ms),
        tell=Tell(
            store=store,
            sender=sender,
            site=console.name,
            url=console.url,
            timezone=console.timezone,
            health=health,
            now_ms=now_ms,
        ),
        handlers=alert_errands(store=store, sender=sender, site=console.name),
    )


def console_tasks(
    config: HubConfig,
    *,
    command: Sequence[str],
    store: Store,
    authority: Authority | None,
    key: SigningKey,
    source: HttpsSource,
    believing: Parts,
    alerting: Alerting,
    health: Health,
    now_ms: Callable[[], int],
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    """The console's process, and who does what it asks for. None without `[console]`."""
    if config.console is None or not command:
        return {}
    handlers = {} if authority is None else enrol_errands(store=store, authority=authority)
    codes = PlaceCodes(store=store, source=source, key=key, trust=lambda: believing.bundle.current, now_ms=now_ms)
    handlers |= {**codes.handlers, **alerting.handlers, **believing.desk.errands}
    return {
        "alerts": alerting.alerts.run,
        "tell": alerting.tell.run,
        "console": Companion(command, health=health).run,
        "errands": Errands(store=store, handlers=handlers, health=health, now_ms=now_ms).run,
    }


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


def read_bundle(path: Path) -> bytes:
    """The signed trust bundle, no more of a file than one may have. Raises OSError."""
    with path.open("rb") as file:
        return file.read(TRUST_BYTES + 1)


def read_signing_key(path: Path) -> SigningKey:
    """The hub's private key. Raises OSError, ValueError or ProtocolError."""
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: others than its owner may read the private key; chmod 600 it")
    with path.open("rb") as file:
        return parse_private(file.read(KEY_FILE_BYTES + 1))
