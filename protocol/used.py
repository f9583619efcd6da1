"""One code, one person, at every gate of a place: the hint that a code was just used (PROTOCOL §6).

It is not signed. Whoever could forge one could make a gate hold a person until an attendant comes, never admit one.
"""

from dataclasses import dataclass

from protocol import cbor
from protocol.checkin import DEVICE_BYTES
from protocol.codes import CODE_HASH_BYTES
from protocol.limits import USED_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """`device` admitted the code with that hash, which counts as used until then."""

    code: bytes
    until_ms: int
    device: bytes


def encode_used(used: Used) -> bytes:
    """Used -> `{1: code, 2: until ms, 3: device}`."""
    return cbor.encode({1: used.code, 2: used.until_ms, 3: used.device})


def decode_used(data: bytes) -> Used:
    """Bytes -> used.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "used"
    fields = cbor.fields(cbor.decode(data, what=what, limit=USED_BYTES), what=what, known=frozenset({1, 2, 3}))
    return Used(
        code=cbor.sized_bytes(fields.get(1), "used.code", CODE_HASH_BYTES),
        until_ms=cbor.time_ms(fields.get(2), "used.until"),
        device=cbor.sized_bytes(fields.get(3), "used.device", DEVICE_BYTES),
    )
