"""Rules of places, closings and devices -> a signed policy for each gate, in force within a second.

A policy is signed again only when something in it changed; its version, counted for each device, is kept before it
is published, so that no version ever stands for two policies. A gate that has a newer one than was ever signed here,
as after a backup was restored, gets what holds now with a version above its own.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hub.health import Health, Metrics
from hub.model import DeviceState
from hub.registry.checks import RegistryError
from hub.store.errors import RegistryConflictError, StoreError
from hub.store.trust_ports import Closing, IssuedPolicy, PolicyVersion
from hub.trust.fleet import Fleet
from hub.trust.ports import Board, Clock
from hub.trust.roster import Roster
from hub.trust.rules import Rules
from hub.trust.waiting import until_woken
from protocol import topics
from protocol.keys import SigningKey
from protocol.policy import GatePolicy, seal_policy
from protocol.terms import Direction

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 5.0
_PAUSE_S: Final = 1.0
_PUBLISHED_AT_ONCE: Final = 64
"""A few milliseconds of writing to the broker; after a start thousands are due, and receipts must not wait for all."""
_REPORTED_MAX: Final = 1 << 62
"""A device that claims more only wants the numbers to end."""


class PolicyStore(Protocol):
    """The part of `hub.store.trust_ports.TrustStore` that is used here."""

    async def current_policies(self) -> tuple[PolicyVersion, ...]:
        """The newest version of every place that has one."""

    async def closings(self) -> tuple[Closing, ...]:
        """Every place that somebody keeps closed."""

    async def issued_policies(self) -> tuple[IssuedPolicy, ...]:
        """The newest policy of each device that ever had one."""

    async def keep_issued(self, policies: tuple[IssuedPolicy, ...]) -> None:
        """Before any of them is published."""


@dataclass(frozen=True, slots=True)
class _Places:
    """What holds at each place now."""

    rules: dict[str, Rules]
    unreadable: frozenset[str]
    closed: frozenset[str]

    def wants(self, *, device: bytes, place: str, gate: str, direction: Direction | None) -> GatePolicy:
        rules = self.rules.get(place) or Rules.defaults()
        return rules.for_gate(device=device, place=place, gate=gate, direction=direction, closed=place in self.closed)


class Policies:
    """`run` it in a task; `wake` it when something changed."""

    def __init__(
        self,
        *,
        store: PolicyStore,
        board: Board,
        roster: Roster,
        fleet: Fleet,
        key: SigningKey,
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
    ) -> None:
        self._store, self._board, self._roster, self._fleet, self._key = store, board, roster, fleet, key
        self._health, self._metrics, self._now_ms = health, metrics, now_ms
        self._issued: dict[bytes, IssuedPolicy] | None = None
        self._issuing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._wake.set()

    def wake(self) -> None:
        """Something changed: do not wait for the next look."""
        self._wake.set()

    async def run(self) -> None:
        """Issue, wait, again; ends only by cancellation or an error of ours."""
        while True:
            self._health.beat("policies")
            if self._wake.is_set() or self._overtaken():
                self._wake.clear()
                try:
                    await self.step()
                except StoreError as error:
                    _LOG.error("policies_not_issued", extra={"what": str(error)})
                    self._wake.set()
                    await asyncio.sleep(_PAUSE_S)
                    continue
            await until_woken(self._wake, _LOOK_S)

    async def step(self) -> None:
        """Every gate gets what it should have; a revoked one nothing. Raises StoreError."""
        places = await self._places()
        wanted = (
            places.wants(
                device=device.device_id, place=device.place_id, gate=device.gate_id, direction=device.direction
            )
            for device in self._roster.devices
            if device.state is not DeviceState.REVOKED and device.place_id not in places.unreadable
        )
        for at, issued in enumerate(await self._issue(wanted)):
            if at % _PUBLISHED_AT_ONCE == 0:
                await asyncio.sleep(0)
            self._board.set(topics.policy(issued.device_id), issued.sealed)
        for device in self._roster.devices:
            if device.state is DeviceState.REVOKED:
                self._board.drop(topics.policy(device.device_id))

    async def policy_for(self, *, device: bytes, place: str, gate: str, direction: Direction | None) -> bytes:
        """The signed policy of a gate that is about to be enrolled. Raises StoreError."""
        places = await self._places()
        wanted = places.wants(device=device, place=place, gate=gate, direction=direction)
        return (await self._issue([wanted]))[0].sealed

    async def _places(self) -> _Places:
        rules: dict[str, Rules] = {}
        unreadable = set()
        for policy in await self._store.current_policies():
            try:
                rules[policy.place_id] = Rules.from_json(policy.rules)
            except RegistryError as error:  # Its gates keep what they have; the other places go on.
                _LOG.error("policy_unreadable", extra={"place": policy.place_id, "what": str(error)})
                unreadable.add(policy.place_id)
        closed = frozenset(closing.place_id for closing in await self._store.closings())
        return _Places(rules=rules, unreadable=frozenset(unreadable), closed=closed)

    async def _issue(self, wanted: Iterable[GatePolicy]) -> list[IssuedPolicy]:
        """What each of these gates has now; what changed is signed and kept first."""
        async with self._issuing:
            if self._issued is None:
                self._issued = {issued.device_id: issued for issued in await self._store.issued_policies()}
            # In a thread, as below: for thousands of gates this takes longer than anybody should wait.
            policies = await asyncio.to_thread(list, wanted)
            known, now_ms = self._issued, self._now_ms()
            has = {policy.device: self._reported(policy.device) for policy in policies}
            fresh = await asyncio.to_thread(
                lambda: [
                    issued for policy in policies if (issued := self._newer(policy, known, has, now_ms)) is not None
                ]
            )
            if fresh:
                try:
                    await self._store.keep_issued(tuple(fresh))
                except (StoreError, asyncio.CancelledError) as error:
                    # Whether they were kept is not known, so what is stored is read again.
                    self._issued = None
                    if isinstance(error, RegistryConflictError):
                        _LOG.error("policy_version_taken", extra={"what": str(error)})
                    raise
                known.update((issued.device_id, issued) for issued in fresh)
                self._metrics.policies_issued.inc(len(fresh))
                _LOG.info("policies_issued", extra={"n": len(fresh)})
            return [known[policy.device] for policy in policies]

    def _overtaken(self) -> bool:
        """Whether a gate says that it has a newer policy than was ever signed here. Of all that a policy depends on,
        only this wakes nobody; to compare the policies of 16,000 gates instead takes half a second.
        """
        issued = self._issued
        return issued is None or any(
            device in issued and self._reported(device) > issued[device].version for device in self._fleet.presences
        )

    def _reported(self, device: bytes) -> int:
        """The version that the gate says it has; 0 if it has not said, or nothing that can be."""
        presence = self._fleet.presences.get(device)
        return presence.policy_version if presence is not None and presence.policy_version < _REPORTED_MAX else 0

    def _newer(
        self, policy: GatePolicy, known: dict[bytes, IssuedPolicy], has: dict[bytes, int], now_ms: int
    ) -> IssuedPolicy | None:
        """The policy signed with the next version; None when the device has this one already."""
        last, reported = known.get(policy.device), has[policy.device]
        newest = 0 if last is None else last.version
        # The key belongs to it: gates that know the next key only could not read what the last one signed.
        digest = hashlib.sha256(self._key.public.kid + repr(policy).encode()).digest()
        if last is not None and last.digest == digest and reported <= newest:
            return None
        if reported > newest:
            extra = {"device": policy.device.hex(), "signed": newest, "reported": reported}
            _LOG.warning("policy_newer_at_gate", extra=extra)
        version = max(newest, reported) + 1
        sealed = seal_policy(replace(policy, version=version, issued_s=now_ms // 1000), key=self._key)
        return IssuedPolicy(device_id=policy.device, version=version, digest=digest, sealed=sealed, issued_ms=now_ms)
