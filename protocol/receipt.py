"""A receipt: the hub's signed "stored up to here", the only thing that lets a device forget (PROTOCOL §6)."""

from protocol import cbor, envelope
from protocol.checkin import DEVICE_BYTES, EPOCH_BYTES, GENESIS, HASH_BYTES
from protocol.envelope import AAD_RECEIPT
from protocol.errors import MalformedError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import RECEIPT_BYTES
from protocol.record import record


@record
class Receipt:
    """Everything up to `seq` is stored without a gap; `hash` is that check-in's. Seq 0: nothing is stored."""

    device: bytes
    epoch: bytes
    seq: int
    hash: bytes
    at_ms: int


def seal_receipt(receipt: Receipt, *, key: SigningKey) -> bytes:
    """Receipt -> signed bytes."""
    payload = cbor.encode({1: receipt.device, 2: receipt.epoch, 3: receipt.seq, 4: receipt.hash, 5: receipt.at_ms})
    return envelope.seal(payload, key=key, aad=AAD_RECEIPT)


def open_receipt(data: bytes, *, key: VerifyKey) -> Receipt:
    """Bytes -> receipt, verified with the hub's key.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a receipt.
        SignatureError: the hub did not sign it.
    """
    what = "receipt"
    sealed = envelope.parse(data, what=what, limit=RECEIPT_BYTES)
    envelope.verify(sealed, key=key, aad=AAD_RECEIPT)
    fields = cbor.fields(
        cbor.decode(sealed.payload, what=what, limit=RECEIPT_BYTES), what=what, known=frozenset(range(1, 6))
    )
    receipt = Receipt(
        device=cbor.sized_bytes(fields.get(1), "receipt.device", DEVICE_BYTES),
        epoch=cbor.sized_bytes(fields.get(2), "receipt.epoch", EPOCH_BYTES),
        seq=cbor.seq(fields.get(3), "receipt.seq", least=0),
        hash=cbor.sized_bytes(fields.get(4), "receipt.hash", HASH_BYTES),
        at_ms=cbor.time_ms(fields.get(5), "receipt.at"),
    )
    if receipt.seq == 0 and receipt.hash != GENESIS:
        raise MalformedError("receipt.hash", "nothing is stored, yet there is a hash")
    return receipt
