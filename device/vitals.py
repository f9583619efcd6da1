"""What a running gate says of itself: health for the hub, figures for the self-test, and whether it serves people."""

from dataclasses import dataclass

from device.beliefs import Beliefs
from device.hardware.board import Board
from device.health import Figures, health_of, state_of
from device.model import StorageError
from device.operate.selftest import ScanFigures
from device.operate.switch import Switch
from device.parts import Parts
from device.scan.capture import Capture, Mailbox
from device.scan.decode import DecoderProcess
from device.scan.loop import ScanLoop
from device.send.spool import Spool
from device.trust.inbox import Inbox
from device.update.notes import StatusReader
from protocol.checkin import parse_checkin
from protocol.errors import ProtocolError
from protocol.health import ClockSource, State, UpdateFailure, encode_health
from protocol.trust import days_left


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """Reads from everything and changes nothing; for any thread."""

    beliefs: Beliefs
    switch: Switch
    spool: Spool
    hardware: Parts
    mailbox: Mailbox
    capture: Capture
    decoder: DecoderProcess
    loop: ScanLoop
    inbox: Inbox
    board: Board
    updates: StatusReader | None = None
    """What the updater says; None where there is none."""

    @property
    def in_service(self) -> bool:
        """Whether operator and policy let people pass here."""
        policy = self.beliefs.policy
        return self.switch.on and policy.enabled and not policy.closed

    @property
    def refused(self) -> int:
        """Signed objects that were not believed, of whatever kind."""
        return sum(self.beliefs.downlink.counts.values()) + self.inbox.refused + self.beliefs.resolver.refused

    @property
    def state(self) -> State:
        """What the gate can do."""
        return state_of(
            storage_failed=self.loop.counts.storage_failed,
            reserve_held=self.spool.reserve_held,
            in_service=self.in_service,
        )

    @property
    def update_failed(self) -> tuple[int, UpdateFailure] | None:
        """The release that was wanted last, where it does not run, and why."""
        failed = self.updates.failed if self.updates is not None else None
        return None if failed is None else (failed.release, failed.why)

    def condition(self) -> tuple[object, ...]:
        """What the hub should hear of at once when it changes."""
        return (
            self.state,
            self.beliefs.clock.trusted,
            self.switch.on,
            self.refused,
            self.loop.counts.provisioning,
            self.board.supply(),
            self.update_failed,
        )

    def scan_figures(self) -> ScanFigures:
        """What the scan has counted, for the self-test."""
        counts = self.loop.counts
        return ScanFigures(
            frames=self.capture.frames,
            decode_ms=counts.decode_us / 1000 / max(1, counts.frames),
            decoder_restarts=self.decoder.counts.restarts,
        )

    def health(self) -> bytes:
        """The health message."""
        counts, beliefs, clock = self.loop.counts, self.beliefs, self.beliefs.clock
        now_ms = clock.now_ms()
        has_thermometer = self.hardware.thermometer is not None
        figures = Figures(
            spool=self.spool.depth,
            frames=self.capture.frames,
            frames_dropped=self.mailbox.dropped,
            decoded=counts.frames,
            decode_us=counts.decode_us,
            scans=counts.scans,
            foreign=counts.foreign,
            decoder_restarts=self.decoder.counts.restarts,
            camera_restarts=self.capture.restarts,
            storage_failed=counts.storage_failed,
            reserve_held=self.spool.reserve_held,
            in_service=self.in_service,
            enabled=self.switch.on,
            lists_stale=beliefs.lists.stale(now_s=now_ms // 1000, stale_s=beliefs.policy.stale_s),
            trust_days=days_left(beliefs.issuers.current, now_ms // 1000),
            clock_source=ClockSource[clock.source.name],
            thermometer_ok=self.hardware.temperature_cc() is not None if has_thermometer else None,
            refused=self.refused,
            provisioning=counts.provisioning,
            unsent_s=self._unsent_s(now_ms),
            board_cc=self.board.temperature_cc(),
            supply=self.board.supply(),
            disk_mib=self.board.disk_mib(),
            update_failed=self.update_failed,
        )
        return encode_health(health_of(figures, now_ms=now_ms, clock_trusted=clock.trusted))

    def _unsent_s(self, now_ms: int) -> int | None:
        """How long the oldest check-in has waited, by the clock that it was stamped by; None when none waits."""
        if not self.spool.depth:
            return None
        try:
            oldest = self.spool.read(self.spool.oldest, 1)
            return max(0, now_ms - parse_checkin(oldest[0]).checkin.at_ms) // 1000 if oldest else None
        except (StorageError, ProtocolError):
            # What cannot be read is told by others: the state, and the uplink's own errors.
            return None
