"""Prompts in a thread of their own: a screen takes 30 ms to draw, a voice seconds to speak, and no light waits for it.

Only the newest prompt counts. A part that fails is said once in the log, tried again at the next prompt, and never
ends the process: light, sound and gate say everything that a screen says.
"""

import logging
import threading
import time
from collections.abc import Callable

from device.hardware.ports import Prompt

_LOG = logging.getLogger(__name__)
_END_S = 2.0


class PromptPlayer:
    """Calls `show` with each new prompt, and with None when its time is over. `show` may raise OSError."""

    def __init__(self, *, name: str, show: Callable[[Prompt | None], None]) -> None:
        self._name, self._show = name, show
        self._changed = threading.Condition()
        self._prompt: Prompt | None = None
        self._until_s = 0.0
        self._number = 0
        self._ended = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"{name}-player", daemon=True)
        self._thread.start()

    def tell(self, prompt: Prompt | None, *, total_ms: int = 0) -> None:
        """Show `prompt` for `total_ms` instead of what is shown; None: nothing any more."""
        with self._changed:
            self._prompt, self._until_s = prompt, time.monotonic() + total_ms / 1000
            self._number += 1
            self._changed.notify()

    def shutdown(self) -> None:
        """Show nothing, and end the thread; one that hangs in its part is left behind."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(_END_S)

    def _run(self) -> None:
        shown = 0
        while True:
            with self._changed:
                while not self._ended and self._number == shown and not self._over():
                    self._changed.wait(None if self._prompt is None else max(0.0, self._until_s - time.monotonic()))
                if self._ended or self._over():
                    self._prompt = None
                shown, prompt, ended = self._number, self._prompt, self._ended
            self._try(prompt)
            if ended:
                return

    def _over(self) -> bool:
        return self._prompt is not None and time.monotonic() >= self._until_s

    def _try(self, prompt: Prompt | None) -> None:
        try:
            self._show(prompt)
        except OSError as error:
            if not self._failing:
                _LOG.warning("%s: %s", self._name, error)
            self._failing = True
        else:
            self._failing = False
