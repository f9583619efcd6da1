"""How this gate fares, gathered from its parts for the hub and the watchdog."""

from collections.abc import Callable
from dataclasses import dataclass

from protocol.health import ClockSource, Health, State, Supply, UpdateFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the parts count, read at one moment. `decode_us` is the sum over `decoded` frames.

    `in_service` is what policy and operator want, `enabled` the operator's part of it. `thermometer_ok` is None where
    there is none.
    """

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
    enabled: bool = True
    lists_stale: int = 0
    trust_days: int | None = None
    clock_source: ClockSource | None = None
    thermometer_ok: bool | None = None
    refused: int = 0
    provisioning: int = 0
    unsent_s: int | None = None
    board_cc: int | None = None
    supply: Supply | None = None
    disk_mib: tuple[int, int] | None = None
    """Free, and in all."""
    update_failed: tuple[int, UpdateFailure] | None = None
    """The release that was wanted last, where it does not run, and why."""


def state_of(*, storage_failed: bool, reserve_held: bool, in_service: bool) -> State:
    """What the gate can do. A failing disk goes before everything else.

    One that lives on its reserve has failed too, also while nobody has come since.
    """
    if storage_failed or not reserve_held:
        return State.STORAGE_FAILED
    return State.IN_SERVICE if in_service else State.OUT_OF_SERVICE


def health_of(figures: Figures, *, now_ms: int, clock_trusted: bool) -> Health:
    """Figures -> the message that the hub gets."""
    return Health(
        at_ms=now_ms,
        state=state_of(
            storage_failed=figures.storage_failed,
            reserve_held=figures.reserve_held,
            in_service=figures.in_service,
        ),
        clock_trusted=clock_trusted,
        spool=figures.spool,
        frames=figures.frames,
        frames_dropped=figures.frames_dropped,
        decode_us=figures.decode_us // max(1, figures.decoded),
        scans=figures.scans,
        decoder_restarts=figures.decoder_restarts,
        camera_restarts=figures.camera_restarts,
        foreign=figures.foreign,
        lists_stale=figures.lists_stale,
        # The wire counts up from zero: one that has ended has no days left.
        trust_days=None if figures.trust_days is None else max(0, figures.trust_days),
        clock_source=figures.clock_source,
        thermometer_ok=figures.thermometer_ok,
        enabled=figures.enabled,
        refused=figures.refused,
        provisioning=figures.provisioning,
        decoded=figures.decoded,
        decode_total_us=figures.decode_us,
        unsent_s=figures.unsent_s,
        board_cc=figures.board_cc,
        supply=figures.supply,
        disk_free_mib=None if figures.disk_mib is None else figures.disk_mib[0],
        disk_mib=None if figures.disk_mib is None else figures.disk_mib[1],
        update_failed=None if figures.update_failed is None else figures.update_failed[0],
        update_failure=None if figures.update_failed is None else figures.update_failed[1],
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
