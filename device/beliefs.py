"""Builds what the gate believes: clock, issuers, status lists, policy, and what comes down to change them."""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device.config import DeviceConfig
from device.identity import Identity
from device.logs import Log
from device.scan.decide import longest_use_ms
from device.trust.believed import Believed
from device.trust.clock import GateClock, kernel_synchronised
from device.trust.downlink import Downlink
from device.trust.issuers import Issuers
from device.trust.lists import StatusLists
from device.trust.policy import Policies
from device.trust.resolver import Resolver
from device.trust.used import UsedElsewhere
from protocol.errors import ProtocolError
from protocol.limits import POLICY_BYTES
from protocol.policy import GatePolicy
from protocol.terms import Direction
from protocol.verdict import rules_of

_LOG = logging.getLogger(__name__)


def mono_ms() -> int:
    """Milliseconds on a clock that only goes forward."""
    return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """Everything that a gate takes another's signed word for."""

    clock: GateClock
    issuers: Issuers
    lists: StatusLists
    policies: Policies
    used: UsedElsewhere
    resolver: Resolver
    downlink: Downlink

    @property
    def policy(self) -> GatePolicy:
        """The policy in force."""
        return self.policies.current

    @property
    def longest_use_ms(self) -> int:
        """How long a code can count as used under the policy in force."""
        return longest_use_ms(rules_of(self.policy, open_for_people=True))


def believe(
    config: DeviceConfig,
    *,
    identity: Identity,
    log: Log,
    put: Callable[[str, bytes, int], object],
    connected: Callable[[], bool],
    on_command: Callable[[bytes], None],
) -> Beliefs:
    """What this gate believes at its start: what it kept, or what it was provisioned with.

    Args:
        config: the machine and its site.
        identity: who it is and whom it trusts.
        log: told when something comes into force.
        put: has a message sent.
        connected: whether anybody could hear it now.
        on_command: told the payloads of commands.

    Raises:
        OSError, ProtocolError: there is no trust bundle that can be believed.
    """
    believed = Believed(config.state_dir / "believed")
    assume = config.clock.source == "assume"
    clock = GateClock(synchronised=(lambda: True) if assume else kernel_synchronised, assume=assume, believed=believed)
    hub_keys = {key.kid: key for key in identity.hub_keys}
    issuers = Issuers(root=identity.root, provisioned=config.trust.bundle, believed=believed, clock=clock)
    lists = StatusLists(believed=believed, issuers=issuers, clock=clock)

    def in_force(what: str, **fields: object) -> None:
        log.event("in_force", what=what, **fields, at_ms=clock.now_ms())

    policies = Policies(
        default=_default_policy(config),
        hub_keys=hub_keys,
        believed=believed,
        on_change=lambda policy: in_force("policy", version=policy.version, closed=policy.closed),
    )
    if config.trust.policy is not None and policies.current.version == 0:
        _offer_provisioned(policies, config.trust.policy)
    used = UsedElsewhere(
        device=identity.device,
        place=config.place,
        longest_ms=lambda: longest_use_ms(rules_of(policies.current, open_for_people=True)),
        put=put,
        now_ms=clock.now_ms,
        mono_ms=mono_ms,
    )
    resolver = Resolver(
        device=identity.device,
        place=config.place,
        gate=config.gate,
        trust=lambda: issuers.current,
        connected=connected,
        put=put,
        at_s=lambda: issuers.judge_s,
        mono_ms=mono_ms,
        random_bytes=secrets.token_bytes,
    )
    downlink = Downlink(
        device=identity.device,
        place=config.place,
        hub_keys=hub_keys,
        issuers=issuers,
        lists=lists,
        policies=policies,
        clock=clock,
        on_command=on_command,
        on_resolved=resolver.take,
        on_used=used.take,
        on_trust=lambda version: in_force("trust", version=version),
        on_status=lambda name, version: in_force("status", list=name, version=version),
        mono_ms=mono_ms,
    )
    return Beliefs(
        clock=clock,
        issuers=issuers,
        lists=lists,
        policies=policies,
        used=used,
        resolver=resolver,
        downlink=downlink,
    )


def _default_policy(config: DeviceConfig) -> GatePolicy:
    """What holds until the hub has said something: `[policy]` of the configuration."""
    given = config.policy
    return GatePolicy(
        device=config.device,
        version=0,
        issued_s=0,
        place=config.place,
        gate=config.gate,
        direction=Direction[config.direction.upper()],
        enabled=given.enabled,
        closed=given.closed,
        leeway_s=given.leeway_s,
        reuse_s=given.reuse_s,
        light_ms=given.light_ms,
        open_ms=given.open_ms,
        keep_masked=given.keep_masked,
    )


def _offer_provisioned(policies: Policies, path: Path) -> None:
    """The policy that came with enrolment; one that does not fit leaves the default in force."""
    try:
        with path.open("rb") as file:
            policies.offer(file.read(POLICY_BYTES + 1))
    except (OSError, ProtocolError) as error:
        _LOG.error("policy: the one of the enrolment is not in force: %s", error)
