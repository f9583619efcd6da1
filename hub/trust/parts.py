"""Builds everything between the platform, the operator and the broker, and names its tasks. Used by `main`."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hub.health import Health, Metrics
from hub.store.desk_ports import DeskStore
from hub.store.enrol_ports import EnrolStore
from hub.store.fleet_ports import FleetStore
from hub.store.ports import RegistryStore
from hub.store.trace_ports import TraceStore
from hub.store.trust_ports import TrustStore
from hub.trust.announce import Announce
from hub.trust.bundle import Bundle
from hub.trust.clockhint import ClockHint
from hub.trust.commands import Commands
from hub.trust.desk import Desk
from hub.trust.fetch import Fetch
from hub.trust.fleet import Fleet
from hub.trust.follow import Follow
from hub.trust.inbound import Inbound
from hub.trust.keeping import Keeping
from hub.trust.lists import Lists
from hub.trust.places import PlatformPlaces
from hub.trust.policies import Policies
from hub.trust.ports import Clock, Publisher, Source
from hub.trust.refusals import Refusals
from hub.trust.resolve import Resolve
from hub.trust.roster import Roster
from hub.trust.shelf import Shelf
from hub.trust.traces import Traces, TraceSource
from protocol.keys import SigningKey, VerifyKey
from protocol.trust import TrustBundle

_HOUR_MS: Final = 3_600_000


class Store(RegistryStore, EnrolStore, TrustStore, DeskStore, FleetStore, TraceStore, Protocol):
    """The six ports that are used here."""


class Platform(Source, TraceSource, Protocol):
    """The platform's whole API, but for check-ins."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that others talk to; `load` once, then run every one of `tasks`."""

    shelf: Shelf
    roster: Roster
    fleet: Fleet
    policies: Policies
    announce: Announce
    inbound: Inbound
    follow: Follow
    bundle: Bundle
    desk: Desk
    tasks: dict[str, Callable[[], Coroutine[Any, Any, None]]]

    async def load(self) -> None:
        """What the database holds, before anybody is spoken to. Raises StoreError."""
        await self.roster.load()
        await self.fleet.load()
        await self.announce.load()
        await self.follow.load()


def build(
    *,
    store: Store,
    source: Platform,
    publisher: Publisher,
    key: SigningKey,
    hub: bytes,
    personal_h: int,
    root: VerifyKey,
    bundle: bytes,
    on_trust: Callable[[TrustBundle], None],
    clock_trusted: Callable[[], bool],
    refused_h: int,
    health: Health,
    metrics: Metrics,
    now_ms: Clock,
) -> Parts:
    """All parts, put together. Raises ProtocolError for a bundle that the root did not sign."""
    shelf = Shelf(publisher=publisher, health=health)
    roster = Roster(store=store, health=health)
    refusals = Refusals(store=store, health=health, metrics=metrics, now_ms=now_ms)
    fleet = Fleet(store=store, refusals=refusals, health=health, now_ms=now_ms)
    keeping = Keeping(store=store, health=health, now_ms=now_ms)
    lists = Lists()
    trust = Bundle(
        data=bundle,
        root=root,
        board=shelf,
        keeping=keeping,
        on_trust=on_trust,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
    )
    fetch = Fetch(
        source=source,
        board=shelf,
        bundle=trust,
        lists=lists,
        keeping=keeping,
        refusals=refusals,
        health=health,
        now_ms=now_ms,
    )
    traces = Traces(
        source=source,
        store=store,
        trust=lambda: trust.current,
        key=key,
        hub=hub,
        kept_ms=personal_h * _HOUR_MS,
        refusals=refusals,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
    )
    follow = Follow(
        source=source,
        board=shelf,
        bundle=trust,
        lists=lists,
        fetch=fetch,
        places=PlatformPlaces(store=store, now_ms=now_ms),
        keeping=keeping,
        refusals=refusals,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
        on_trace=traces.wake,
    )
    policies = Policies(
        store=store,
        board=shelf,
        roster=roster,
        fleet=fleet,
        key=key,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
    )
    commands = Commands(
        store=store,
        board=shelf,
        roster=roster,
        fleet=fleet,
        key=key,
        refusals=refusals,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
    )
    announce = Announce(
        store=store, source=source, roster=roster, key=key, health=health, metrics=metrics, now_ms=now_ms
    )
    resolve = Resolve(
        source=source, board=shelf, bundle=trust, refusals=refusals, health=health, metrics=metrics, now_ms=now_ms
    )
    desk = Desk(
        store=store,
        source=source,
        bundle=trust,
        refusals=refusals,
        refused_h=refused_h,
        health=health,
        metrics=metrics,
        now_ms=now_ms,
    )
    inbound = Inbound(
        roster=roster,
        fleet=fleet,
        commands=commands,
        resolve=resolve,
        clock_hint=ClockHint(board=shelf, key=key, trusted=clock_trusted, now_ms=now_ms),
        metrics=metrics,
    )
    roster.on_change.extend((policies.wake, commands.wake, announce.wake))
    tasks = {
        "shelf": shelf.run,
        "roster": roster.run,
        "fleet": fleet.run,
        "refusals": refusals.run,
        "keeping": keeping.run,
        "fetch": fetch.run,
        "follow": follow.run,
        "policies": policies.run,
        "commands": commands.run,
        "announce": announce.run,
        "resolve": resolve.run,
        "traces": traces.run,
        "desk": desk.run,
    }
    return Parts(
        shelf=shelf,
        roster=roster,
        fleet=fleet,
        policies=policies,
        announce=announce,
        inbound=inbound,
        follow=follow,
        bundle=trust,
        desk=desk,
        tasks=tasks,
    )
