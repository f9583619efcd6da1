"""What a store keeps of how devices fare: the last health of each, and two days of it in steps of five minutes.

The rules of `hub.store.ports` hold here too. Health is not signed: it steers nothing and is shown to people.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from hub.model import AuditEntry, Device, Gap, MinuteCount, QuarantineRow
from hub.store.enrol_ports import Certificate
from hub.store.trust_ports import CommandRow, DeviceSeen
from protocol.health import ClockSource, State, Supply, UpdateFailure

SLOT_MS: Final = 300_000
SLOTS_KEPT: Final = 576
"""Two days: of 5,000 devices 2.9 million rows, some 150 MB."""
HOUR_SLOTS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """A device's last health message as `protocol.health.Health` has it, and what the hub makes of the last two."""

    device_id: bytes
    heard_ms: int
    at_ms: int
    state: State
    clock_trusted: bool
    clock_source: ClockSource | None
    enabled: bool | None
    spool: int
    unsent_s: int | None
    frames: int
    frames_dropped: int
    scans: int
    foreign: int
    decoder_restarts: int
    camera_restarts: int
    lists: int
    """How many status lists it has."""
    lists_stale: int | None
    trust_days: int | None
    thermometer_ok: bool | None
    refused: int | None
    provisioning: int | None
    board_cc: int | None
    supply: Supply | None
    disk_free_mib: int | None
    disk_mib: int | None
    update_failed: int | None
    """The release that it was to take and does not run; `update_failure` is why."""
    update_failure: UpdateFailure | None
    frame_rate_c: int | None
    """Frames in 100 s, between the last two messages."""
    decode_us: int | None
    """Mean of a frame, between the last two messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSample:
    """Five minutes of a device. `spool` and `board_cc` are those at their end."""

    device_id: bytes
    slot: int
    """`SLOT_MS` since 1970."""
    scans: int
    spool: int
    board_cc: int | None
    frame_rate_c: int | None
    decode_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """All that is known of one device at once."""

    device: Device
    seen: DeviceSeen | None
    health: DeviceHealth | None
    scans_hour: int
    """In the last twelve whole five minutes."""
    certificate_ms: int | None
    """When its longest certificate ends; None where the hub's authority gave none that counts."""
    ring: int
    """When it gets a release: 0 first."""


class FleetStore(Protocol):
    """What the fleet's pages and its keeper need."""

    async def keep_fares(
        self, healths: tuple[DeviceHealth, ...], samples: tuple[DeviceSample, ...], *, forget_before_slot: int
    ) -> None:
        """Put healths in the place of older ones, add samples, and erase some that are older; in one transaction.

        Of what is to be erased one slot goes at a time, so that nobody waits for years of it.
        """

    async def fleet(self, *, slot: int) -> tuple[FleetRow, ...]:
        """Every device in every state, by id; scans are those of the hour before `slot`."""

    async def fleet_row(self, device_id: bytes, *, slot: int) -> FleetRow | None:
        """One of them."""

    async def device_samples(self, device_id: bytes, *, from_slot: int, to_slot: int) -> tuple[DeviceSample, ...]:
        """A device's samples with `from_slot <= slot < to_slot`, oldest first."""

    async def minutes_of_gate(
        self, place_id: str, gate_id: str, *, from_minute: int, to_minute: int
    ) -> tuple[MinuteCount, ...]:
        """One gate's counts by minute."""

    async def device_certificates(self, device_id: bytes) -> tuple[Certificate, ...]:
        """Those that the hub's authority gave it, newest first."""

    async def device_commands(self, device_id: bytes, *, limit: int) -> tuple[CommandRow, ...]:
        """What it was told, newest first."""

    async def device_quarantine(self, device_id: bytes, *, limit: int) -> tuple[QuarantineRow, ...]:
        """What is kept against it, newest first; once its bytes are erased it is not listed any more."""

    async def device_gaps(self, device_id: bytes, *, limit: int) -> tuple[Gap, ...]:
        """Numbers that nobody has any more, newest first."""

    async def audit_about(self, text: str, *, limit: int) -> tuple[AuditEntry, ...]:
        """The newest entries whose detail has this text in it, newest first; looks through the newest 100,000."""
