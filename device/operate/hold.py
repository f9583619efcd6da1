"""A gate that is held open: opened again and again in short steps, so that whatever dies, it shuts."""

import threading
from collections.abc import Callable

STEP_MS = 5_000
"""What a crash leaves the gate open for, at most."""

_RENEW_S = 0.5
"""Well before a step is over, also on a busy machine; and a policy that closes the place shuts within a second."""


class HoldOpen:
    """Holds one gate open for some minutes, in a thread of its own.

    Args:
        open_gate: opens for so many ms; opening an open gate extends it.
        shut_gate: shuts now.
        allowed: whether the gate may still be open; looked at before every step.
        mono_ms: monotonic clock.

    Attributes:
        failure: what ended the last hold though nobody asked.
    """

    def __init__(
        self,
        *,
        open_gate: Callable[[int], None],
        shut_gate: Callable[[], None],
        allowed: Callable[[], bool],
        mono_ms: Callable[[], int],
    ) -> None:
        self.failure: Exception | None = None
        self._open_gate = open_gate
        self._shut_gate = shut_gate
        self._allowed = allowed
        self._mono_ms = mono_ms
        self._lock = threading.Lock()
        self._ending: threading.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def allowed(self) -> bool:
        """Whether the gate may be open at all, held or for one person."""
        return self._allowed()

    @property
    def holding(self) -> bool:
        """Whether the gate is being held open."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, minutes: int) -> None:
        """Opens now and holds it so; a hold that was under way is replaced.

        Raises:
            HardwareError: the gate does not open.
        """
        with self._lock:
            self._end()
            end_ms = self._mono_ms() + minutes * 60_000
            self.failure = None
            if not self._step(end_ms):
                return
            self._ending = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(end_ms, self._ending), name="hold-open", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Shuts the gate now, whoever opened it; nothing opens it again."""
        with self._lock:
            self._end()
            self._shut_gate()

    def _run(self, end_ms: int, ending: threading.Event) -> None:
        try:
            while not ending.wait(_RENEW_S):
                if not self._step(end_ms):
                    return
        except Exception as error:  # noqa: BLE001 - the gate shuts by itself; main sees what its part says
            self.failure = error

    def _step(self, end_ms: int) -> bool:
        """Opens once more; whether another step is due. At the end the gate shuts by itself, on nobody."""
        left_ms = end_ms - self._mono_ms()
        if left_ms <= 0:
            return False
        if not self._allowed():
            self._shut_gate()
            return False
        self._open_gate(min(STEP_MS, left_ms))
        return True

    def _end(self) -> None:
        """Returns when no step can come any more."""
        if self._ending is not None and self._thread is not None:
            self._ending.set()
            self._thread.join()
        self._ending = self._thread = None
