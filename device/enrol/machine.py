"""What the machine calls itself: serial number and model, from the configuration or from where Linux tells them."""

import hashlib
from pathlib import Path

from device.enrol.ports import Machine

LABEL_CHARS = 64
"""As the wire has it; it also is the longest common name of a certificate (RFC 5280, ub-common-name)."""

_TREE = Path("/proc/device-tree")
_ID = Path("/etc/machine-id")
_READ_BYTES = 256


def describe(
    *, serial: str | None, model: str | None, firmware: str, tree: Path = _TREE, machine_id: Path = _ID
) -> Machine:
    """Names for the operator who approves, each 1 to 64 printable characters.

    Args:
        serial: from the configuration; else the board's, else one derived from the machine's id.
        model: from the configuration; else the board's.
        firmware: our version.
        tree: the board's device tree.
        machine_id: the machine's id, which is not to be told as it is (machine-id(5)).
    """
    return Machine(
        serial=_label(serial) or _label(_text(tree / "serial-number")) or _derived(_text(machine_id)),
        model=_label(model) or _label(_text(tree / "model")) or "unknown",
        firmware=_label(firmware) or "unknown",
    )


def _derived(machine_id: str) -> str:
    if not machine_id:
        return "unknown"
    return hashlib.sha256(b"gatelight/serial/1" + machine_id.encode()).hexdigest()[:16]


def _label(text: str | None) -> str:
    return "".join(character for character in text or "" if character.isprintable()).strip()[:LABEL_CHARS]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES).decode("utf-8", "replace").strip("\x00\n ")
    except OSError:
        return ""
