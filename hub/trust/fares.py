"""Health messages -> the last one of each device, what two of them tell together, and samples of five minutes. Pure."""

from dataclasses import dataclass
from typing import Final

from hub.store.fleet_ports import SLOT_MS, DeviceHealth, DeviceSample
from protocol.health import Health

_KEEP_MS: Final = 60_000
_SPAN_MS: Final = 5_000
"""Messages that follow a change of state lie too close together for a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """A message and when it came."""

    ms: int
    health: Health


class Fares:
    """Tell it every health message; take what is due from time to time, and say when it is kept."""

    def __init__(self) -> None:
        self._last: dict[bytes, _Heard] = {}
        self._base: dict[bytes, _Heard] = {}
        self._rows: dict[bytes, DeviceHealth] = {}
        self._kept: dict[bytes, DeviceHealth] = {}
        self._begun: dict[bytes, tuple[int, _Heard]] = {}

    def heard(self, device: bytes, health: Health, *, lists: int, now_ms: int) -> None:
        """A message, from a device that has this many status lists."""
        heard = _Heard(ms=now_ms, health=health)
        self._begun.setdefault(device, (now_ms // SLOT_MS, self._last.get(device, heard)))
        before = self._base.setdefault(device, heard)
        row = self._rows.get(device)
        rates = (None, None) if row is None else (row.frame_rate_c, row.decode_us)
        if now_ms - before.ms >= _SPAN_MS:
            rates = _rates(before, heard)
            self._base[device] = heard
        self._last[device] = heard
        self._rows[device] = _row(device, heard, lists=lists, rates=rates)

    def due(self) -> tuple[DeviceHealth, ...]:
        """Rows that were not kept for a minute, or that tell of a change."""
        return tuple(row for device, row in self._rows.items() if _is_due(self._kept.get(device), row))

    def kept(self, rows: tuple[DeviceHealth, ...]) -> None:
        """These are in the database."""
        self._kept.update((row.device_id, row) for row in rows)

    def samples(self, *, now_ms: int) -> tuple[DeviceSample, ...]:
        """Of every five minutes that are over, until `sampled`."""
        slot = now_ms // SLOT_MS
        return tuple(
            _sample(device, begun, before, self._last[device])
            for device, (begun, before) in self._begun.items()
            if begun < slot
        )

    def sampled(self, samples: tuple[DeviceSample, ...]) -> None:
        """These are in the database."""
        for sample in samples:
            self._begun.pop(sample.device_id, None)


def _is_due(kept: DeviceHealth | None, row: DeviceHealth) -> bool:
    if kept is None or row.heard_ms - kept.heard_ms >= _KEEP_MS:
        return True
    return (kept.state, kept.clock_trusted, kept.enabled, kept.supply, kept.update_failed) != (
        row.state,
        row.clock_trusted,
        row.enabled,
        row.supply,
        row.update_failed,
    )


def _rates(before: _Heard, after: _Heard) -> tuple[int | None, int | None]:
    """Frames in 100 s, and how long one takes in µs; None where the process began anew between them, or none came."""
    frames, ms = after.health.frames - before.health.frames, after.ms - before.ms
    if frames < 0 or ms <= 0:
        return None, None
    return frames * 100_000 // ms, _decode_us(before.health, after.health)


def _decode_us(before: Health, after: Health) -> int | None:
    if before.decoded is None or after.decoded is None:
        return None
    if before.decode_total_us is None or after.decode_total_us is None:
        return None
    decoded, us = after.decoded - before.decoded, after.decode_total_us - before.decode_total_us
    return us // decoded if decoded > 0 and us >= 0 else None


def _sample(device: bytes, slot: int, before: _Heard, after: _Heard) -> DeviceSample:
    scans = after.health.scans - before.health.scans
    rate, decode_us = _rates(before, after)
    return DeviceSample(
        device_id=device,
        slot=slot,
        # Fewer than before: its process began anew.
        scans=scans if scans >= 0 else after.health.scans,
        spool=after.health.spool,
        board_cc=after.health.board_cc,
        frame_rate_c=rate,
        decode_us=decode_us,
    )


def _row(device: bytes, heard: _Heard, *, lists: int, rates: tuple[int | None, int | None]) -> DeviceHealth:
    health, (frame_rate_c, decode_us) = heard.health, rates
    return DeviceHealth(
        device_id=device,
        heard_ms=heard.ms,
        at_ms=health.at_ms,
        state=health.state,
        clock_trusted=health.clock_trusted,
        clock_source=health.clock_source,
        enabled=health.enabled,
        spool=health.spool,
        unsent_s=health.unsent_s,
        frames=health.frames,
        frames_dropped=health.frames_dropped,
        scans=health.scans,
        foreign=health.foreign,
        decoder_restarts=health.decoder_restarts,
        camera_restarts=health.camera_restarts,
        lists=lists,
        lists_stale=health.lists_stale,
        trust_days=health.trust_days,
        thermometer_ok=health.thermometer_ok,
        refused=health.refused,
        provisioning=health.provisioning,
        board_cc=health.board_cc,
        supply=health.supply,
        disk_free_mib=health.disk_free_mib,
        disk_mib=health.disk_mib,
        update_failed=health.update_failed,
        update_failure=health.update_failure,
        frame_rate_c=frame_rate_c,
        decode_us=decode_us,
    )
