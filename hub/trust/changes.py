"""The changes an operator makes to what gates do: check, then one audited transaction on the store.

The running hub sees them in the database within 0.2 s, whichever process made them.
"""

import json
from collections.abc import Mapping
from typing import Final, Protocol

from hub.model import AuditEntry
from hub.registry.changes import Operator
from hub.registry.checks import REASON_CHARS, RegistryError, checked_device_id, checked_id, checked_line
from hub.store.errors import RegistryConflictError
from hub.store.trust_ports import ClosedBy, Closing, CommandRow, PolicyVersion
from hub.trust.rules import Rules
from protocol.command import ARGUMENTS, Command, CommandName, seal_command
from protocol.errors import ProtocolError
from protocol.keys import Ed25519SigningKey

OPEN_COMMANDS_MAX: Final = 16
"""Of one device: more than anybody means to send, and it answers each."""
_HISTORY_MAX: Final = 1_000_000
_ANYBODY: Final = Ed25519SigningKey(bytes(32))  # Its signatures are thrown away: only the reader's opinion is wanted.

LIFE_S: Final[Mapping[CommandName, int]] = {
    CommandName.OPEN_ONCE: 30,
    CommandName.LOCATE: 60,
    CommandName.TEST_SCAN: 60,
    CommandName.HOLD_OPEN: 60,
    CommandName.RESTART: 300,
    CommandName.SEND_LOGS: 300,
}
"""How long a command waits for its device: a gate must not open for somebody who left. Others wait a day."""
DAY_S: Final = 86_400


class ChangeStore(Protocol):
    """The part of `hub.store.trust_ports.TrustStore` that is used here."""

    async def policy_history(self, place_id: str, *, limit: int) -> tuple[PolicyVersion, ...]:
        """A place's versions, newest first."""

    async def add_policy(self, policy: PolicyVersion, *, audit: AuditEntry) -> None:
        """Add the version that follows the newest."""

    async def close_place(self, closing: Closing, *, audit: AuditEntry) -> bool:
        """False when it is closed by the same side already."""

    async def open_place(self, place_id: str, *, by: ClosedBy, audit: AuditEntry) -> bool:
        """End this side's closing."""

    async def add_command(self, command: CommandRow, *, audit: AuditEntry, open_max: int) -> None:
        """Queue a command."""


async def policy_of(store: ChangeStore, place_id: str) -> PolicyVersion:
    """The version in force at a place; version 0 with the defaults where nobody set any. Raises RegistryError."""
    found = await store.policy_history(checked_id(place_id, what="place id"), limit=1)
    if found:
        return found[0]
    return PolicyVersion(place_id=place_id, version=0, rules=Rules.defaults().json(), who="", at_ms=0, note="")


async def set_policy(
    store: ChangeStore,
    *,
    operator: Operator,
    place_id: str,
    changes: Mapping[str, str],
    note: str = "",
    expected: int | None = None,
) -> PolicyVersion:
    """Change some rules of a place; the others stay as they are.

    Args:
        store: where.
        operator: who.
        place_id: the place.
        changes: rules as they are typed.
        note: why.
        expected: the version that the operator has seen; None: whichever is in force.

    Raises:
        RegistryError: nothing is to be changed, or to a value that gates would refuse.
        RegistryConflictError: the place is not registered, or somebody else was faster.
    """
    if not changes:
        raise RegistryError("policy: name at least one rule to change")
    before = await _before(store, place_id, expected)
    rules = Rules.from_json(before.rules).changed(changes)
    what = ", ".join(f"{key} {value}" for key, value in changes.items())
    return await _add_policy(store, operator=operator, before=before, rules=rules, note=note, what=what)


async def revert_policy(
    store: ChangeStore,
    *,
    operator: Operator,
    place_id: str,
    to_version: int,
    note: str = "",
    expected: int | None = None,
) -> PolicyVersion:
    """A new version with the rules of an older one.

    Raises:
        RegistryError: there is no such version, or gates of today would refuse it.
        RegistryConflictError: as `set_policy`.
    """
    before = await _before(store, place_id, expected)
    for old in await store.policy_history(place_id, limit=_HISTORY_MAX):
        if old.version == to_version:
            rules, what = Rules.from_json(old.rules), f"as version {to_version}"
            return await _add_policy(store, operator=operator, before=before, rules=rules, note=note, what=what)
    raise RegistryError(f"policy: place {place_id} never had version {to_version}")


async def _before(store: ChangeStore, place_id: str, expected: int | None) -> PolicyVersion:
    """The version in force, if it is the one that was seen."""
    before = await policy_of(store, place_id)
    if expected is not None and before.version != expected:
        raise RegistryConflictError(
            f"{before.who or 'somebody'} has published version {before.version} of the policy of {place_id} meanwhile"
        )
    return before


async def close_place(store: ChangeStore, *, operator: Operator, place_id: str, reason: str) -> bool:
    """An operator closes a place; the platform's own closing is another one. False: it was closed for this already.

    Raises:
        RegistryError: no reason was given.
        RegistryConflictError: the place is not registered.
    """
    reason = checked_line(reason, what="reason", limit_chars=REASON_CHARS)
    if not reason:
        raise RegistryError("a reason is needed")
    closing = Closing(
        place_id=checked_id(place_id, what="place id"), by=ClosedBy.OPERATOR, why=reason, since_ms=operator.now_ms
    )
    return await store.close_place(closing, audit=operator.entry("place.close", f"{place_id}: {reason}"))


async def open_place(store: ChangeStore, *, operator: Operator, place_id: str) -> bool:
    """An operator ends an operator's closing. False: there was none. Raises RegistryError."""
    checked_id(place_id, what="place id")
    return await store.open_place(place_id, by=ClosedBy.OPERATOR, audit=operator.entry("place.open", place_id))


async def queue_command(
    store: ChangeStore,
    *,
    operator: Operator,
    command_id: bytes,
    device_id: str,
    name: str,
    args: Mapping[str, int | bool],
    life_s: int | None = None,
) -> CommandRow:
    """Tell a device to do something; it is sent as soon as the device is there.

    Raises:
        RegistryError: no such command, other arguments than it takes, or too long a life.
        RegistryConflictError: the device is not registered or revoked, or leaves too many unanswered.
    """
    device = checked_device_id(device_id)
    try:
        known = CommandName(name)
    except ValueError as error:
        raise RegistryError(f"there is no command {name!r:.40}; there are: {', '.join(CommandName)}") from error
    issued_s = operator.now_ms // 1000
    row = CommandRow(
        command_id=command_id,
        device_id=device,
        name=known,
        args=json.dumps(dict(args)),
        issued_s=issued_s,
        expires_s=issued_s + (LIFE_S.get(known, DAY_S) if life_s is None else life_s),
        who=operator.who,
    )
    try:
        seal_command(command_of(row), key=_ANYBODY)
    except ProtocolError as error:
        takes = ", ".join(ARGUMENTS.get(known, {})) or "none"
        raise RegistryError(f"{known}: a device would refuse this: {error} (arguments: {takes})") from error
    detail = f"{device_id}: {known} {row.args}, id {command_id.hex()}"
    await store.add_command(row, audit=operator.entry("command.send", detail), open_max=OPEN_COMMANDS_MAX)
    return row


def command_of(row: CommandRow) -> Command:
    """A row -> what is signed. Raises ValueError for a row that nobody of ours wrote."""
    return Command(
        device=row.device_id,
        id=row.command_id,
        name=CommandName(row.name),
        args=json.loads(row.args),
        issued_s=row.issued_s,
        expires_s=row.expires_s,
    )


async def _add_policy(
    store: ChangeStore, *, operator: Operator, before: PolicyVersion, rules: Rules, note: str, what: str
) -> PolicyVersion:
    policy = PolicyVersion(
        place_id=before.place_id,
        version=before.version + 1,
        rules=rules.json(),
        who=operator.who,
        at_ms=operator.now_ms,
        note=checked_line(note, what="note", limit_chars=REASON_CHARS),
    )
    detail = f"{policy.place_id}: version {policy.version}: {what}"
    await store.add_policy(policy, audit=operator.entry("policy.set", detail))
    return policy
