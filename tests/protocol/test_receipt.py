from dataclasses import replace

import pytest

from protocol import envelope
from protocol.checkin import GENESIS
from protocol.envelope import AAD_RECEIPT
from protocol.errors import LimitError, MalformedError, SignatureError
from protocol.limits import INT64_MAX, RECEIPT_BYTES, TIME_MAX_MS
from protocol.receipt import open_receipt, seal_receipt
from protocol.vectors.raw import sign1, with_pairs


def with_fields(receipt, changes, keys):
    data = seal_receipt(receipt, key=keys.hub)
    payload = envelope.parse(data, what="receipt", limit=RECEIPT_BYTES).payload
    return sign1(with_pairs(payload, changes), key=keys.hub, aad=AAD_RECEIPT)


@pytest.mark.parametrize("name", ["hub", "hub_p256"])
@pytest.mark.parametrize("changes", [{}, {"seq": 0, "hash": GENESIS}, {"seq": INT64_MAX}, {"at_ms": TIME_MAX_MS}])
def test_a_receipt_comes_back_as_it_was_sealed(keys, receipt, name, changes):
    key, one = getattr(keys, name), replace(receipt, **changes)
    assert open_receipt(seal_receipt(one, key=key), key=key.public) == one


def test_only_the_hub_s_key_opens_it(keys, receipt):
    data = seal_receipt(receipt, key=keys.hub)
    for key in (keys.device, keys.hub_p256):
        with pytest.raises(SignatureError):
            open_receipt(data, key=key.public)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: None}, "receipt.device"),
        ({1: bytes(9)}, "receipt.device"),
        ({2: bytes(7)}, "receipt.epoch"),
        ({3: -1}, "receipt.seq"),
        ({3: INT64_MAX + 1}, "receipt.seq"),
        ({3: 0}, "receipt.hash"),
        ({4: bytes(33)}, "receipt.hash"),
        ({5: TIME_MAX_MS + 1}, "receipt.at"),
        ({6: 0}, "receipt"),
    ],
)
def test_refusals_name_the_field(keys, receipt, changes, where):
    with pytest.raises(MalformedError) as caught:
        open_receipt(with_fields(receipt, changes, keys), key=keys.hub.public)
    assert caught.value.where == where


def test_length_at_the_limit_and_one_above(keys, receipt):
    exact = 50 + RECEIPT_BYTES - len(with_fields(receipt, {65: bytes(50)}, keys))
    data = with_fields(receipt, {65: bytes(exact)}, keys)
    assert len(data) == RECEIPT_BYTES
    assert open_receipt(data, key=keys.hub.public) == receipt
    with pytest.raises(LimitError, match="receipt: 257 bytes"):
        open_receipt(with_fields(receipt, {65: bytes(exact + 1)}, keys), key=keys.hub.public)
