"""Text of others -> text that can stand in a log, a table and a terminal. Pure."""

import unicodedata


def one_line(text: str, limit_chars: int) -> str:
    """At most `limit_chars` of it; what steers a terminal or reverses the writing becomes a question mark."""
    return "".join(_shown(character) for character in text[:limit_chars])


def lines(text: str) -> str:
    """The same for text of several lines, of any length."""
    return "\n".join(one_line(line.replace("\t", "    "), len(line) * 4) for line in text.splitlines())


def _shown(character: str) -> str:
    return "?" if unicodedata.category(character).startswith("C") else character
