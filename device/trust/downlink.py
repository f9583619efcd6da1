"""Whatever comes down to a gate besides receipts: topic -> limits -> whoever verifies it -> what is believed.

Nothing that arrives here can raise or end anything: what is refused is counted by topic and reason, and logged.
"""

import logging
from collections.abc import Callable, Mapping

from device.trust.clock import GateClock
from device.trust.issuers import Issuers
from device.trust.lists import LISTS, StatusLists
from device.trust.outcomes import Applied, Behind, Ignored
from device.trust.policy import Policies
from device.trust.refusals import RoomError
from protocol import cbor, topics
from protocol.errors import LimitError, ProtocolError
from protocol.keys import VerifyKey
from protocol.limits import (
    COMMAND_BYTES,
    POLICY_BYTES,
    RESOLVED_BYTES,
    STATUS_DELTA_BYTES,
    STATUS_LIST_BYTES,
    TIME_HINT_BYTES,
    TRUST_BYTES,
    USED_BYTES,
)

GRACE_MS = 1000
"""A version may arrive just before the delta that leads to it: a whole list is only asked for when none came."""

_VERSION_BYTES = 9
"""The longest unsigned integer."""

_LOG = logging.getLogger(__name__)


class Downlink:
    """For the uplink's thread, which hands over every message that is not its own.

    A list that is behind is caught up by subscribing to its topic of whole lists until it is not. A version that is
    announced is not signed; a false one costs that subscription, and the issuer's next heartbeat ends it.

    Args:
        device: this device's id, 8 bytes.
        place: where it stands.
        hub_keys: the hub's keys by kid.
        issuers, lists, policies, clock: offered what came.
        on_command, on_resolved, on_used: told the payloads of these topics, which they verify; must not raise.
        on_trust: told the version of each new bundle, once it is in force.
        on_status: told the id and version of each list that is newer now.
        mono_ms: ms on a clock that only goes forward.
    """

    def __init__(
        self,
        *,
        device: bytes,
        place: str,
        hub_keys: Mapping[bytes, VerifyKey],
        issuers: Issuers,
        lists: StatusLists,
        policies: Policies,
        clock: GateClock,
        on_command: Callable[[bytes], None],
        on_resolved: Callable[[bytes], None],
        on_used: Callable[[bytes], None],
        on_trust: Callable[[int], None] = lambda _version: None,
        on_status: Callable[[str, int], None] = lambda _name, _version: None,
        mono_ms: Callable[[], int],
    ) -> None:
        self._device = device
        self._hub_keys = hub_keys
        self._issuers = issuers
        self._lists = lists
        self._policies = policies
        self._clock = clock
        self._on_trust = on_trust
        self._on_status = on_status
        self._mono_ms = mono_ms
        self._counts: dict[tuple[str, str], int] = {}
        # List id -> the version to be reached, and from when on the whole list is asked for.
        self._wanted: dict[str, tuple[int, int]] = {}
        # Those whose whole list was refused: another trust bundle may help, the same bytes again would not.
        self._refused: set[str] = set()
        # Trust first: what comes after it may be signed by its keys.
        self._own: dict[str, tuple[str, int, Callable[[bytes], None]]] = {
            topics.TRUST: ("trust", TRUST_BYTES, self._take_trust),
            topics.time(device): ("time", TIME_HINT_BYTES, self._take_time),
            topics.policy(device): ("policy", POLICY_BYTES, self._take_policy),
            topics.commands(device): ("commands", COMMAND_BYTES, on_command),
            topics.resolved(device): ("resolved", RESOLVED_BYTES, on_resolved),
            topics.used(place): ("used", USED_BYTES, on_used),
        }
        self._status: dict[str, tuple[int, Callable[[str, bytes], None]]] = {
            "version": (_VERSION_BYTES, self._take_version),
            "delta": (STATUS_DELTA_BYTES, self._take_delta),
            "snapshot": (STATUS_LIST_BYTES, self._take_snapshot),
        }

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """What this gate wants to hear now: the same at any time, and the whole lists that it is behind of."""
        now_ms = self._mono_ms()
        behind = {name for name, (_, from_ms) in self._wanted.items() if from_ms <= now_ms}
        behind |= self._lists.wanting - self._refused
        return (
            *self._own,
            topics.STATUS_DELTA_FILTER,
            topics.STATUS_VERSION_FILTER,
            *(topics.status_snapshot(name) for name in sorted(behind)),
        )

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """How often something was refused, by (kind of topic, reason); for any thread."""
        return self._counts.copy()

    def take(self, topic: str, payload: bytes) -> None:
        """One message, as received."""
        kind = "other"
        try:
            if topic in self._own:
                kind, limit, offer = self._own[topic]
                if _is_there(kind, payload, limit):
                    offer(payload)
                return
            name, leaf = topics.parse_status_topic(topic)
            kind = f"status_{leaf}"
            limit, take = self._status[leaf]
            if _is_there(kind, payload, limit):
                take(name, payload)
            else:
                self._unwant(name)
        except ProtocolError as error:
            self._refuse(kind, error)

    def _take_trust(self, payload: bytes) -> None:
        if self._issuers.offer(payload):
            self._on_trust(self._issuers.current.version)
            again = {*self._lists.trust_changed(), *self._refused}
            self._refused.clear()
            for name in sorted(again):
                self._want(name, self._lists.version_of(name) + 1)

    def _take_time(self, payload: bytes) -> None:
        self._clock.take_hint(payload, hub_keys=self._hub_keys, device=self._device)

    def _take_policy(self, payload: bytes) -> None:
        self._policies.offer(payload)

    def _take_version(self, name: str, payload: bytes) -> None:
        version = cbor.seq(cbor.decode(payload, what="status version", limit=_VERSION_BYTES), "status version")
        if version <= self._lists.version_of(name):
            self._unwant(name)
        else:
            # Of a list that is not here at all no delta can come in time.
            self._want(name, version, grace_ms=GRACE_MS if self._lists.version_of(name) else 0)

    def _take_delta(self, name: str, payload: bytes) -> None:
        before = self._lists.version_of(name)
        outcome = self._lists.offer_delta(payload, name=name)
        self._tell(name, before)
        if isinstance(outcome, Behind):
            self._want(outcome.id, outcome.version)
        elif isinstance(outcome, Applied):
            # The issuer's word that this is the newest, whatever version somebody announced.
            self._unwant(name)
        else:
            self._ignore("status_delta", outcome)

    def _take_snapshot(self, name: str, payload: bytes) -> None:
        before = self._lists.version_of(name)
        try:
            outcome = self._lists.offer_snapshot(payload, name=name)
        except ProtocolError:
            if name in self._wanted or name in self._lists.wanting:
                self._refused.add(name)
            self._unwant(name)
            raise
        self._tell(name, before)
        self._refused.discard(name)
        if self._wanted.get(name, (0, 0))[0] <= self._lists.version_of(name):
            self._unwant(name)
        if isinstance(outcome, Ignored):
            self._ignore("status_snapshot", outcome)

    def _tell(self, name: str, before: int) -> None:
        version = self._lists.version_of(name)
        if version > before:
            self._on_status(name, version)

    def _want(self, name: str, version: int, *, grace_ms: int = 0) -> None:
        """Asks for the whole list until it has this version."""
        if name not in self._wanted and (
            len(self._wanted) >= LISTS or (not self._lists.version_of(name) and not self._lists.has_room)
        ):
            raise RoomError("status list", f"{LISTS} are held or asked for")
        from_ms = self._mono_ms() + grace_ms
        if name in self._wanted:
            from_ms = min(from_ms, self._wanted[name][1])
        self._wanted[name] = (version, from_ms)
        self._refused.discard(name)

    def _unwant(self, name: str) -> None:
        self._wanted.pop(name, None)

    def _ignore(self, kind: str, outcome: Ignored) -> None:
        """Something genuine that is old: it may be told twice by any broker, or be told again by somebody."""
        if outcome.why == "older":
            self._count(kind, outcome.why)
            _LOG.info("downlink: %s ignored: %s", kind, outcome.why)

    def _refuse(self, kind: str, error: ProtocolError) -> None:
        self._count(kind, error.reason)
        if kind != "used":  # Not signed: anybody at the place may send a thousand.
            _LOG.warning("downlink: %s refused (%s): %s", kind, error.reason, error)

    def _count(self, kind: str, reason: str) -> None:
        self._counts[kind, reason] = self._counts.get((kind, reason), 0) + 1


def _is_there(kind: str, payload: bytes, limit: int) -> bool:
    """Whether there is something to read, within its limit. An empty payload clears a retained topic and says nothing.

    Raises:
        LimitError: too long.
    """
    if len(payload) > limit:
        raise LimitError(kind, f"{len(payload)} bytes, at most {limit} are allowed")
    return bool(payload)
