"""Hub to platform: a signed list of sealed check-ins, and the platform's signed answer (PROTOCOL §6).

A batch is only a list: the platform verifies every check-in by its device's own signature.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from protocol import cbor, envelope
from protocol.envelope import AAD_BATCH, AAD_BATCH_RECEIPT
from protocol.errors import MalformedError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import BATCH_BYTES, BATCH_CHECKINS, BATCH_RECEIPT_BYTES, CHECKIN_BYTES
from protocol.reasons import Reason

HUB_BYTES = 8
BATCH_ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """1 to 1,000 sealed check-ins, oldest first. The same id always has the same content."""

    hub: bytes
    batch_id: bytes
    checkins: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReceipt:
    """How many of the batch are stored, and which were rejected: `(index in the batch, reason)`, ascending."""

    batch_id: bytes
    stored: int
    rejected: tuple[tuple[int, Reason], ...]
    at_ms: int


def seal_batch(batch: Batch, *, key: SigningKey) -> bytes:
    """Batch -> signed bytes, at most 1 MiB.

    Raises:
        ValueError: empty, or over a limit: a mistake of ours.
    """
    if not 1 <= len(batch.checkins) <= BATCH_CHECKINS:
        raise ValueError(f"a batch has 1 to {BATCH_CHECKINS} check-ins, not {len(batch.checkins)}")
    payload = cbor.encode({1: batch.hub, 2: batch.batch_id, 3: list(batch.checkins)})
    data = envelope.seal(payload, key=key, aad=AAD_BATCH)
    if len(data) > BATCH_BYTES:
        raise ValueError(f"a batch of {len(data)} bytes, at most {BATCH_BYTES} are allowed")
    return data


def open_batch(data: bytes, *, key: VerifyKey) -> Batch:
    """Bytes -> batch, verified with the hub's key; its check-ins are not looked into.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a batch.
        SignatureError: the hub did not sign it.
    """
    what = "batch"
    fields = _open(data, key=key, aad=AAD_BATCH, what=what, limit=BATCH_BYTES, known=frozenset({1, 2, 3}))
    checkins = fields.get(3)
    if type(checkins) is not list or not 1 <= len(checkins) <= BATCH_CHECKINS:
        raise MalformedError("batch.checkins", f"not an array of 1 to {BATCH_CHECKINS}")
    return Batch(
        hub=cbor.sized_bytes(fields.get(1), "batch.hub", HUB_BYTES),
        batch_id=cbor.sized_bytes(fields.get(2), "batch.id", BATCH_ID_BYTES),
        checkins=tuple(
            cbor.sized_bytes(item, f"batch.checkins[{at}]", 1, CHECKIN_BYTES) for at, item in enumerate(checkins)
        ),
    )


def seal_batch_receipt(receipt: BatchReceipt, *, key: SigningKey) -> bytes:
    """Batch receipt -> signed bytes."""
    payload = cbor.encode(
        {
            1: receipt.batch_id,
            2: receipt.stored,
            3: [list(pair) for pair in receipt.rejected],
            4: receipt.at_ms,
        }
    )
    return envelope.seal(payload, key=key, aad=AAD_BATCH_RECEIPT)


def open_batch_receipt(data: bytes, *, key: VerifyKey) -> BatchReceipt:
    """Bytes -> batch receipt, verified with the platform's key.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a batch receipt.
        SignatureError: the platform did not sign it.
    """
    what = "batch receipt"
    fields = _open(
        data,
        key=key,
        aad=AAD_BATCH_RECEIPT,
        what=what,
        limit=BATCH_RECEIPT_BYTES,
        known=frozenset(range(1, 5)),
    )
    rejected = fields.get(3)
    if type(rejected) is not list or len(rejected) > BATCH_CHECKINS:
        raise MalformedError("batch receipt.rejected", f"not an array of at most {BATCH_CHECKINS}")
    pairs = tuple(_read_pair(pair, f"batch receipt.rejected[{at}]") for at, pair in enumerate(rejected))
    indices = [index for index, _ in pairs]
    if any(later <= earlier for earlier, later in pairwise(indices)):
        raise MalformedError("batch receipt.rejected", "indices are not ascending")
    stored = cbor.uint(fields.get(2), "batch receipt.stored")
    if stored > BATCH_CHECKINS:
        raise MalformedError("batch receipt.stored", "more than the largest batch")
    return BatchReceipt(
        batch_id=cbor.sized_bytes(fields.get(1), "batch receipt.id", BATCH_ID_BYTES),
        stored=stored,
        rejected=pairs,
        at_ms=cbor.time_ms(fields.get(4), "batch receipt.at"),
    )


def receipt_kid(data: bytes) -> bytes:
    """The id of the key that claims to have signed a batch receipt, to look it up in the trust bundle.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a signed object.
    """
    return envelope.parse(data, what="batch receipt", limit=BATCH_RECEIPT_BYTES).kid


def _open(data: bytes, *, key: VerifyKey, aad: bytes, what: str, limit: int, known: frozenset[int]) -> dict[int, Any]:
    sealed = envelope.parse(data, what=what, limit=limit)
    envelope.verify(sealed, key=key, aad=aad)
    return cbor.fields(cbor.decode(sealed.payload, what=what, limit=limit), what=what, known=known)


def _read_pair(value: Any, where: str) -> tuple[int, Reason]:
    match value:
        case [index, reason]:
            position = cbor.uint(index, f"{where}.index")
            if position >= BATCH_CHECKINS:
                raise MalformedError(f"{where}.index", "beyond the largest batch")
            return position, cbor.member(reason, f"{where}.reason", Reason)
    raise MalformedError(where, "not [index, reason]")
