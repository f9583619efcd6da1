"""How a device fares: a CBOR map every 30 s and on a change of state (PROTOCOL §6). Unsigned: it proves nothing."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from protocol import cbor
from protocol.limits import HEALTH_BYTES


class State(IntEnum):
    """What the gate can do. `storage_failed` admits nobody."""

    IN_SERVICE = 0
    OUT_OF_SERVICE = 1
    STORAGE_FAILED = 2


class ClockSource(IntEnum):
    """Whose word a gate's time is. `assume`: its configuration says that the clock is right."""

    NONE = 0
    KERNEL = 1
    HUB = 2
    ASSUME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Keys 1 to 18 in this order; those from 12 on are None where the device does not say.

    Counts are since the process began; `decode_us` is the mean of a frame. `lists_stale` are status lists that are not
    fresh now, `trust_days` whole days until the trust bundle ends, `thermometer_ok` whether the sensor answers (None
    also where there is none), `enabled` whether the operator lets the gate serve people. `refused` counts signed
    objects that were not believed, `provisioning` how often a code for setting up a gate was shown to this one.
    """

    at_ms: int
    state: State
    clock_trusted: bool
    spool: int
    frames: int
    frames_dropped: int
    decode_us: int
    scans: int
    decoder_restarts: int
    camera_restarts: int
    foreign: int
    lists_stale: int | None = None
    trust_days: int | None = None
    clock_source: ClockSource | None = None
    thermometer_ok: bool | None = None
    enabled: bool | None = None
    refused: int | None = None
    provisioning: int | None = None


def encode_health(health: Health) -> bytes:
    """Health -> map, without what is None."""
    fields: dict[int, Any] = {
        1: health.at_ms,
        2: health.state,
        3: health.clock_trusted,
        4: health.spool,
        5: health.frames,
        6: health.frames_dropped,
        7: health.decode_us,
        8: health.scans,
        9: health.decoder_restarts,
        10: health.camera_restarts,
        11: health.foreign,
        12: health.lists_stale,
        13: health.trust_days,
        14: health.clock_source,
        15: health.thermometer_ok,
        16: health.enabled,
        17: health.refused,
        18: health.provisioning,
    }
    return cbor.encode({key: value for key, value in fields.items() if value is not None})


def decode_health(data: bytes) -> Health:
    """Bytes -> health.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "health"
    fields = cbor.fields(cbor.decode(data, what=what, limit=HEALTH_BYTES), what=what, known=frozenset(range(1, 19)))

    def count(key: int, name: str) -> int:
        return cbor.seq(fields.get(key), f"health.{name}", least=0)

    return Health(
        at_ms=cbor.time_ms(fields.get(1), "health.at"),
        state=cbor.member(fields.get(2), "health.state", State),
        clock_trusted=cbor.boolean(fields.get(3), "health.clock_trusted"),
        spool=count(4, "spool"),
        frames=count(5, "frames"),
        frames_dropped=count(6, "frames_dropped"),
        decode_us=count(7, "decode_us"),
        scans=count(8, "scans"),
        decoder_restarts=count(9, "decoder_restarts"),
        camera_restarts=count(10, "camera_restarts"),
        foreign=count(11, "foreign"),
        lists_stale=count(12, "lists_stale") if 12 in fields else None,
        trust_days=count(13, "trust_days") if 13 in fields else None,
        clock_source=cbor.member(fields[14], "health.clock_source", ClockSource) if 14 in fields else None,
        thermometer_ok=cbor.boolean(fields[15], "health.thermometer_ok") if 15 in fields else None,
        enabled=cbor.boolean(fields[16], "health.enabled") if 16 in fields else None,
        refused=count(17, "refused") if 17 in fields else None,
        provisioning=count(18, "provisioning") if 18 in fields else None,
    )
