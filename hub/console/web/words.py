"""English sentences -> the reader's language. `words/zh/*.po`, one for each area, are read at start: no build.

A sentence with numbers in it is looked up as it is, and then with `{}` for each number: "Wait 3 seconds." as
"Wait {} seconds.".
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Final

from babel.messages.pofile import read_po

LANGUAGES: Final = {"zh": "中文", "en": "English"}
DEFAULT: Final = "zh"

Translate = Callable[[str], str]
_NUMBER: Final = re.compile(r"\d+")


class Words:
    """All languages."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {"en": {}}
        for language in LANGUAGES:
            if language != "en":
                self._known[language] = _read(language)

    def of(self, language: str) -> "Say":
        """The translator into a language of `LANGUAGES`."""
        return Say(self._known[language], english=language == "en")


class Say:
    """A sentence -> the same in one language; what has no translation stays English."""

    def __init__(self, known: dict[str, str], *, english: bool) -> None:
        self._known, self._english = known, english

    def __call__(self, text: str) -> str:
        """The sentence."""
        return self._find(text) or text

    def knows(self, text: str) -> bool:
        """Whether a reader of this language gets it in this language."""
        return self._english or self._find(text) is not None

    def _find(self, text: str) -> str | None:
        found = self._known.get(text)
        if found is None and (numbers := _NUMBER.findall(text)):
            pattern = self._known.get(_NUMBER.sub("{}", text))
            found = pattern.format(*numbers) if pattern else None
        return found


def wanted(cookie: str | None, accepted: str) -> str:
    """The language a browser has chosen, or asks for first of those there are (RFC 9110 §12.5.4)."""
    if cookie in LANGUAGES:
        return str(cookie)
    best, best_weight = DEFAULT, 0.0
    for part in accepted[:256].split(","):
        tag, _, rest = part.strip().partition(";")
        language = tag.split("-")[0].lower()
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


@cache
def _read(language: str) -> dict[str, str]:
    known: dict[str, str] = {}
    for part in sorted((files("hub.console") / "words" / language).iterdir(), key=lambda part: part.name):
        if part.name.endswith(".po"):
            with part.open("rb") as file:
                catalogue = read_po(file, locale=language)
            for entry in catalogue:
                if entry.id and known.setdefault(str(entry.id), str(entry.string)) != str(entry.string):
                    raise ValueError(f"{language}/{part.name}: {entry.id!r} is said in another way elsewhere")
    return known
