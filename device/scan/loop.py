"""The way of a frame, on one page: frame -> light. It never waits for the network.

    take     the newest frame; older ones were dropped by `capture`
    decode   its texts, read by a child process that may die
    sight    the one code that newly came into view
    verify   its issuer's signature
    decide   colour, verdict, reason
    record   sealed and committed to disk: before a light that has green in it, after any other
    indicate light, gate, sound

Green means recorded: `_answer` lights green only with the sequence number of a committed check-in in hand.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from device.model import Decision, Decoded, Frame, Refusal, Shown, grey
from device.scan.capture import Mailbox
from device.scan.decide import Memory, Rules, decide, used_until_ms
from device.scan.decode import DecoderProcess
from device.scan.indicate import Indicator
from device.scan.record import Commit, CommitFailure, Lane, Recorded, before_light, draft, record
from device.scan.sight import Sight
from device.scan.verify import verify_text
from protocol.reasons import Reason
from protocol.terms import Verdict
from protocol.trust import TrustBundle

TAKE_S = 0.5
"""How often the loop looks whether it should stop while there are no frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One answer at the gate, for the log: nothing of the code or the person. `seq` is None when none was recorded."""

    seq: int | None
    decision: Decision
    at_ms: int
    frame_to_light_ms: float
    decode_ms: float


@dataclass(slots=True, kw_only=True)
class ScanCounts:
    """What the loop saw since the start. `frames` are those whose answer is known: a lost one is no progress."""

    frames: int = 0
    decode_us: int = 0
    scans: int = 0
    several: int = 0
    foreign: int = 0
    storage_failed: bool = False


class ScanLoop:
    """Runs the stages in order, in one thread. `failure` says why it ended, if not by `stop`.

    Args:
        trust: gives the bundle in force.
        now_ms: wall clock; clock_trusted: whether it is to be believed.
        commit, commit_failure: see `record`.
        on_scan: told of each answer, after the light.
        mono_ns: the clock of `Frame.at_mono_ns`.
    """

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        decoder: DecoderProcess,
        sight: Sight,
        trust: Callable[[], TrustBundle],
        rules: Rules,
        memory: Memory,
        lane: Lane,
        now_ms: Callable[[], int],
        clock_trusted: Callable[[], bool],
        commit: Commit,
        commit_failure: CommitFailure,
        indicator: Indicator,
        on_scan: Callable[[Scan], None],
        mono_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._mailbox = mailbox
        self._decoder = decoder
        self._sight = sight
        self._trust = trust
        self._rules = rules
        self._memory = memory
        self._lane = lane
        self._now_ms = now_ms
        self._clock_trusted = clock_trusted
        self._commit = commit
        self._commit_failure = commit_failure
        self._indicator = indicator
        self._on_scan = on_scan
        self._mono_ns = mono_ns
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scan", daemon=True)
        self.counts = ScanCounts()
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin, on a thread of its own; the decoder's children live and end with it."""
        self._thread.start()

    def stop(self) -> None:
        """End after the frame at hand."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        try:
            self._decoder.start()
            while not self._stopping.is_set():
                frame = self._mailbox.take(TAKE_S)
                if frame is not None:
                    self.step(frame)
        except BaseException as error:  # noqa: BLE001 -- the thread's border, for panics of Rust libraries too: main sees the failure and ends the process.
            self.failure = error
        finally:
            self._decoder.close()

    def step(self, frame: Frame) -> None:
        """One frame, through all stages that it has work for."""
        decoded = self._decoder.decode(frame)
        if decoded.lost:
            return
        self.counts.frames += 1
        self.counts.decode_us += int(decoded.decode_ms * 1000)
        seen = self._sight.see(decoded.texts, now_ms=frame.at_mono_ns / 1e6)
        self.counts.foreign += seen.foreign
        if seen.several:
            self.counts.several += 1
            self._light(grey(Reason.SEVERAL_CODES), seq=None, at_ms=self._now_ms(), decoded=decoded)
        elif seen.code is not None:
            self._answer(seen.code, decoded)

    def _answer(self, text: str, decoded: Decoded) -> None:
        at_ms, trusted, trust = self._now_ms(), self._clock_trusted(), self._trust()
        # A clock that is not to be believed cannot say that a key is too old or too new: the bundle's own time can.
        shown = verify_text(text, trust=trust, now_s=at_ms // 1000 if trusted else trust.issued_s)
        decision = decide(shown, rules=self._rules, memory=self._memory, clock_trusted=trusted, now_ms=at_ms)
        if not before_light(decision):
            lit_ns = self._show(decision)
            recorded = self._record(shown, decision, at_ms=at_ms, clock_trusted=trusted)
            self._tell(decision, seq=recorded.seq, at_ms=at_ms, lit_ns=lit_ns, decoded=decoded)
            return
        recorded = self._record(shown, decision, at_ms=at_ms, clock_trusted=trusted)
        self._light(recorded.decision, seq=recorded.seq, at_ms=at_ms, decoded=decoded)

    def _record(self, shown: Shown, decision: Decision, *, at_ms: int, clock_trusted: bool) -> Recorded:
        until_ms = None
        if decision.verdict is Verdict.ADMIT and not isinstance(shown, Refusal):
            until_ms = used_until_ms(shown, rules=self._rules, now_ms=at_ms)
        recorded = record(
            draft(shown, decision, lane=self._lane, at_ms=at_ms, clock_trusted=clock_trusted),
            until_ms=until_ms,
            commit=self._commit,
            commit_failure=self._commit_failure,
        )
        self.counts.storage_failed = not recorded.stored
        if until_ms is not None and recorded.decision.verdict is Verdict.ADMIT:
            self._memory.admitted(shown.code_hash, until_ms=until_ms, now_ms=at_ms)
        return recorded

    def _light(self, decision: Decision, *, seq: int | None, at_ms: int, decoded: Decoded) -> None:
        self._tell(decision, seq=seq, at_ms=at_ms, lit_ns=self._show(decision), decoded=decoded)

    def _show(self, decision: Decision) -> int:
        self._indicator.show(decision)
        return self._mono_ns()

    def _tell(self, decision: Decision, *, seq: int | None, at_ms: int, lit_ns: int, decoded: Decoded) -> None:
        self.counts.scans += 1
        self._on_scan(
            Scan(
                seq=seq,
                decision=decision,
                at_ms=at_ms,
                frame_to_light_ms=(lit_ns - decoded.at_mono_ns) / 1e6,
                decode_ms=decoded.decode_ms,
            )
        )
