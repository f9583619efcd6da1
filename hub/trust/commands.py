"""Queued commands -> devices -> results. A command is sent again until its device answers or its life ends.

A device runs each id once and answers a repeated one with what it answered before, so sending twice does no harm.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hub.health import Health, Metrics
from hub.model import AuditEntry
from hub.store.errors import StoreError
from hub.store.trust_ports import CommandRow, CommandState
from hub.trust.changes import OPEN_COMMANDS_MAX, command_of
from hub.trust.fleet import Fleet
from hub.trust.ports import Board, Clock
from hub.trust.refusals import Refusals
from hub.trust.roster import Roster
from hub.trust.waiting import until_woken
from protocol import envelope, topics
from protocol.command import CommandName, CommandResult, WipeProof, decode_result, open_wipe_proof, seal_command
from protocol.errors import MalformedError, ProtocolError, UnknownKeyError
from protocol.keys import SigningKey
from protocol.limits import WIPE_PROOF_BYTES

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 1.0
_AGAIN_MS: Final = (5_000, 10_000, 20_000, 60_000)
"""After so long a command that reached nobody, or whose answer was lost, goes to a device that is there."""
_RESULTS_MAX: Final = 256
"""Results that wait for the database, 32 KiB each at most. Those beyond come again with the next sending."""
_RESULTS_OF_ONE: Final = OPEN_COMMANDS_MAX
"""A device has no more to answer; one that talks without end takes no other's place."""


class CommandStore(Protocol):
    """The part of `hub.store.trust_ports.TrustStore` that is used here."""

    async def open_commands(self) -> tuple[CommandRow, ...]:
        """Those queued or sent, in the order in which they were issued."""

    async def keep_sealed(self, command_id: bytes, *, sealed: bytes) -> None:
        """The signed bytes of an open command."""

    async def mark_sent(self, command_ids: tuple[bytes, ...], *, at_ms: int) -> None:
        """They were published."""

    async def find_command(self, command_id: bytes) -> CommandRow | None:
        """The command, in whatever state."""

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


@dataclass(slots=True, kw_only=True)
class _Open:
    """An open command. It goes out when `due_ms` is reached and its device is there."""

    row: CommandRow
    due_ms: int = 0
    tries: int = 0


class Commands:
    """`run` it in a task; `wake` it when a command was queued, tell it of presences and results."""

    def __init__(
        self,
        *,
        store: CommandStore,
        board: Board,
        roster: Roster,
        fleet: Fleet,
        key: SigningKey,
        refusals: Refusals,
        health: Health,
        metrics: Metrics,
        now_ms: Clock,
    ) -> None:
        self._store, self._board, self._roster, self._fleet = store, board, roster, fleet
        self._key, self._refusals, self._now_ms = key, refusals, now_ms
        self._health, self._metrics = health, metrics
        self._open: dict[bytes, _Open] = {}
        self._results: deque[tuple[bytes, CommandResult]] = deque()
        self._look = True
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for new commands now."""
        self._look = True
        self._wake.set()

    def present(self, device: bytes) -> None:
        """The device is there: what it has not answered goes to it at once."""
        for command in self._open.values():
            if command.row.device_id == device:
                command.due_ms = 0
                self._wake.set()

    def result(self, device: bytes, payload: bytes) -> None:
        """Something came under this device's `results`."""
        try:
            result = decode_result(payload)
        except ProtocolError as error:
            self._refusals.refused("result", error)
            return
        own = sum(waiting == device for waiting, _ in self._results)
        if len(self._results) >= _RESULTS_MAX or own >= _RESULTS_OF_ONE:
            _LOG.warning("result_dropped", extra={"device": device.hex()})
            return
        self._results.append((device, result))
        self._wake.set()

    async def run(self) -> None:
        """Send, write down, wait, again; ends only by cancellation or an error of ours."""
        while True:
            self._health.beat("commands")
            self._wake.clear()
            try:
                await self.step()
            except StoreError as error:  # All of it still waits here or in the database.
                _LOG.error("commands_failed", extra={"what": str(error)})
                await asyncio.sleep(_LOOK_S)
                continue
            await until_woken(self._wake, _LOOK_S)

    async def step(self) -> None:
        """Take results, end what has expired, send what is due. Raises StoreError; nothing is forgotten then."""
        if self._look:
            self._look = False
            try:
                rows = await self._store.open_commands()
            except StoreError:
                self._look = True
                raise
            self._open = {row.command_id: self._open.get(row.command_id) or _Open(row=row) for row in rows}
        while self._results:
            await self._finish(*self._results[0])
            self._results.popleft()
        await self._expire()
        await self._send()

    async def _send(self) -> None:
        now_ms = self._now_ms()
        sent = []
        for command in list(self._open.values()):
            row = command.row
            # Further ahead than any pause: the clock was set back.
            if 0 < command.due_ms - now_ms <= _AGAIN_MS[-1] or not self._fleet.online(row.device_id):
                continue
            sealed = row.sealed
            if sealed is None:
                try:
                    sealed = seal_command(command_of(row), key=self._key)
                except (ProtocolError, ValueError) as error:  # Only somebody who wrote into the database himself.
                    await self._end(row, CommandState.FAILED, f"no such command can be signed: {error}")
                    continue
                await self._store.keep_sealed(row.command_id, sealed=sealed)
                command.row = replace(row, sealed=sealed)
            if not self._board.live(topics.commands(row.device_id), sealed):
                continue
            command.due_ms = now_ms + _AGAIN_MS[min(command.tries, len(_AGAIN_MS) - 1)]
            command.tries += 1
            if command.tries == 1:
                sent.append(row.command_id)
        if sent:
            await self._store.mark_sent(tuple(sent), at_ms=now_ms)

    async def _expire(self) -> None:
        now_ms = self._now_ms()
        for row in [command.row for command in self._open.values()]:
            if row.expires_s * 1000 <= now_ms:
                await self._end(row, CommandState.EXPIRED, "no answer within its life")
            elif self._roster.is_revoked(row.device_id):
                await self._end(row, CommandState.FAILED, "the device is revoked")

    async def _finish(self, device: bytes, result: CommandResult) -> None:
        """A result, once. The device's topic is its own, so it can only answer what it was told."""
        row = await self._store.find_command(result.id)
        if row is None or row.device_id != device:
            what = f"device {device.hex()} answers a command that it was not given"
            self._refusals.refused_for("result", "unknown_command", what)
            return
        if row.state in {CommandState.DONE, CommandState.FAILED}:
            return
        if row.name != CommandName.WIPE or not result.ok:
            await self._end(row, CommandState.DONE if result.ok else CommandState.FAILED, result.detail)
            return
        try:
            proof = self._read_proof(row, result.proof)
        except ProtocolError as error:
            self._refusals.refused("wipe proof", error)
            await self._end(row, CommandState.FAILED, f"its proof was refused: {error}", proof=result.proof)
            return
        detail = f"epoch {proof.epoch.hex()}, newest {proof.newest_seq}, unsent {proof.unsent}"
        await self._end(row, CommandState.DONE, detail, proof=result.proof, wiped=True)

    def _read_proof(self, row: CommandRow, data: bytes | None) -> WipeProof:
        """1. There is one. 2. Signed by a key of this device. 3. For this device and this command."""
        # 1.
        if data is None:
            raise MalformedError("wipe proof", "there is none")
        # 2.
        kid = envelope.parse(data, what="wipe proof", limit=WIPE_PROOF_BYTES).kid
        key = self._roster.keys_of(row.device_id).get(kid)
        if key is None:
            raise UnknownKeyError("wipe proof", f"device {row.device_id.hex()} has no key {kid.hex()}")
        proof = open_wipe_proof(data, key=key)
        # 3.
        if (proof.device, proof.command_id) != (row.device_id, row.command_id):
            raise MalformedError("wipe proof", "for another device or command")
        return proof

    async def _end(
        self, row: CommandRow, state: CommandState, detail: str, *, proof: bytes | None = None, wiped: bool = False
    ) -> None:
        now_ms, device = self._now_ms(), row.device_id.hex()
        what = f"{device}: {row.name}, id {row.command_id.hex()}"
        ended = await self._store.finish_command(
            row.command_id,
            state=state,
            detail=detail,
            proof=proof,
            at_ms=now_ms,
            audit=AuditEntry(at_ms=now_ms, who="hub", action=f"command.{state}", detail=what),
            revoke=AuditEntry(at_ms=now_ms, who="hub", action="device.revoked", detail=f"{device}: wiped")
            if wiped
            else None,
        )
        self._open.pop(row.command_id, None)
        if ended:
            self._metrics.commands.labels(state).inc()
            _LOG.info("command_ended", extra={"device": device, "command": row.name, "state": state})
