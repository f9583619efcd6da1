"""Commands: signed bytes from the hub -> done once, answered as often as asked.

The uplink's thread only checks a command and writes it down; handlers run in a thread of their own, one at a time, so
that a gate which is told to test itself goes on sending check-ins meanwhile. This file is longer than most, for the
order of all these steps is what makes a command run once.

======================================  ==========================================================
a command that ...                      is
======================================  ==========================================================
is not the hub's, or not for us         counted, logged, never answered: whoever sent it learns nothing
came before                             answered with what came of it then; it does not run again
has outlived its time                   answered "expired"
comes while 16 others wait              answered "busy"
cannot be written down                  answered "storage_failed"
was running when the power went         answered "interrupted"; only a wipe is begun again
======================================  ==========================================================
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Protocol

from device.logs import Log
from device.model import Outcome, StorageError
from device.trust.ledger import Ledger
from protocol import topics
from protocol.command import Command, CommandName, CommandResult, encode_result, open_command
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey
from protocol.limits import RESULT_DETAIL_BYTES

Handler = Callable[[Command], Outcome]

WAITING_MOST = 16
"""More than an operator types while one runs. Beyond, a command is answered "busy"."""

AGAIN_MS = 5_000
"""An answer is given again no sooner: who replays a command must not be served 32 KiB each time."""

_ANSWERED_MOST = 256
"""Commands of which it is known when they were last answered again; at the bound all of it is forgotten."""

_SENT_S = 10.0
"""How long what follows an answer (a restart, a wipe) waits for the broker to have it."""

_LOG = logging.getLogger(__name__)


class Sent(Protocol):
    """A message on its way."""

    def wait(self, timeout_s: float, /) -> bool:
        """Whether the broker has it, after at most so long."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A command to run; with an outcome, one that ran before the restart and whose end is still due."""

    command: Command
    outcome: Outcome | None = None


class Inbox:
    """Takes commands, has them run, sends their results.

    Args:
        device: this device's id, 8 bytes.
        hub_keys: whoever may sign commands, by kid.
        ledger: what came before; None when it could not be opened: then nothing runs.
        handlers: what each command does; one without a handler is answered as unsupported.
        afterwards: what follows once the result of a command that went well is on its way, e.g. the process's end.
        put: sends a message (topic, payload, QoS); must not block.
        now_s: s since 1970.
        mono_ms: monotonic clock.
        log: gets one line for each command.

    Attributes:
        wiping: a wipe was promised before the restart and is to be finished: nobody may pass any more.
        refused: commands that nobody of the hub's sent, or not to us.
        failure: what ended the thread though nobody asked.
    """

    def __init__(
        self,
        *,
        device: bytes,
        hub_keys: Mapping[bytes, VerifyKey],
        ledger: Ledger | None,
        handlers: Mapping[CommandName, Handler],
        afterwards: Mapping[CommandName, Callable[[], None]],
        put: Callable[[str, bytes, int], Sent],
        now_s: Callable[[], int],
        mono_ms: Callable[[], int],
        log: Log,
    ) -> None:
        self.refused = 0
        self.failure: Exception | None = None
        self._device = device
        self._hub_keys = hub_keys
        self._ledger = ledger
        self._handlers = handlers
        self._afterwards = afterwards
        self._put = put
        self._now_s = now_s
        self._mono_ms = mono_ms
        self._log = log
        self._answered_ms: dict[bytes, int] = {}
        self._noted_ms: int | None = None
        self._due: Queue[_Job] = Queue(maxsize=WAITING_MOST)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._resumed = self._look_back()
        self.wiping = self._resumed is not None and self._resumed.outcome is not None

    def start(self) -> None:
        """Starts the thread, once; first with what the last process left."""
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> bool:
        """Ends the thread after the command that runs; False if that took longer than `timeout_s`."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def take(self, payload: bytes) -> None:
        """A command, as received. Never raises over what it says.

        1. The hub signed it, for this device.
        2. It did not come before.
        3. Its time is not over.
        4. There is room for it, and it is written down.
        """
        # 1.
        try:
            command = open_command(payload, hub_keys=self._hub_keys, device=self._device)
        except ProtocolError as error:
            self.refused += 1
            self._note("command_refused", reason=error.reason)
            return
        if self._ledger is None:
            self._answer_unkept(command, "storage_failed")
            return
        # 2.
        if command.id in self._ledger:
            self._answer_again(command, self._ledger)
            return
        # 3.
        if command.expires_s < self._ledger.floor_s or command.issued_s < self._ledger.since_s:
            # Not written down: it is over for ever, whatever our clock does.
            self._answer_unkept(command, "expired")
            return
        # 4.
        if self._ledger.full:
            self._note("command_not_taken", id=command.id.hex(), name=str(command.name), reason="too many")
            return
        try:
            self._ledger.accept(command, payload, now_s=self._now_s())
        except StorageError as error:
            _LOG.warning("commands: %s", error)
            self._answer_unkept(command, "storage_failed")
            return
        if self._now_s() > command.expires_s:
            self._finish(command, Outcome(ok=False, detail="expired"))
            return
        try:
            self._due.put_nowait(_Job(command))
        except Full:
            self._finish(command, Outcome(ok=False, detail="busy"))

    def _look_back(self) -> _Job | None:
        """What the last process left: everything is answered now, but for a wipe, which goes on."""
        wipes = []
        for begun in self._ledger.begun() if self._ledger is not None else []:
            try:
                command = open_command(begun.sealed, hub_keys=self._hub_keys, device=self._device)
            except ProtocolError:
                continue  # The site has other keys now; whoever asked is no longer there.
            if command.name is CommandName.WIPE:
                wipes.append(_Job(command, begun.outcome))
            else:
                self._finish(command, Outcome(ok=False, detail="interrupted"))
        # One that was promised goes before one that was not.
        wipes.sort(key=lambda job: job.outcome is None)
        for job in wipes[1:]:
            if job.outcome is None:
                self._finish(job.command, Outcome(ok=False, detail="interrupted"))
        return wipes[0] if wipes else None

    def _run(self) -> None:
        try:
            if self._resumed is not None:
                self._do(self._resumed)
            while not self._stopping.is_set():
                try:
                    self._do(self._due.get(timeout=0.5))
                except Empty:
                    continue
        except Exception as error:  # noqa: BLE001 - whatever it is, it must end the process and not only this thread
            self.failure = error

    def _do(self, job: _Job) -> None:
        command, outcome = job.command, job.outcome
        if outcome is None:
            # A wipe that was begun in time goes on whenever that is.
            late = self._now_s() > command.expires_s and job is not self._resumed
            outcome = Outcome(ok=False, detail="expired") if late else self._handle(command)
            sent = self._finish(command, outcome)
        else:
            sent = self._send(command.id, outcome)
        afterwards = self._afterwards.get(command.name)
        if outcome.ok and afterwards is not None:
            if not sent.wait(_SENT_S):
                _LOG.warning("commands: the result of %s is not acknowledged", command.name)
            if command.name is CommandName.WIPE:
                # Nothing may run behind the proof: no gate is opened, and no key made that nobody would erase.
                self._stopping.set()
            afterwards()

    def _handle(self, command: Command) -> Outcome:
        handler = self._handlers.get(command.name)
        if handler is None:
            return Outcome(ok=False, detail="unsupported")
        try:
            return handler(command)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator gets an answer
            _LOG.exception("commands: %s failed", command.name)
            return Outcome(ok=False, detail=f"failed: {type(error).__name__}")

    def _finish(self, command: Command, outcome: Outcome) -> Sent:
        outcome = Outcome(ok=outcome.ok, detail=_cut(outcome.detail), proof=outcome.proof)
        if self._ledger is not None:
            try:
                self._ledger.answer(command.id, outcome)
            except StorageError as error:
                _LOG.warning("commands: %s", error)
        self._log.event("command", id=command.id.hex(), name=str(command.name), ok=outcome.ok)
        return self._send(command.id, outcome)

    def _answer_again(self, command: Command, ledger: Ledger) -> None:
        now_ms = self._mono_ms()
        if now_ms - self._answered_ms.get(command.id, now_ms - AGAIN_MS) < AGAIN_MS:
            return
        try:
            outcome = ledger.outcome_of(command.id)
        except StorageError as error:
            _LOG.warning("commands: %s", error)
            return
        if outcome is None:
            return  # It is waiting or running, and will be answered then.
        if len(self._answered_ms) >= _ANSWERED_MOST:
            self._answered_ms.clear()
        self._answered_ms[command.id] = now_ms
        self._send(command.id, outcome)

    def _answer_unkept(self, command: Command, detail: str) -> None:
        """An answer that leaves no row: at most one a second, for a replay of it costs nobody anything."""
        if self._note("command", id=command.id.hex(), name=str(command.name), ok=False):
            self._send(command.id, Outcome(ok=False, detail=detail))

    def _note(self, event: str, **fields: object) -> bool:
        """One line in the log for what anybody could cause, at most one a second; whether it was written."""
        now_ms = self._mono_ms()
        if self._noted_ms is not None and now_ms - self._noted_ms < 1_000:
            return False
        self._noted_ms = now_ms
        self._log.event(event, **fields)
        return True

    def _send(self, id_: bytes, outcome: Outcome) -> Sent:
        result = CommandResult(id=id_, ok=outcome.ok, detail=outcome.detail, proof=outcome.proof)
        return self._put(topics.results(self._device), encode_result(result), 1)


def _cut(detail: str) -> str:
    """At most what fits a result, from the beginning."""
    return detail.encode()[:RESULT_DETAIL_BYTES].decode(errors="ignore")
