"""SQLite: rings, rollouts, and what became of each device in one."""

from collections.abc import Sequence
from typing import Any, Final

from hub.model import AuditEntry
from hub.store.errors import RegistryConflictError
from hub.store.firmware_ports import Outcome, Rollout, RolloutState, Told
from hub.store.sqlite.connection import Connections
from hub.store.sqlite.registry import INSERT_AUDIT, audit_values, exists
from hub.store.trust_ports import CommandState

_SELECT: Final = (
    "SELECT id, release, place, soak_min, failures_max, patience_min, who, made_ms, state, reason, ring, soak_from_ms,"
    " moved_ms FROM rollout"
)
_TOLD: Final = """
SELECT rollout_device.device, command, tries, was_failing, told_ms, outcome, reason, outcome_ms, command.state,
    command.sent_ms IS NOT NULL, command.detail
FROM rollout_device LEFT JOIN command ON command.id = rollout_device.command
WHERE rollout = ? ORDER BY rollout_device.device
"""


class SqliteFirmware:
    """`hub.store.firmware_ports.FirmwareStore` on SQLite."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def rings(self) -> dict[bytes, int]:
        """Of the devices that somebody has put into one."""
        rows = await self._connections.read("SELECT device, ring FROM device_ring")
        return {row[0]: row[1] for row in rows}

    async def set_ring(self, device_id: bytes, *, ring: int, audit: AuditEntry) -> None:
        """Put a known device into a ring."""
        async with self._connections.transaction() as db:
            if not await exists(db, "SELECT 1 FROM device WHERE id = ?", (device_id,)):
                raise RegistryConflictError(f"device {device_id.hex()} is not registered")
            await db.execute_fetchall("INSERT OR REPLACE INTO device_ring VALUES (?, ?)", (device_id, ring))
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))

    async def add_rollout(self, rollout: Rollout, *, audit: AuditEntry) -> int:
        """A new one, while no other is open."""
        async with self._connections.transaction() as db:
            if await exists(db, "SELECT 1 FROM rollout WHERE state IN ('running', 'halted')", ()):
                raise RegistryConflictError("another rollout runs or is halted: let it end, or cancel it first")
            made = await db.execute_fetchall(
                "INSERT INTO rollout (release, place, soak_min, failures_max, patience_min, who, made_ms, state,"
                " reason, ring, soak_from_ms, moved_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    rollout.release,
                    rollout.place_id,
                    rollout.soak_min,
                    rollout.failures_max,
                    rollout.patience_min,
                    rollout.who,
                    rollout.made_ms,
                    rollout.state,
                    rollout.reason,
                    rollout.ring,
                    rollout.soak_from_ms,
                    rollout.moved_ms,
                ),
            )
            await db.execute_fetchall(INSERT_AUDIT, audit_values(audit))
        return int(next(iter(made))[0])

    async def newest_rollout(self) -> Rollout | None:
        """The one staged last."""
        rows = await self._connections.read(f"{_SELECT} ORDER BY id DESC LIMIT 1")
        return _rollout(rows[0]) if rows else None

    async def told_devices(self, rollout_id: int) -> tuple[Told, ...]:
        """Everybody who was told."""
        return tuple(_told(row) for row in await self._connections.read(_TOLD, (rollout_id,)))

    async def move_rollout(
        self,
        rollout: Rollout,
        *,
        expected: RolloutState,
        told: Sequence[Told] = (),
        forget: frozenset[Outcome] = frozenset(),
        audit: Sequence[AuditEntry] = (),
    ) -> bool:
        """One step of it, if it is where the caller has seen it."""
        number = rollout.rollout_id
        async with self._connections.transaction() as db:
            moved = await db.execute_fetchall(
                "UPDATE rollout SET soak_min = ?, failures_max = ?, patience_min = ?, state = ?, reason = ?, ring = ?,"
                " soak_from_ms = ?, moved_ms = ? WHERE id = ? AND state = ? RETURNING id",
                (
                    rollout.soak_min,
                    rollout.failures_max,
                    rollout.patience_min,
                    rollout.state,
                    rollout.reason,
                    rollout.ring,
                    rollout.soak_from_ms,
                    rollout.moved_ms,
                    number,
                    expected,
                ),
            )
            if not list(moved):
                return False
            await db.executemany(
                "DELETE FROM rollout_device WHERE rollout = ? AND outcome = ?",
                [(number, outcome) for outcome in sorted(forget)],
            )
            await db.executemany(
                "INSERT OR REPLACE INTO rollout_device (rollout, device, command, tries, was_failing, told_ms, outcome,"
                " reason, outcome_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        number,
                        each.device_id,
                        each.command_id,
                        each.tries,
                        each.was_failing,
                        each.told_ms,
                        each.outcome,
                        each.reason,
                        each.outcome_ms,
                    )
                    for each in told
                ],
            )
            await db.executemany(INSERT_AUDIT, [audit_values(entry) for entry in audit])
        return True


def _rollout(row: tuple[Any, ...]) -> Rollout:
    number, release, place, soak, failures, patience, who, made_ms, state, reason, ring, soak_from_ms, moved_ms = row
    return Rollout(
        rollout_id=number,
        release=release,
        place_id=place,
        soak_min=soak,
        failures_max=failures,
        patience_min=patience,
        who=who,
        made_ms=made_ms,
        state=RolloutState(state),
        reason=reason,
        ring=ring,
        soak_from_ms=soak_from_ms,
        moved_ms=moved_ms,
    )


def _told(row: tuple[Any, ...]) -> Told:
    device, command_id, tries, was_failing, told_ms, outcome, reason, outcome_ms, state, sent, answer = row
    return Told(
        device_id=device,
        command_id=command_id,
        tries=tries,
        was_failing=bool(was_failing),
        told_ms=told_ms,
        outcome=Outcome(outcome),
        reason=reason,
        outcome_ms=outcome_ms,
        command=None if state is None else CommandState(state),
        sent=bool(sent),
        answer=answer or "",
    )
