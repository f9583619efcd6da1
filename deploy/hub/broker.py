"""The shipped `mosquitto.conf` -> that of one site: some lines have other values, all else stays.

The sandbox and the tests run the shipped file by this, so that there is one truth about the broker.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

SHIPPED: Final = Path(__file__).parent / "mosquitto.conf"
SITE: Final = frozenset({"listener", "cafile", "certfile", "keyfile", "plugin", "plugin_opt_config_file", "user"})
"""The lines that a site changes."""


def directives(text: str) -> list[tuple[str, str]]:
    """Name and value of every line that is no comment, in order: those after a `listener` are its own."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(name, value.strip()) for name, _, value in pairs]


def site_configuration(text: str, values: Mapping[str, str]) -> str:
    """The configuration `text` with these lines of a site's.

    Raises:
        ValueError: a name is not among `SITE`, or does not stand once in `text`.
    """
    lines = text.splitlines()
    for name, value in values.items():
        at = [number for number, line in enumerate(lines) if line.split(" ", 1)[0] == name]
        if name not in SITE or len(at) != 1:
            raise ValueError(f"{name}: no line of a site's, or not there once")
        lines[at[0]] = f"{name} {value}"
    return "\n".join(lines) + "\n"
