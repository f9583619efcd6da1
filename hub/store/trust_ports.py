"""What a store keeps of what flows to the gates: beliefs, policies, closings, commands, who was heard.

The rules of `hub.store.ports` hold here too: every method that writes is one transaction, and every method may
raise `StoreWriteError`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hub.model import AuditEntry
from protocol.health import State


class BelievedKind(StrEnum):
    """What the platform signs and gates believe."""

    TRUST = "trust"
    LIST = "list"


class ClosedBy(StrEnum):
    """Who keeps a place closed. Each opens only what it closed itself."""

    PLATFORM = "platform"
    OPERATOR = "operator"


class CommandState(StrEnum):
    """Where a command stands."""

    QUEUED = "queued"
    SENT = "sent"
    """Published at least once; no result yet."""
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    """Its life ended without a result. One that comes later still counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """One signed object as the platform gave it, verified before it was kept."""

    kind: BelievedKind
    name: str
    """A list's address; empty for the trust bundle."""
    version: int
    issued_s: int
    kept_ms: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The newest delta or heartbeat of a list."""

    name: str
    version: int
    issued_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version of a place's rules; `rules` is a JSON object that `hub.trust.rules` reads."""

    place_id: str
    version: int
    rules: str
    who: str
    at_ms: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Somebody keeps this place closed."""

    place_id: str
    by: ClosedBy
    why: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedPolicy:
    """The newest policy signed for a device."""

    device_id: bytes
    version: int
    digest: bytes
    """Over everything in it but version and time."""
    sealed: bytes
    issued_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """A command with what became of it."""

    command_id: bytes
    device_id: bytes
    name: str
    args: str
    """A JSON object."""
    issued_s: int
    expires_s: int
    who: str
    state: CommandState = CommandState.QUEUED
    sealed: bytes | None = None
    detail: str = ""
    proof: bytes | None = None
    sent_ms: int | None = None
    finished_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSeen:
    """What a device last said of itself, unsigned. The last three are None before its first health message."""

    device_id: bytes
    seen_ms: int
    online: bool
    firmware: str
    trust_version: int
    policy_version: int
    state: State | None = None
    clock_trusted: bool | None = None
    spool: int | None = None


class TrustStore(Protocol):
    """What `hub.trust` and its commands need."""

    async def change_count(self) -> int:
        """Grows with each policy, closing, opening, command, and change of a device, by whatever process."""

    async def believed(self) -> tuple[Believed, ...]:
        """Everything that is believed, by kind and name."""

    async def keep_believed(self, believed: Believed) -> None:
        """Put it in the place of its older version. One that is older than what is there changes nothing."""

    async def forget_list(self, name: str) -> None:
        """The platform no longer has this list."""

    async def freshness(self) -> tuple[Freshness, ...]:
        """The newest sign of life of each list, by name."""

    async def note_fresh(self, fresh: tuple[Freshness, ...]) -> None:
        """Put these in the place of older ones."""

    async def current_policies(self) -> tuple[PolicyVersion, ...]:
        """The newest version of every place that has one, by place."""

    async def policy_history(self, place_id: str, *, limit: int) -> tuple[PolicyVersion, ...]:
        """A place's versions, newest first."""

    async def add_policy(self, policy: PolicyVersion, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when the place is not known, or another version came first."""

    async def closings(self) -> tuple[Closing, ...]:
        """Every place that somebody keeps closed, by place."""

    async def close_place(self, closing: Closing, *, audit: AuditEntry) -> bool:
        """False when it is closed by the same side already: nothing was written, but for another reason.

        Raises:
            RegistryConflictError: an operator closes a place that is not registered.
        """

    async def open_place(self, place_id: str, *, by: ClosedBy, audit: AuditEntry) -> bool:
        """End this side's closing. False when there was none: nothing was written."""

    async def issued_policies(self) -> tuple[IssuedPolicy, ...]:
        """The newest policy of each device that ever had one."""

    async def keep_issued(self, policies: tuple[IssuedPolicy, ...]) -> None:
        """Before any of them is published. Raises RegistryConflictError when one does not have a higher version."""

    async def add_command(self, command: CommandRow, *, audit: AuditEntry, open_max: int) -> None:
        """Queue a command.

        Raises:
            RegistryConflictError: the device is not registered or is revoked, or has `open_max` open ones.
        """

    async def open_commands(self) -> tuple[CommandRow, ...]:
        """Those queued or sent, in the order in which they were issued."""

    async def keep_sealed(self, command_id: bytes, *, sealed: bytes) -> None:
        """The signed bytes of an open command, before they are published for the first time."""

    async def mark_sent(self, command_ids: tuple[bytes, ...], *, at_ms: int) -> None:
        """They were published. One that is finished already stays so."""

    async def finish_command(
        self,
        command_id: bytes,
        *,
        state: CommandState,
        detail: str,
        proof: bytes | None,
        at_ms: int,
        audit: AuditEntry,
        revoke: AuditEntry | None = None,
    ) -> bool:
        """Write down the end of a command once: False, and nothing written, when it is done or failed already.

        With `revoke`, its device is revoked with the reason `wiped` in the same transaction, unless it is already.
        """

    async def find_command(self, command_id: bytes) -> CommandRow | None:
        """The command, in whatever state."""

    async def command_list(self, *, limit: int) -> tuple[CommandRow, ...]:
        """The newest commands, newest first."""

    async def devices_seen(self) -> tuple[DeviceSeen, ...]:
        """When each device was last heard, by id."""

    async def keep_seen(self, seen: tuple[DeviceSeen, ...]) -> None:
        """Put these in the place of what was known."""
