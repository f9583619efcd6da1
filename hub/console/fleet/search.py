"""Rows of the fleet -> those that somebody asks for, in their order. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hub.console.fleet.troubles import WEIGHT, Standing, Trouble, standing, troubles
from hub.store.fleet_ports import FleetRow


class Sort(StrEnum):
    """By what the table is sorted; the most striking comes first."""

    TROUBLE = "trouble"
    PLACE = "place"
    SEEN = "seen"
    UNSENT = "unsent"
    SCANS = "scans"
    DECODE = "decode"
    FRAMES = "frames"
    TEMPERATURE = "temperature"
    DISK = "disk"
    CERTIFICATE = "certificate"
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A row with what is said of it."""

    row: FleetRow
    standing: Standing
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which rows; empty texts leave open."""

    place: str = ""
    standing: str = ""
    trouble: str = ""
    """One trouble's name, or `any`."""
    text: str = ""
    sort: Sort = Sort.TROUBLE


ANY: Final = "any"
_NEVER: Final = 1 << 62


def judged(rows: tuple[FleetRow, ...], *, now_ms: int) -> list[Judged]:
    """Say of each what is to be said."""
    return [
        Judged(row=row, standing=standing(row, now_ms=now_ms), troubles=troubles(row, now_ms=now_ms)) for row in rows
    ]


def found(rows: list[Judged], asked: Asked, *, names: Mapping[str, str]) -> list[Judged]:
    """Those that are asked for, sorted. `names` are the places' by id."""
    text = asked.text.casefold()
    kept = [each for each in rows if _fits(each, asked) and (not text or text in _text(each.row, names))]
    return sorted(kept, key=lambda each: (_KEYS[asked.sort](each), _where(each)))


def _fits(each: Judged, asked: Asked) -> bool:
    # Who asks for nothing in particular is not shown what is gone for ever.
    if each.standing is Standing.REVOKED and asked.standing != Standing.REVOKED and not asked.text:
        return False
    return (
        asked.place in {"", each.row.device.place_id}
        and asked.standing in {"", each.standing}
        and (asked.trouble == "" or asked.trouble in each.troubles or (asked.trouble == ANY and bool(each.troubles)))
    )


def _text(row: FleetRow, names: Mapping[str, str]) -> str:
    device = row.device
    firmware = "" if row.seen is None else row.seen.firmware
    parts = (device.device_id.hex(), device.name, device.place_id, device.gate_id, firmware)
    return "\n".join((*parts, names.get(device.place_id, ""))).casefold()


def _where(each: Judged) -> tuple[str, str, bytes]:
    device = each.row.device
    return device.place_id, device.gate_id, device.device_id


def _health(name: str, *, most_first: bool) -> Callable[[Judged], int]:
    def key(each: Judged) -> int:
        value = None if each.row.health is None else getattr(each.row.health, name)
        return _NEVER if value is None else -value if most_first else value

    return key


_KEYS: Final[dict[Sort, Callable[[Judged], object]]] = {
    Sort.TROUBLE: lambda each: [-WEIGHT[trouble] for trouble in each.troubles] or [1],
    Sort.PLACE: _where,
    Sort.SEEN: lambda each: 0 if each.row.seen is None else each.row.seen.seen_ms,
    Sort.UNSENT: _health("unsent_s", most_first=True),
    Sort.SCANS: lambda each: -each.row.scans_hour,
    Sort.DECODE: _health("decode_us", most_first=True),
    Sort.FRAMES: _health("frame_rate_c", most_first=False),
    Sort.TEMPERATURE: _health("board_cc", most_first=True),
    Sort.DISK: _health("disk_free_mib", most_first=False),
    Sort.CERTIFICATE: lambda each: each.row.certificate_ms or _NEVER,
    Sort.FIRMWARE: lambda each: "" if each.row.seen is None else each.row.seen.firmware,
}
