"""How much one device may make the hub keep for ever. Pure.

A device that passes a bound is quarantined and gets no receipt: its spool keeps everything, and nobody else notices.
Released by an operator, it is stopped again by the next thing for which there is no room.
"""

from dataclasses import dataclass
from typing import Final

QUARANTINE_ROWS: Final = 10_000
"""A day of check-ins at a busy gate, 40 MB at most. Entries whose bytes retention has erased no longer count."""
EPOCHS: Final = 64
"""A spool is new when the device is: its card was replaced, or was damaged. Each costs a head, in memory too."""
GAPS: Final = 1_000
"""A hub restored from a backup notes one for each device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the hub would keep of a device, with what it is about to add."""

    quarantined: int
    gaps: int
    epochs: int


def passed(kept: Kept) -> str | None:
    """The bound that is passed, as a stable reason; None while there is room."""
    if kept.quarantined > QUARANTINE_ROWS:
        return "quarantine_full"
    if kept.gaps > GAPS:
        return "gaps_full"
    if kept.epochs > EPOCHS:
        return "epochs_full"
    return None
