"""SQLite: commands with what became of them, and when devices were heard."""

from typing import Any, Final

import aiosqlite

from hub.model import AuditEntry, DeviceState
from hub.store.errors import RegistryConflictError
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values, exists, move_device
from hub.store.trust_ports import CommandRow, CommandState, DeviceSeen
from protocol.health import State

_COMMAND: Final = (
    "SELECT id, device, name, args, issued_s, expires_s, who, state, sealed, detail, proof, sent_ms, finished_ms"
    " FROM command"
)

SELECT_SEEN: Final = (
    "SELECT device, seen_ms, online, firmware, trust_version, policy_version, state, clock_trusted, spool"
    " FROM device_seen"
)


class SqliteCommands:
    """The second half of `hub.store.trust_ports.TrustStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add_command(self, command: CommandRow, *, audit: AuditEntry, open_max: int) -> None:
        """Queue a command for a device that can still be told something."""
        name = command.device_id.hex()
        async with self._connections.transaction() as db:
            states = [
                row[0]
                for row in await db.execute_fetchall("SELECT state FROM device WHERE id = ?", (command.device_id,))
            ]
            if not states:
                raise RegistryConflictError(f"device {name} is not registered")
            if states[0] == DeviceState.REVOKED:
                raise RegistryConflictError(f"device {name} is revoked, which is final")
            waiting = await db.execute_fetchall(
                "SELECT count(*) FROM command WHERE device = ? AND state IN ('queued', 'sent')", (command.device_id,)
            )
            if next(iter(waiting))[0] >= open_max:
                raise RegistryConflictError(f"{open_max} commands for device {name} wait for its answer already")
            await db.execute_fetchall(
                "INSERT INTO command (id, device, name, args, issued_s, expires_s, who, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    command.command_id,
                    command.device_id,
                    command.name,
                    command.args,
                    command.issued_s,
                    command.expires_s,
                    command.who,
                    command.state,
                ),
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def open_commands(self) -> tuple[CommandRow, ...]:
        """Those queued or sent, in the order in which they were issued."""
        rows = await self._connections.read(f"{_COMMAND} WHERE state IN ('queued', 'sent') ORDER BY rowid")
        return tuple(_command(row) for row in rows)

    async def keep_sealed(self, command_id: bytes, *, sealed: bytes) -> None:
        """The signed bytes of an open command."""
        async with self._connections.transaction() as db:
            await db.execute_fetchall("UPDATE command SET sealed = ? WHERE id = ?", (sealed, command_id))

    async def mark_sent(self, command_ids: tuple[bytes, ...], *, at_ms: int) -> None:
        """They were published."""
        async with self._connections.transaction() as db:
            await db.executemany(
                "UPDATE command SET state = 'sent', sent_ms = ? WHERE id = ? AND state IN ('queued', 'sent')",
                [(at_ms, command_id) for command_id in command_ids],
            )

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
        """Write down the end of a command once."""
        async with self._connections.transaction() as db:
            ended = list(
                await db.execute_fetchall(
                    "UPDATE command SET state = ?, detail = ?, proof = ?, finished_ms = ?"
                    " WHERE id = ? AND state NOT IN ('done', 'failed', ?) RETURNING device",
                    (state, detail, proof, at_ms, command_id, state),
                )
            )
            if not ended:
                return False
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
            if revoke is not None:
                await _revoke_wiped(db, ended[0][0], audit=revoke)
        if revoke is not None:
            self._connections.note_registry_change()
        return True

    async def find_command(self, command_id: bytes) -> CommandRow | None:
        """The command, in whatever state."""
        rows = await self._connections.read(f"{_COMMAND} WHERE id = ?", (command_id,))
        return _command(rows[0]) if rows else None

    async def command_list(self, *, limit: int) -> tuple[CommandRow, ...]:
        """The newest commands, newest first."""
        rows = await self._connections.read(f"{_COMMAND} ORDER BY rowid DESC LIMIT ?", (limit,))
        return tuple(_command(row) for row in rows)

    async def device_commands(self, device_id: bytes, *, limit: int) -> tuple[CommandRow, ...]:
        """The newest commands of one device, newest first."""
        rows = await self._connections.read(
            f"{_COMMAND} WHERE device = ? ORDER BY issued_s DESC, rowid DESC LIMIT ?", (device_id, limit)
        )
        return tuple(_command(row) for row in rows)

    async def devices_seen(self) -> tuple[DeviceSeen, ...]:
        """When each device was last heard."""
        rows = await self._connections.read(f"{SELECT_SEEN} ORDER BY device")
        return tuple(seen_of(row) for row in rows)

    async def keep_seen(self, seen: tuple[DeviceSeen, ...]) -> None:
        """Put these in the place of what was known."""
        async with self._connections.transaction() as db:
            await db.executemany(
                "INSERT OR REPLACE INTO device_seen (device, seen_ms, online, firmware, trust_version,"
                " policy_version, state, clock_trusted, spool) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        entry.device_id,
                        entry.seen_ms,
                        entry.online,
                        entry.firmware,
                        entry.trust_version,
                        entry.policy_version,
                        entry.state,
                        entry.clock_trusted,
                        entry.spool,
                    )
                    for entry in seen
                ],
            )


async def _revoke_wiped(db: aiosqlite.Connection, device_id: bytes, *, audit: AuditEntry) -> None:
    if await exists(db, "SELECT 1 FROM device WHERE id = ? AND state <> ?", (device_id, DeviceState.REVOKED)):
        await move_device(db, device_id, state=DeviceState.REVOKED, reason="wiped", at_ms=audit.at_ms)
        await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))


def _command(row: tuple[Any, ...]) -> CommandRow:
    command_id, device_id, name, args, issued_s, expires_s, who, state, *rest = row
    sealed, detail, proof, sent_ms, finished_ms = rest
    return CommandRow(
        command_id=command_id,
        device_id=device_id,
        name=name,
        args=args,
        issued_s=issued_s,
        expires_s=expires_s,
        who=who,
        state=CommandState(state),
        sealed=sealed,
        detail=detail,
        proof=proof,
        sent_ms=sent_ms,
        finished_ms=finished_ms,
    )


def seen_of(row: tuple[Any, ...]) -> DeviceSeen:
    """A row of `SELECT_SEEN`."""
    device_id, seen_ms, online, firmware, trust_version, policy_version, state, clock_trusted, spool = row
    return DeviceSeen(
        device_id=device_id,
        seen_ms=seen_ms,
        online=bool(online),
        firmware=firmware,
        trust_version=trust_version,
        policy_version=policy_version,
        state=None if state is None else State(state),
        clock_trusted=None if clock_trusted is None else bool(clock_trusted),
        spool=spool,
    )
