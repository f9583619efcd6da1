"""What a store keeps of the console's errands: asked by the console's process, done by the hub's.

The rules of `hub.store.ports` hold here too.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class ErrandState(StrEnum):
    """Where an errand stands."""

    ASKED = "asked"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Something to be done by whoever holds the keys."""

    errand_id: bytes
    kind: str
    """Stable, such as `enrol.approve`."""
    args: str
    """A JSON object."""
    data: bytes = field(repr=False, default=b"")
    """Handed on as it is."""
    who: str
    made_ms: int
    expires_ms: int
    state: ErrandState = ErrandState.ASKED
    reason: str = ""
    """Stable; why it failed."""
    answer: bytes = field(repr=False, default=b"")
    """What came of it; a sentence where it failed."""


class ErrandStore(Protocol):
    """What both sides need."""

    async def add_errand(self, errand: Errand) -> None:
        """Ask for something."""

    async def find_errand(self, errand_id: bytes) -> Errand | None:
        """It, in whatever state; None once it is forgotten."""

    async def asked_errands(self, *, limit: int) -> tuple[Errand, ...]:
        """Those that nobody has finished, oldest first."""

    async def finish_errand(
        self, errand_id: bytes, *, state: ErrandState, reason: str, answer: bytes, now_ms: int
    ) -> None:
        """What came of it. What it carried is forgotten; one that is finished already stays as it is."""

    async def forget_errands(self, *, made_before_ms: int) -> int:
        """Erase those asked for before; returns how many."""
