"""How this gate fares, gathered from its parts for the hub and the watchdog."""

from collections.abc import Callable
from dataclasses import dataclass

from protocol.health import Health, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the parts count, read at one moment. `decode_us` is the sum over `decoded` frames."""

    spool: int
    frames: int
    frames_dropped: int
    decoded: int
    decode_us: int
    scans: int
    foreign: int
    decoder_restarts: int
    camera_restarts: int
    storage_failed: bool
    reserve_held: bool
    in_service: bool


def health_of(figures: Figures, *, now_ms: int, clock_trusted: bool) -> Health:
    """Figures -> the message that the hub gets. A failing disk goes before everything else.

    One that lives on its reserve has failed too, also while nobody has come since.
    """
    if figures.storage_failed or not figures.reserve_held:
        state = State.STORAGE_FAILED
    else:
        state = State.IN_SERVICE if figures.in_service else State.OUT_OF_SERVICE
    return Health(
        at_ms=now_ms,
        state=state,
        clock_trusted=clock_trusted,
        spool=figures.spool,
        frames=figures.frames,
        frames_dropped=figures.frames_dropped,
        decode_us=figures.decode_us // max(1, figures.decoded),
        scans=figures.scans,
        decoder_restarts=figures.decoder_restarts,
        camera_restarts=figures.camera_restarts,
        foreign=figures.foreign,
    )


class Progress:
    """Says whether decoding moved on since the last look: the only thing that feeds the watchdog."""

    def __init__(self, decoded: Callable[[], int]) -> None:
        self._decoded = decoded
        self._seen = 0

    def made(self) -> bool:
        """Whether a frame was decoded since the last call."""
        now = self._decoded()
        moved = now != self._seen
        self._seen = now
        return moved
