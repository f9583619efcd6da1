from dataclasses import replace

import pytest

from protocol import envelope
from protocol.batch import (
    open_batch,
    open_batch_receipt,
    receipt_kid,
    seal_batch,
    seal_batch_receipt,
)
from protocol.envelope import AAD_BATCH, AAD_BATCH_RECEIPT
from protocol.errors import LimitError, MalformedError, SignatureError
from protocol.limits import BATCH_BYTES, BATCH_CHECKINS, BATCH_RECEIPT_BYTES, CHECKIN_BYTES, TIME_MAX_MS
from protocol.reasons import Reason
from protocol.vectors.raw import sign1, with_pairs


def payload_of(data):
    return envelope.parse(data, what="thing", limit=BATCH_BYTES).payload


@pytest.mark.parametrize("name", ["hub", "hub_p256"])
@pytest.mark.parametrize("checkins", [(b"x",), (b"x",) * BATCH_CHECKINS, (bytes(CHECKIN_BYTES), b"y")])
def test_a_batch_comes_back_as_it_was_sealed(keys, batch, name, checkins):
    key, one = getattr(keys, name), replace(batch, checkins=checkins)
    assert open_batch(seal_batch(one, key=key), key=key.public) == one


@pytest.mark.parametrize(
    ("checkins", "what"),
    [((), "1 to 1000"), ((b"x",) * (BATCH_CHECKINS + 1), "1 to 1000"), ((bytes(1100),) * BATCH_CHECKINS, "bytes")],
)
def test_a_batch_over_a_limit_cannot_be_sealed(keys, batch, checkins, what):
    with pytest.raises(ValueError, match=what):
        seal_batch(replace(batch, checkins=checkins), key=keys.hub)


def test_batch_bytes_at_the_limit_and_one_above(keys, batch):
    """A thousand check-ins of 1 KiB are 1.03 million bytes: the rest is an ignored key."""
    payload = payload_of(seal_batch(replace(batch, checkins=(bytes(CHECKIN_BYTES),) * BATCH_CHECKINS), key=keys.hub))

    def padded(length):
        return sign1(with_pairs(payload, {65: bytes(length)}), key=keys.hub, aad=AAD_BATCH)

    exact = 10_000 + BATCH_BYTES - len(padded(10_000))
    assert len(padded(exact)) == BATCH_BYTES
    assert len(open_batch(padded(exact), key=keys.hub.public).checkins) == BATCH_CHECKINS
    with pytest.raises(LimitError, match=f"batch: {BATCH_BYTES + 1} bytes"):
        open_batch(padded(exact + 1), key=keys.hub.public)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(9)}, "batch.hub"),
        ({2: None}, "batch.id"),
        ({3: []}, "batch.checkins"),
        ({3: [b"x"] * (BATCH_CHECKINS + 1)}, "batch.checkins"),
        ({3: b"x"}, "batch.checkins"),
        ({3: [b"x", b""]}, "batch.checkins[1]"),
        ({3: [bytes(CHECKIN_BYTES + 1)]}, "batch.checkins[0]"),
        ({4: 0}, "batch"),
    ],
)
def test_refusals_name_the_field_of_a_batch(keys, batch, changes, where):
    payload = with_pairs(payload_of(seal_batch(batch, key=keys.hub)), changes)
    with pytest.raises(MalformedError) as caught:
        open_batch(sign1(payload, key=keys.hub, aad=AAD_BATCH), key=keys.hub.public)
    assert caught.value.where == where


def test_only_the_right_key_opens_it(keys, batch, batch_receipt):
    with pytest.raises(SignatureError):
        open_batch(seal_batch(batch, key=keys.hub), key=keys.platform.public)
    with pytest.raises(SignatureError):
        open_batch_receipt(seal_batch_receipt(batch_receipt, key=keys.platform), key=keys.hub.public)


def test_a_batch_receipt_comes_back_as_it_was_sealed(keys, batch_receipt):
    every = tuple((index, Reason.BAD_SIGNATURE) for index in range(BATCH_CHECKINS))
    for one in (
        batch_receipt,
        replace(batch_receipt, rejected=(), stored=BATCH_CHECKINS),
        replace(batch_receipt, rejected=every, stored=0),
    ):
        data = seal_batch_receipt(one, key=keys.platform)
        assert open_batch_receipt(data, key=keys.platform.public) == one
        assert receipt_kid(data) == keys.platform.public.kid


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(15)}, "batch receipt.id"),
        ({2: None}, "batch receipt.stored"),
        ({2: BATCH_CHECKINS + 1}, "batch receipt.stored"),
        ({3: None}, "batch receipt.rejected"),
        ({3: [[0, 20]] * (BATCH_CHECKINS + 1)}, "batch receipt.rejected"),
        ({3: [[1, 20], [1, 20]]}, "batch receipt.rejected"),
        ({3: [[0, 20, 1]]}, "batch receipt.rejected[0]"),
        ({3: [0]}, "batch receipt.rejected[0]"),
        ({3: [[-1, 20]]}, "batch receipt.rejected[0].index"),
        ({3: [[BATCH_CHECKINS, 20]]}, "batch receipt.rejected[0].index"),
        ({3: [[0, 99]]}, "batch receipt.rejected[0].reason"),
        ({4: TIME_MAX_MS + 1}, "batch receipt.at"),
        ({5: 0}, "batch receipt"),
    ],
)
def test_refusals_name_the_field_of_a_batch_receipt(keys, batch_receipt, changes, where):
    payload = with_pairs(payload_of(seal_batch_receipt(batch_receipt, key=keys.platform)), changes)
    with pytest.raises(MalformedError) as caught:
        open_batch_receipt(sign1(payload, key=keys.platform, aad=AAD_BATCH_RECEIPT), key=keys.platform.public)
    assert caught.value.where == where


def test_batch_receipt_bytes_at_the_limit_and_one_above(keys, batch_receipt):
    payload = payload_of(seal_batch_receipt(batch_receipt, key=keys.platform))

    def padded(length):
        return sign1(with_pairs(payload, {65: bytes(length)}), key=keys.platform, aad=AAD_BATCH_RECEIPT)

    # Both byte strings, payload and padding, have heads of the same size on both sides of 65,000.
    exact = 65_000 + BATCH_RECEIPT_BYTES - len(padded(65_000))
    assert len(padded(exact)) == BATCH_RECEIPT_BYTES
    assert open_batch_receipt(padded(exact), key=keys.platform.public) == batch_receipt
    for read in (lambda data: open_batch_receipt(data, key=keys.platform.public), receipt_kid):
        with pytest.raises(LimitError, match=f"batch receipt: {BATCH_RECEIPT_BYTES + 1} bytes"):
            read(padded(exact + 1))
