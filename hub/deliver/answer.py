"""The platform's HTTP answer -> Receipted | Refused | TryAgain. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.model import OutboxRow, RejectedRow
from protocol.batch import open_batch_receipt, receipt_kid
from protocol.errors import ProtocolError
from protocol.trust import KeyUse, TrustBundle

_ABOUT_US: Final = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 426, 429})
"""4xx that no other content would change: access, address, pace. Splitting a batch would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipted:
    """The platform signed for the whole batch; `rejected` are the rows that it will not store."""

    receipt: bytes
    rejected: tuple[RejectedRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The platform will not take a batch with this content (4xx)."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """No answer that counts. `answered`: there was one, so the platform as such is there."""

    detail: str
    answered: bool


Answer = Receipted | Refused | TryAgain


def read_answer(
    status: int, body: bytes, *, batch_id: bytes, rows: Sequence[OutboxRow], trust: TrustBundle, now_ms: int
) -> Answer:
    """What the answer to a batch of `rows` means.

    1. 4xx refuses the content, unless it is about us; anything else that is not 200 is no answer.
    2. The receipt is signed by a key that the trust bundle names for batch receipts, now.
    3. It is for this batch.
    4. It accounts for every row: stored and rejected together, each index within the batch.
    """
    # 1.
    if status != 200:
        if 400 <= status < 500 and status not in _ABOUT_US:
            return Refused(detail=f"HTTP {status}")
        return TryAgain(detail=f"HTTP {status}", answered=status >= 500)
    # 2.
    try:
        key = trust.find(receipt_kid(body), use=KeyUse.BATCH_RECEIPT, at_s=now_ms // 1000)
        receipt = open_batch_receipt(body, key=key)
    except ProtocolError as error:
        return TryAgain(detail=f"receipt: {error}", answered=True)
    # 3.
    if receipt.batch_id != batch_id:
        return TryAgain(detail="receipt: for another batch", answered=True)
    # 4.
    indices = [index for index, _ in receipt.rejected]
    if receipt.stored + len(indices) != len(rows) or any(index >= len(rows) for index in indices):
        return TryAgain(detail="receipt: does not account for every check-in", answered=True)
    return Receipted(
        receipt=body,
        rejected=tuple(
            RejectedRow(row_id=rows[index].row_id, reason=reason.wire_name, detail="rejected by the platform")
            for index, reason in receipt.rejected
        ),
    )
