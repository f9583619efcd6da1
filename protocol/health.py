"""How a device fares: a CBOR map every 30 s and on a change of state (PROTOCOL §6). Unsigned: it proves nothing."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from protocol import cbor
from protocol.errors import MalformedError
from protocol.limits import HEALTH_BYTES
from protocol.release import RELEASE_MAX


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


class Supply(IntEnum):
    """How the board's voltage is, and was since the process began."""

    GOOD = 0
    WAS_LOW = 1
    LOW = 2


class UpdateFailure(IntEnum):
    """Why a release that was wanted is not the one that runs.

    `UNREACHABLE`: it could not be fetched. `UNTRUSTED`: the publisher's signatures did not hold. `OLDER`: it is not
    newer than what ran well here. `UNFIT`: no bundle of this machine, or no room for it. `UNHEALTHY`: it ran, and was
    not well in time, so the one before runs again.
    """

    UNREACHABLE = 0
    UNTRUSTED = 1
    OLDER = 2
    UNFIT = 3
    UNHEALTHY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Keys 1 to 18, then 65 to 73, in this order; those from 12 on are None where the device does not say.

    Counts are since the process began; `decode_us` is the mean of a frame. `lists_stale` are status lists that are not
    fresh now, `trust_days` whole days until the trust bundle ends, `thermometer_ok` whether the sensor answers (None
    also where there is none), `enabled` whether the operator lets the gate serve people. `refused` counts signed
    objects that were not believed, `provisioning` how often a code for setting up a gate was shown to this one.

    `decoded` frames took `decode_total_us` in all: two messages tell how long a frame takes now. `unsent_s` is the age
    of the oldest check-in without a receipt, None also where there is none. Then the board's temperature in 0.01 °C,
    its supply, and the disk that the spool lies on. `update_failed` is the release (`protocol.release`) that was wanted
    last and is not the one that runs, `update_failure` why; both or neither.
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
    decoded: int | None = None
    decode_total_us: int | None = None
    unsent_s: int | None = None
    board_cc: int | None = None
    supply: Supply | None = None
    disk_free_mib: int | None = None
    disk_mib: int | None = None
    update_failed: int | None = None
    update_failure: UpdateFailure | None = None


_KEYS: Final = frozenset(range(1, 19)) | frozenset(range(65, 74))
"""Those from 65 on came later: a hub that does not know them passes over them."""
_BOARD_CC: Final = 15_000


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
        65: health.decoded,
        66: health.decode_total_us,
        67: health.unsent_s,
        68: health.board_cc,
        69: health.supply,
        70: health.disk_free_mib,
        71: health.disk_mib,
        72: health.update_failed,
        73: health.update_failure,
    }
    return cbor.encode({key: value for key, value in fields.items() if value is not None})


def decode_health(data: bytes) -> Health:
    """Bytes -> health.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "health"
    fields = cbor.fields(cbor.decode(data, what=what, limit=HEALTH_BYTES), what=what, known=_KEYS)

    def count(key: int, name: str) -> int:
        return cbor.seq(fields.get(key), f"health.{name}", least=0)

    if (72 in fields) != (73 in fields):
        raise MalformedError("health.update_failed", "a release without why it failed, or the other way round")
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
        decoded=count(65, "decoded") if 65 in fields else None,
        decode_total_us=count(66, "decode_total_us") if 66 in fields else None,
        unsent_s=count(67, "unsent_s") if 67 in fields else None,
        board_cc=cbor.integer(fields[68], "health.board_cc", -_BOARD_CC, _BOARD_CC) if 68 in fields else None,
        supply=cbor.member(fields[69], "health.supply", Supply) if 69 in fields else None,
        disk_free_mib=count(70, "disk_free_mib") if 70 in fields else None,
        disk_mib=count(71, "disk_mib") if 71 in fields else None,
        update_failed=cbor.integer(fields[72], "health.update_failed", 1, RELEASE_MAX) if 72 in fields else None,
        update_failure=cbor.member(fields[73], "health.update_failure", UpdateFailure) if 73 in fields else None,
    )
