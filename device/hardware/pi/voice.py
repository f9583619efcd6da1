"""Spoken prompts by ALSA: a file for each prompt and language, played one after the other by `aplay`.

The files are an installer's (`gatelight-device prompts` says what they are to say): spoken by a person or made by
espeak-ng. A program of its own plays them, so that a sound card that hangs holds up nobody.
"""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from device.hardware.ports import HardwareError, Prompt
from device.hardware.prompting import PromptPlayer

SPOKEN_MS = 15_000
"""Longer than anybody listens to; a player that takes longer hangs."""
_END_S = 1.0


class AlsaVoice:
    """`Prompter` that speaks.

    Args:
        folder: holds `NAME.LANGUAGE.wav` for each of `names`.
        names: the prompts that must be there.
        languages: in the order in which they are spoken.
        device: ALSA's name of the output.
        player: the program, which takes `-D device` and files.

    Raises:
        HardwareError: there is no player, or a file is missing.
    """

    def __init__(
        self,
        *,
        folder: Path,
        names: Iterable[str],
        languages: Sequence[str],
        device: str,
        player: Sequence[str] = ("aplay", "-q"),
    ) -> None:
        found = shutil.which(player[0])
        if found is None:
            raise HardwareError(f"{player[0]} is not installed")
        self._command = [found, *player[1:], "-D", device]
        self._folder, self._languages = folder, tuple(languages)
        missing = [str(path) for name in names for path in self._files(name) if not path.is_file()]
        if missing:
            raise HardwareError(f"the voice lacks {len(missing)} files: {', '.join(missing[:3])} ...")
        self._speaking: subprocess.Popen[bytes] | None = None
        self._player = PromptPlayer(name="voice", show=self._speak)

    def tell(self, prompt: Prompt, *, total_ms: int, quiet: bool) -> None:  # noqa: ARG002 - a sentence is spoken to its end
        """As `Prompter.tell`."""
        self._player.tell(None if quiet else prompt, total_ms=SPOKEN_MS)

    def shutdown(self) -> None:
        """As `Prompter.shutdown`."""
        self._player.shutdown()

    def _files(self, name: str) -> list[Path]:
        return [self._folder / f"{name}.{language}.wav" for language in self._languages]

    def _speak(self, prompt: Prompt | None) -> None:
        self._hush()
        if prompt is not None:
            self._speaking = subprocess.Popen(
                [*self._command, *map(str, self._files(prompt.name))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def _hush(self) -> None:
        """Whatever is spoken was for somebody else."""
        speaking, self._speaking = self._speaking, None
        if speaking is None:
            return
        speaking.terminate()
        try:
            speaking.wait(_END_S)
        except subprocess.TimeoutExpired:
            speaking.kill()
            with suppress(subprocess.TimeoutExpired):
                speaking.wait(_END_S)
