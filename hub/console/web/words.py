"""English sentences -> the reader's language. `words/zh/*.po`, one for each area, are read at start: no build."""

from collections.abc import Callable
from importlib.resources import files
from typing import Final

from babel.messages.pofile import read_po

LANGUAGES: Final = {"zh": "中文", "en": "English"}
DEFAULT: Final = "zh"

Translate = Callable[[str], str]


class Words:
    """All languages."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {"en": {}}
        for language in LANGUAGES:
            if language != "en":
                self._known[language] = _read(language)

    def of(self, language: str) -> Translate:
        """The translator into a language of `LANGUAGES`; what has no translation stays English."""
        known = self._known[language]
        return lambda text: known.get(text) or text


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
