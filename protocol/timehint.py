"""What the hub's clock says, signed, for a gate that has no other reason to believe its own.

The device's session, new with each of its presences, is the nonce: a hint that was recorded earlier fits none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol import cbor, envelope
from protocol.checkin import DEVICE_BYTES
from protocol.envelope import AAD_TIME
from protocol.errors import MalformedError, RollbackError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import TIME_HINT_BYTES
from protocol.presence import SESSION_BYTES

_WHAT = "time hint"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeHint:
    """It was `at_ms` at the hub when it answered that session of that device."""

    device: bytes
    session: bytes
    at_ms: int


def seal_time(hint: TimeHint, *, key: SigningKey) -> bytes:
    """Hint -> signed bytes."""
    payload = cbor.encode({1: hint.device, 2: hint.session, 3: hint.at_ms})
    return envelope.seal(payload, key=key, aad=AAD_TIME)


def open_time(data: bytes, *, hub_keys: Mapping[bytes, VerifyKey], device: bytes, session: bytes) -> TimeHint:
    """Bytes -> hint.

    1. The envelope, within its limit.
    2. Signed by one of the hub's keys.
    3. For this device.
    4. For its newest session.

    Args:
        data: the bytes as received.
        hub_keys: the hub's keys by their kid.
        device: the device that asks, 8 bytes.
        session: that of its newest presence.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a time hint, or one for another device.
        UnknownKeyError: signed by none of the hub's keys.
        SignatureError: the signature does not fit.
        RollbackError: made for another session, so perhaps long ago.
    """
    # 1.
    sealed = envelope.parse(data, what=_WHAT, limit=TIME_HINT_BYTES)
    # 2.
    envelope.verify_among(sealed, keys=hub_keys, aad=AAD_TIME, what=_WHAT)
    fields = cbor.fields(
        cbor.decode(sealed.payload, what=_WHAT, limit=TIME_HINT_BYTES), what=_WHAT, known=frozenset({1, 2, 3})
    )
    hint = TimeHint(
        device=cbor.sized_bytes(fields.get(1), "time hint.device", DEVICE_BYTES),
        session=cbor.sized_bytes(fields.get(2), "time hint.session", SESSION_BYTES),
        at_ms=cbor.time_ms(fields.get(3), "time hint.at"),
    )
    # 3.
    if hint.device != device:
        raise MalformedError("time hint.device", "made for another device")
    # 4.
    if hint.session != session:
        raise RollbackError("time hint.session", "made for another session")
    return hint
