"""Whether the process is to end, and why: a signal, or a thread of ours that asks."""

import time
from enum import Enum


class Why(Enum):
    """What the end is for."""

    SIGNAL = "signal"
    RESTART = "restart"
    """To start again, with what has changed on disk."""
    WIPE = "wipe"
    ARMED = "armed"
    """Somebody held the button: this gate is to be enrolled anew."""


class Stop:
    """The wish for an end. The first one counts.

    It has no lock: a handler runs between any two steps of the thread that waits here, and the lock of a
    `threading.Event` would then be waited for by its own holder, for ever.
    """

    def __init__(self) -> None:
        self.why: Why | None = None

    def ask(self, why: Why) -> None:
        """Ask for the end; from any thread."""
        if self.why is None:
            self.why = why

    def signalled(self, *_: object) -> None:
        """A signal handler."""
        self.ask(Why.SIGNAL)

    def wait(self, timeout_s: float) -> bool:
        """Whether it was asked, after `timeout_s` or at once."""
        if self.why is None:
            time.sleep(timeout_s)
        return self.why is not None
