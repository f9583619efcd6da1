"""What is told of a scanner, and what is said to it."""

from typing import Annotated, Final

from pydantic import Field

from hub.console.api.shapes import Shape, TimeMs
from hub.console.fleet.search import Judged
from hub.console.fleet.troubles import Standing, Trouble, online
from hub.model import Device, DeviceState
from hub.registry.checks import REASON_CHARS
from hub.store.fleet_ports import SLOT_MS, DeviceSample
from protocol.health import ClockSource, State, Supply, UpdateFailure
from protocol.release import version_of

_DAY_MS: Final = 86_400_000


class ScannerOut(Shape):
    """A scanner and how it fares. What it did not say is null; rates are between its last two messages."""

    device: str
    name: str
    place: str
    gate: str
    direction: str
    """`in`, `out` or `both`."""
    state: DeviceState
    reason: str
    standing: Standing
    troubles: list[Trouble]
    added_ms: TimeMs
    changed_ms: TimeMs
    online: bool
    seen_ms: TimeMs | None
    firmware: str
    trust_version: int
    policy_version: int
    certificate_ms: TimeMs | None
    certificate_days: int | None
    scans_hour: int
    heard_ms: TimeMs | None = None
    """When the rest was said."""
    service: str | None = None
    enabled: bool | None = None
    spool: int | None = None
    unsent_s: int | None = None
    frame_rate: float | None = None
    """Frames a second."""
    decode_ms: float | None = None
    scans: int | None = None
    frames: int | None = None
    frames_dropped: int | None = None
    foreign: int | None = None
    decoder_restarts: int | None = None
    camera_restarts: int | None = None
    clock_trusted: bool | None = None
    clock_source: str | None = None
    clock_off_ms: int | None = None
    """Its clock less the hub's when it spoke; the way there is in it."""
    lists: int | None = None
    lists_stale: int | None = None
    trust_days: int | None = None
    thermometer_ok: bool | None = None
    temperature: float | None = None
    """The board's, in °C."""
    supply: str | None = None
    disk_free_mib: int | None = None
    disk_mib: int | None = None
    refused: int | None = None
    provisioning: int | None = None
    ring: int
    """When it gets a release of firmware; 0 first."""
    update_failed: str | None = None
    """The version that it was to take and does not run."""
    update_failure: str | None = None


class FleetPage(Shape):
    """A page of the table. The counts are of the whole fleet, without those that are revoked."""

    scanners: list[ScannerOut]
    found: int
    page: int
    pages: int
    total: int
    in_trouble: int
    standings: dict[Standing, int]


class SampleOut(Shape):
    """Five minutes that end at `at_ms`."""

    at_ms: TimeMs
    scans: int
    spool: int
    temperature: float | None
    frame_rate: float | None
    decode_ms: float | None


class HourOut(Shape):
    """One hour of the scanner's gate, by colour."""

    at_ms: TimeMs
    colours: dict[str, int]


class CertificateOut(Shape):
    """A certificate that the hub's authority gave it."""

    serial: str
    issued_ms: TimeMs
    not_after_ms: TimeMs
    revoked_ms: TimeMs | None


class KeyOut(Shape):
    """A key that it signs by, or has signed by until `until_ms`."""

    kid: str
    from_ms: TimeMs
    until_ms: TimeMs | None
    announced_ms: TimeMs | None
    """When the platform was told of it."""


class Papers(Shape):
    """What it is known by."""

    certificates: list[CertificateOut]
    keys: list[KeyOut]


class EvidenceOut(Shape):
    """Something that is kept against it. The bytes themselves stay with the hub."""

    received_ms: TimeMs
    reason: str
    detail: str
    seq: int | None
    bytes: int


class GapOut(Shape):
    """Check-ins that neither the hub nor the scanner has any more."""

    from_seq: int
    to_seq: int
    why: str


class Evidence(Shape):
    """What is kept against it, newest first, at most 100 of each."""

    quarantined: int
    """How many there are."""
    entries: list[EvidenceOut]
    gaps: list[GapOut]


class ActOut(Shape):
    """An entry of the audit log that names it."""

    at_ms: TimeMs
    who: str
    action: str
    detail: str


class Reason(Shape):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_CHARS)]


class MayReason(Shape):
    """Why, if there is something to say."""

    reason: Annotated[str, Field(max_length=REASON_CHARS)] = ""


def direction_text(device: Device) -> str:
    """`in`, `out` or `both`."""
    return "both" if device.direction is None else device.direction.wire_name


def sample_out(sample: DeviceSample) -> SampleOut:
    """Five minutes as they are kept."""
    return SampleOut(
        at_ms=(sample.slot + 1) * SLOT_MS,
        scans=sample.scans,
        spool=sample.spool,
        temperature=_per(sample.board_cc, 100),
        frame_rate=_per(sample.frame_rate_c, 100),
        decode_ms=_per(sample.decode_us, 1000),
    )


def scanner_out(each: Judged, now_ms: int) -> ScannerOut:
    """One row of the fleet's table."""
    row, device, seen = each.row, each.row.device, each.row.seen
    ends_ms = row.certificate_ms
    plain = ScannerOut(
        device=device.device_id.hex(),
        name=device.name,
        place=device.place_id,
        gate=device.gate_id,
        direction=direction_text(device),
        state=device.state,
        reason=device.reason,
        standing=each.standing,
        troubles=list(each.troubles),
        added_ms=device.added_ms,
        changed_ms=device.changed_ms,
        online=online(row, now_ms=now_ms),
        seen_ms=None if seen is None else seen.seen_ms,
        firmware="" if seen is None else seen.firmware,
        trust_version=0 if seen is None else seen.trust_version,
        policy_version=0 if seen is None else seen.policy_version,
        certificate_ms=ends_ms,
        certificate_days=None if ends_ms is None else max(0, (ends_ms - now_ms) // _DAY_MS),
        scans_hour=row.scans_hour,
        ring=row.ring,
    )
    health = row.health
    if health is None:
        return plain
    same = ("heard_ms", "enabled", "spool", "unsent_s", "scans", "frames", "frames_dropped", "foreign")
    more = ("decoder_restarts", "camera_restarts", "clock_trusted", "lists", "lists_stale", "trust_days")
    rest = ("thermometer_ok", "disk_free_mib", "disk_mib", "refused", "provisioning")
    return plain.model_copy(
        update={name: getattr(health, name) for name in (*same, *more, *rest)}
        | {
            "service": State(health.state).name.lower(),
            "frame_rate": _per(health.frame_rate_c, 100),
            "decode_ms": _per(health.decode_us, 1000),
            "clock_source": None if health.clock_source is None else ClockSource(health.clock_source).name.lower(),
            "clock_off_ms": health.at_ms - health.heard_ms,
            "temperature": _per(health.board_cc, 100),
            "supply": None if health.supply is None else Supply(health.supply).name.lower(),
            "update_failed": None if health.update_failed is None else version_of(health.update_failed),
            "update_failure": (
                None if health.update_failure is None else UpdateFailure(health.update_failure).name.lower()
            ),
        }
    )


def _per(value: int | None, per: int) -> float | None:
    return None if value is None else value / per
