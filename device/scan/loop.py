"""The way of a frame, on one page: frame -> light. It never waits for the network.

    take     the newest frame; older ones were dropped by `capture`
    decode   its texts, read by a child process that may die
    sight    the one code that newly came into view
    verify   its issuer's signature; or `online`: what the platform says of a foreign code
    judge    colour, verdict, reason, by the policy in force
    record   sealed and committed to disk: before a light that has green in it, after any other
    indicate light, gate, sound

Green means recorded: `_settle` lights green only with the sequence number of a committed check-in in hand.

A foreign code is asked for, and the frames go on: a blue light says "please wait", the view is watched, the watchdog
is fed, and between two frames `_poll` looks for the answer. Whoever shows another code meanwhile makes it *several*:
the look-up is dropped, no light is shown that two people could take for theirs, and both show their codes again.

This file is longer than most: it is the order of things, and is read as one.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from device.model import Decoded, Frame, Refusal, Shown
from device.scan.capture import Mailbox
from device.scan.decode import DecoderProcess
from device.scan.indicate import Indicator
from device.scan.judge import Judge, Judged, LookUp, Moment
from device.scan.memory import Memory
from device.scan.online import Online, Resolver
from device.scan.record import Commit, CommitFailure, Lane, Recorded, before_light, record
from device.scan.sight import Sight, scheme_of
from device.scan.verify import verify_text
from protocol.policy import GatePolicy
from protocol.reasons import Reason
from protocol.terms import Scheme, Verdict
from protocol.trust import TrustBundle
from protocol.verdict import Decision, grey, out_of_service, rules_of

TAKE_S = 0.5
"""How often the loop looks whether it should stop while there are no frames."""

POLL_S = 0.02
"""How often it looks for an answer while somebody waits for one and there are no frames."""

PROVISIONING_EVERY_NS = 10 * 1_000_000_000
"""A provisioning code held up to this gate is reported this often at most: the audit must see it, not drown in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One answer at the gate, for the log: nothing of the code or the person. `seq` is None when none was recorded.

    `scheme` is None when there was no one code. For the online schemes the time to the light has the look-up in it.
    """

    seq: int | None
    scheme: Scheme | None
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
    provisioning: int = 0
    lookups: int = 0
    storage_failed: bool = False


class ScanLoop:
    """Runs the stages in order, in one thread. `failure` says why it ended, if not by `stop`.

    Nothing that it calls may block, for somebody stands before the gate.

    Args:
        policy: gives the policy in force; trust: the bundle in force.
        open_for_people: False while an operator has taken the gate out of service.
        look_up: what status lists say, by the time and the policy of the moment.
        used_elsewhere: whether another gate of the place admitted this code a moment ago.
        announce_used: told of each code that was admitted, and until when (ms) it counts as used.
        resolver, pepper: see `Online`.
        temperature: measures whoever stands there, in 0.01 °C; None when that fails.
        now_ms: wall clock; clock_trusted: whether it is to be believed.
        commit, commit_failure: see `record`.
        on_scan: told of each answer, after the light.
        on_provisioning: told that somebody showed a code for setting up a gate to this one, which is set up.
        mono_ns: the clock of `Frame.at_mono_ns`.
    """

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        decoder: DecoderProcess,
        sight: Sight,
        policy: Callable[[], GatePolicy],
        open_for_people: Callable[[], bool],
        trust: Callable[[], TrustBundle],
        look_up: LookUp,
        memory: Memory,
        used_elsewhere: Callable[[bytes], bool],
        announce_used: Callable[[bytes, int], None],
        resolver: Resolver | None,
        pepper: bytes,
        temperature: Callable[[], int | None],
        lane: Lane,
        now_ms: Callable[[], int],
        clock_trusted: Callable[[], bool],
        commit: Commit,
        commit_failure: CommitFailure,
        indicator: Indicator,
        on_scan: Callable[[Scan], None],
        on_provisioning: Callable[[], None],
        mono_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._mailbox = mailbox
        self._decoder = decoder
        self._sight = sight
        self._policy = policy
        self._open_for_people = open_for_people
        self._trust = trust
        self._judge = Judge(
            look_up=look_up,
            memory=memory,
            used_elsewhere=used_elsewhere,
            announce_used=announce_used,
            temperature=temperature,
            lane=lane,
        )
        self._online = Online(resolver=resolver, pepper=pepper)
        self._asked_in: Decoded | None = None
        self._now_ms = now_ms
        self._clock_trusted = clock_trusted
        self._commit = commit
        self._commit_failure = commit_failure
        self._indicator = indicator
        self._on_scan = on_scan
        self._on_provisioning = on_provisioning
        self._provisioning_told_ns: int | None = None
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
                frame = self._next_frame()
                if frame is not None:
                    self.step(frame)
                else:
                    self._poll()
        except BaseException as error:  # noqa: BLE001 -- the thread's border, for panics of Rust libraries too: main sees the failure and ends the process.
            self.failure = error
        finally:
            self._decoder.close()

    def _next_frame(self) -> Frame | None:
        if self._asked_in is None:
            return self._mailbox.take(TAKE_S)
        try:
            return self._mailbox.take(POLL_S)
        except Exception:  # noqa: BLE001 -- raised again by the next take, once nobody waits for an answer any more.
            self._stopping.wait(POLL_S)
            return None

    def step(self, frame: Frame) -> None:
        """One frame, through all stages that it has work for."""
        self._poll()
        decoded = self._decoder.decode(frame)
        if decoded.lost:
            return
        self.counts.frames += 1
        self.counts.decode_us += int(decoded.decode_ms * 1000)
        policy = self._policy()
        seen = self._sight.see(
            decoded.texts,
            now_ms=frame.at_mono_ns / 1e6,
            is_ours=lambda text: scheme_of(text, policy) is not None,
            waiting=self._asked_in is not None,
        )
        self.counts.foreign += seen.foreign
        if seen.provisioning:
            self._report_provisioning()
        if seen.several:
            self.counts.several += 1
            self._asked_in = None
            decision, moment = grey(Reason.SEVERAL_CODES), self._moment(policy)
            self._tell(decision, moment, decoded, lit_ns=self._show(decision, moment))
        elif seen.code is not None:
            self._answer(seen.code, decoded, self._moment(policy))

    def _moment(self, policy: GatePolicy) -> Moment:
        return Moment(
            at_ms=self._now_ms(),
            mono_ns=self._mono_ns(),
            clock_trusted=self._clock_trusted(),
            policy=policy,
            rules=rules_of(policy, open_for_people=self._open_for_people()),
        )

    def _answer(self, text: str, decoded: Decoded, moment: Moment) -> None:
        scheme = scheme_of(text, moment.policy)
        shown: Shown | None
        if scheme is None or scheme is Scheme.GATELIGHT:
            trust = self._trust()
            # A clock that is not to be believed cannot say that a key is too old or too new: the bundle's own time can.
            now_s = moment.at_ms // 1000 if moment.clock_trusted else trust.issued_s
            shown = verify_text(text, trust=trust, now_s=now_s)
        else:
            shown = self._ask(text, scheme, decoded, moment)
        if shown is not None:
            self._settle(shown, decoded, moment)

    def _ask(self, text: str, scheme: Scheme, decoded: Decoded, moment: Moment) -> Shown | None:
        """What is known of a foreign code; None when somebody now waits for the answer."""
        closed = out_of_service(moment.rules)
        if closed is not None:
            # Nobody passes here, so nobody's number needs to leave the gate.
            return Refusal(reason=closed, code_hash=self._online.code_hash(text, scheme), scheme=scheme)
        self.counts.lookups += 1
        shown = self._online.ask(
            text,
            scheme,
            cache_s=moment.policy.resolve_cache_s,
            shown_ns=decoded.at_mono_ns,
            now_ns=moment.mono_ns,
        )
        if shown is None:
            self._asked_in = decoded
            self._indicator.waiting()
        return shown

    def _poll(self) -> None:
        """Answer whoever waits, if the platform has answered or the time is over."""
        decoded = self._asked_in
        if decoded is None:
            return
        policy = self._policy()
        shown = self._online.poll(cache_s=policy.resolve_cache_s, now_ns=self._mono_ns())
        if shown is not None:
            self._asked_in = None
            self._settle(shown, decoded, self._moment(policy))

    def _settle(self, shown: Shown, decoded: Decoded, moment: Moment) -> None:
        """Judge, and then record and light, in the order that the decision asks for."""
        judged = self._judge.judge(shown, moment)
        if not before_light(judged.decision):
            lit_ns = self._show(judged.decision, moment)
            recorded = self._record(judged, moment)
            self._tell(judged.decision, moment, decoded, lit_ns=lit_ns, seq=recorded.seq, scheme=judged.checkin.scheme)
            return
        recorded = self._record(judged, moment)
        lit_ns = self._show(recorded.decision, moment)
        if recorded.decision.verdict is Verdict.ADMIT:
            self._judge.announce(judged)
        self._tell(recorded.decision, moment, decoded, lit_ns=lit_ns, seq=recorded.seq, scheme=judged.checkin.scheme)

    def _record(self, judged: Judged, moment: Moment) -> Recorded:
        recorded = record(
            judged.checkin, until_ms=judged.until_ms, commit=self._commit, commit_failure=self._commit_failure
        )
        self.counts.storage_failed = not recorded.stored
        if recorded.decision.verdict is Verdict.ADMIT:
            self._judge.remember(judged, moment)
        return recorded

    def _show(self, decision: Decision, moment: Moment) -> int:
        self._indicator.show(decision, policy=moment.policy, now_ms=moment.at_ms)
        return self._mono_ns()

    def _tell(
        self,
        decision: Decision,
        moment: Moment,
        decoded: Decoded,
        *,
        lit_ns: int,
        seq: int | None = None,
        scheme: Scheme | None = None,
    ) -> None:
        self.counts.scans += 1
        self._on_scan(
            Scan(
                seq=seq,
                scheme=scheme,
                decision=decision,
                at_ms=moment.at_ms,
                frame_to_light_ms=(lit_ns - decoded.at_mono_ns) / 1e6,
                decode_ms=decoded.decode_ms,
            )
        )

    def _report_provisioning(self) -> None:
        self.counts.provisioning += 1
        now_ns = self._mono_ns()
        told_ns = self._provisioning_told_ns
        if told_ns is None or now_ns - told_ns >= PROVISIONING_EVERY_NS:
            self._provisioning_told_ns = now_ns
            self._on_provisioning()
