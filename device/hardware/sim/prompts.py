"""A screen and a voice that only record what they would tell."""

from typing import Literal

from device.hardware.ports import Prompt
from device.hardware.prompting import PromptPlayer
from device.hardware.sim.journal import Journal


class SimPrompts:
    """`Prompter` without a part: what is told goes to the journal as `part`, its value the words, "" for nothing."""

    def __init__(self, *, journal: Journal, part: Literal["screen", "voice"]) -> None:
        self._journal, self._part = journal, part
        self._player = PromptPlayer(name=part, show=self._record)

    def tell(self, prompt: Prompt, *, total_ms: int, quiet: bool) -> None:
        """As `Prompter.tell`."""
        self._player.tell(None if quiet and self._part == "voice" else prompt, total_ms=total_ms)

    def shutdown(self) -> None:
        """As `Prompter.shutdown`."""
        self._player.shutdown()

    def _record(self, prompt: Prompt | None) -> None:
        words = f"{prompt.zh} {prompt.en}" if prompt is not None else ""
        self._journal.record(part=self._part, name=prompt.name if prompt is not None else "nothing", value=words)
