"""The hub tells the platform which key a device signs with, and where it stands, signed by the hub."""

from dataclasses import dataclass

from protocol import cbor, envelope
from protocol.checkin import DEVICE_BYTES
from protocol.envelope import AAD_DEVICE_KEY
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import DEVICE_KEY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKey:
    """From then on the device signs its check-ins with this key."""

    device: bytes
    key: VerifyKey
    place: str
    gate: str
    from_ms: int


def seal_device_key(device_key: DeviceKey, *, key: SigningKey) -> bytes:
    """Device key -> signed bytes, by the hub's key.

    Raises:
        MalformedError: one that the platform would refuse.
    """
    payload = cbor.encode(
        {
            1: device_key.device,
            2: device_key.key.cose_key,
            3: device_key.place,
            4: device_key.gate,
            5: device_key.from_ms,
        }
    )
    _read_device_key(payload)
    return envelope.seal(payload, key=key, aad=AAD_DEVICE_KEY)


def open_device_key(data: bytes, *, key: VerifyKey) -> DeviceKey:
    """Bytes -> device key, verified with the hub's key.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a device key.
        SignatureError: the hub did not sign it.
    """
    sealed = envelope.parse(data, what="device key", limit=DEVICE_KEY_BYTES)
    envelope.verify(sealed, key=key, aad=AAD_DEVICE_KEY)
    return _read_device_key(sealed.payload)


def _read_device_key(payload: bytes) -> DeviceKey:
    what = "device key"
    fields = cbor.fields(
        cbor.decode(payload, what=what, limit=DEVICE_KEY_BYTES), what=what, known=frozenset(range(1, 6))
    )
    return DeviceKey(
        device=cbor.sized_bytes(fields.get(1), "device key.device", DEVICE_BYTES),
        key=VerifyKey.from_cose(fields.get(2)),
        place=cbor.name(fields.get(3), "device key.place"),
        gate=cbor.name(fields.get(4), "device key.gate"),
        from_ms=cbor.time_ms(fields.get(5), "device key.from"),
    )
