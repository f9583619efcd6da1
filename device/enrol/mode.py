"""What a device does that belongs to no site: it looks for a provisioning code, and takes it.

    waiting   pulses; every text that is no provisioning code is ignored
    working   asks the hub, tries again while that may help, then waits for the operator
    failed    says so, and is back to waiting; for a moment no code is looked at, and the same not while it stays

A code with another token than the one at work replaces it: an operator who starts anew need not wait for a day.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from device.enrol import bootfile, pace, site
from device.enrol.attempt import Attempt
from device.enrol.errors import CodeError, EnrolmentError, JoinError, SiteError, UnreachableError
from device.enrol.ports import Signals
from device.enrol.surroundings import Surroundings
from protocol.enrolment import EnrolmentState, is_provisioning, parse_provisioning
from protocol.errors import ProtocolError

FRAME_S = 0.05
"""Between two looks at the camera's texts: 20 a second."""

AGAIN_S = 30.0
"""A signal that lasts is shown again so often; lights go out by themselves after a while."""

FAILED_S = 3.0
"""How long a failure is shown and no code looked at: the one that failed may still be in front of the camera."""


class Mode:
    """The un-enrolled device.

    Args:
        around: what each attempt needs.
        signals: how people see where it is.
        wait: waits so many seconds; True when the process is to end. Feeds the watchdog, if there is one: nothing
            here takes longer between two calls than joining a network and three requests.
        random: a float in [0, 1).
        boot_file: `enrol.json`, read once.
        mono_s: the monotonic clock.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        signals: Signals,
        wait: Callable[[float], bool],
        random: Callable[[], float],
        boot_file: Path | None = None,
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._around = around
        self._signals = signals
        self._wait = wait
        self._random = random
        self._boot_file = boot_file
        self._mono_s = mono_s
        self._attempt: Attempt | None = None
        self._since_s = self._next_s = self._shown_s = 0.0
        self._failures = 0
        self._ignored = ("", 0.0)

    def run(self, texts: Callable[[], Iterable[str]]) -> bool:
        """Until the device is enrolled (True) or asked to end (False).

        Args:
            texts: the texts in the newest frame; returns at once or within a frame's time.

        Raises:
            SiteError: another process is at work here.
        """
        with site.alone(self._around.state_dir):
            self._show()
            self._go_on()
            while True:
                for text in texts():
                    self._look_at(text)
                if self._advance():
                    return True
                if self._mono_s() - self._shown_s >= AGAIN_S:
                    self._show()
                if self._wait(FRAME_S):
                    return False

    def enrol(self, text: str) -> bool:
        """One code, without a camera: until enrolled (True) or asked to end (False).

        Raises:
            EnrolmentError: it is over.
        """
        with site.alone(self._around.state_dir):
            attempt = Attempt.resume(self._around)
            if attempt is None or attempt.token != _token(text):
                attempt = Attempt.begin_instead(text, self._around, of=attempt)
            self._work_on(attempt)
            try:
                while not self._try_step():
                    if self._wait(FRAME_S):
                        return False
            except EnrolmentError:
                attempt.drop()
                raise
        return True

    def _go_on(self) -> None:
        """What a power cut ended, or the boot partition brings."""
        try:
            attempt = Attempt.resume(self._around)
            if attempt is None and self._boot_file is not None:
                text = bootfile.read(self._boot_file)
                attempt = None if text is None else Attempt.begin(text, self._around)
            if attempt is not None:
                self._work_on(attempt)
        except EnrolmentError as error:
            self._failed(error, text="")

    def _look_at(self, text: str) -> None:
        if not is_provisioning(text) or self._is_ignored(text):
            return
        if self._attempt is not None and self._attempt.token == _token(text):
            return
        try:
            attempt = Attempt.begin_instead(text, self._around, of=self._attempt)
        except EnrolmentError as error:
            # A bad code shown by whoever passes does not end the good one.
            self._failed(error, text=text)
            return
        if self._attempt is not None:
            # Both may be in view, and must not take turns.
            self._ignored = (self._attempt.text, self._mono_s() + FAILED_S)
        self._work_on(attempt)

    def _is_ignored(self, text: str) -> bool:
        failed, until_s = self._ignored
        if self._mono_s() >= until_s:
            return False
        if text == failed:
            # As long as it is held there, it is the same showing.
            self._ignored = (text, self._mono_s() + FAILED_S)
        return True

    def _work_on(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._since_s = self._next_s = self._mono_s()
        self._failures = 0
        self._show()
        if attempt.asked:
            self._tell_fingerprint(attempt)

    def _advance(self) -> bool:
        try:
            return self._try_step()
        except EnrolmentError as error:
            self._give_up(error)
            return False

    def _try_step(self) -> bool:
        """One step if it is time for one; True when the site is in force.

        Raises:
            EnrolmentError: it is over.
        """
        attempt = self._attempt
        if attempt is None or self._mono_s() < self._next_s:
            return False
        self._check_time(attempt)
        asked = attempt.asked
        try:
            state = attempt.step()
        except (UnreachableError, JoinError) as error:
            self._failures += 1
            pause_s = pace.retry_pause_s(self._failures, self._random)
            self._around.log.event("enrolment_retry", reason=error.reason, what=str(error), pause_s=round(pause_s, 1))
            self._next_s = self._mono_s() + pause_s
            return False
        self._failures = 0
        if not asked:
            self._since_s = self._mono_s()
            self._tell_fingerprint(attempt)
        if state is EnrolmentState.APPROVED:
            self._done()
            return True
        self._next_s = self._mono_s() + pace.look_pause_s(self._mono_s() - self._since_s, self._random)
        return False

    def _check_time(self, attempt: Attempt) -> None:
        waited_s = self._mono_s() - self._since_s
        if attempt.overdue() or (not attempt.asked and waited_s > pace.UNDATED_S):
            raise CodeError("code_expired", "the code ended before the hub could be asked")
        if waited_s > pace.APPROVAL_S:
            raise CodeError("not_approved", "nobody approved this device")

    def _done(self) -> None:
        self._attempt = None
        if self._boot_file is not None:
            try:
                bootfile.retire(self._boot_file)
            except OSError as error:
                self._around.log.event("boot_file_stays", error=str(error))
        self._signals.done()

    def _give_up(self, error: EnrolmentError) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            try:
                attempt.drop()
            except SiteError as left:
                self._around.log.event("enrolment_left", error=str(left))
        self._failed(error, text="" if attempt is None else attempt.text)

    def _failed(self, error: EnrolmentError, *, text: str) -> None:
        self._around.log.event("enrolment_failed", reason=error.reason, what=str(error))
        self._ignored = (text, self._mono_s() + FAILED_S)
        self._signals.failed()
        # The lasting signal comes back when the failure has been seen.
        self._shown_s = self._mono_s() + FAILED_S - AGAIN_S

    def _show(self) -> None:
        self._shown_s = self._mono_s()
        (self._signals.waiting if self._attempt is None else self._signals.working)()

    def _tell_fingerprint(self, attempt: Attempt) -> None:
        words, characters = attempt.fingerprint()
        self._around.log.event("fingerprint", words=" ".join(words), characters=characters)
        self._signals.fingerprint(words, characters)


def _token(text: str) -> bytes | None:
    try:
        return parse_provisioning(text).token
    except ProtocolError:
        return None
