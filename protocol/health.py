"""How a device fares: a CBOR map every 30 s and on a change of state (PROTOCOL §6). Unsigned: it proves nothing."""

from dataclasses import dataclass
from enum import IntEnum

from protocol import cbor
from protocol.limits import HEALTH_BYTES


class State(IntEnum):
    """What the gate can do. `storage_failed` admits nobody."""

    IN_SERVICE = 0
    OUT_OF_SERVICE = 1
    STORAGE_FAILED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Keys 1 to 11 in this order. Counts are since the process began; `decode_us` is the mean of a frame."""

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


def encode_health(health: Health) -> bytes:
    """Health -> map."""
    return cbor.encode(
        {
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
        }
    )


def decode_health(data: bytes) -> Health:
    """Bytes -> health.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "health"
    fields = cbor.fields(cbor.decode(data, what=what, limit=HEALTH_BYTES), what=what, known=frozenset(range(1, 12)))

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
    )
