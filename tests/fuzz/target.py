"""What a fuzz target is: one decoder at a border of Gatelight, what it may refuse with, and where a run begins."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.fuzz.words import CBOR_WORDS

SENTENCE_CHARS = 400
"""A refusal's sentence goes into a log: longer ones let whoever sends rubbish write the log."""


class PropertyError(AssertionError):
    """The decoder took something and what it made of it is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One decoder. `check` gives it the bytes; whatever it raises besides `refuses` is a crash.

    `foreign`: the bytes are others', and nothing of them may steer whoever reads a log. Of a file of one's own the
    refusal may quote anything.
    """

    name: str
    decoder: str
    check: Callable[[bytes], None]
    refuses: tuple[type[Exception], ...] = ()
    seeds: Callable[[], Iterable[bytes]] = tuple
    bytes_max: int = 384
    words: tuple[bytes, ...] = CBOR_WORDS
    foreign: bool = True

    def run(self, data: bytes) -> None:
        """One execution.

        Raises:
            Exception: the decoder did what it must not do.
        """
        try:
            self.check(data)
        except self.refuses as error:
            sentence = str(error)
            if self.foreign and (len(sentence) > SENTENCE_CHARS or not sentence.isprintable()):
                raise PropertyError(f"a refusal that no log should hold: {sentence!r:.300}") from error


def require(holds: object, what: str) -> None:
    """A property of what was decoded."""
    if not holds:
        raise PropertyError(what)


def round_trip(value: object, data: bytes, *, encode, decode) -> None:
    """What was read is written as the same bytes; keys left to later versions are dropped, and nothing else is."""
    again = encode(value)
    require(again == data or decode(again) == value, "written again, it reads as another value")
