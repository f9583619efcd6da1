from dataclasses import replace

import pytest

from hub.deliver.answer import Receipted, Refused, TryAgain, read_answer
from hub.model import OutboxRow
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.trust import KeyUse

BATCH = bytes(15) + b"\1"
ROWS = [OutboxRow(row_id=10 + at, device_id=bytes(8), epoch=bytes(8), seq=at, sealed=b"") for at in range(3)]


@pytest.fixture
def read(platform):
    def call(status, body, now_ms=1_700_000_000_000):
        return read_answer(status, body, batch_id=BATCH, rows=ROWS, trust=platform.trust, now_ms=now_ms)

    return call


def test_a_receipt_for_all(read, platform):
    body = platform.receipt(BATCH, 3)
    assert read(200, body) == Receipted(receipt=body, rejected=())


def test_rejected_ones_are_named_by_row(read, platform):
    answer = read(200, platform.receipt(BATCH, 1, ((0, Reason.BAD_SIGNATURE), (2, Reason.MALFORMED))))
    assert [(row.row_id, row.reason) for row in answer.rejected] == [(10, "bad_signature"), (12, "malformed")]


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_4xx_refuses_the_content(read, status):
    assert isinstance(read(status, b""), Refused)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 301, 302, 204, 100, 500, 502, 503])
def test_what_is_not_about_the_content_is_no_answer(read, status):
    answer = read(status, b"")
    assert isinstance(answer, TryAgain)
    assert answer.answered == (status >= 500)


def test_receipts_that_do_not_check_out_are_no_answer(read, platform):
    good = platform.receipt(BATCH, 3)
    stranger = Ed25519SigningKey(bytes(32))
    for body in (
        b"",
        b"{}",
        good[:-1],
        good[:-1] + bytes([good[-1] ^ 1]),
        platform.receipt(bytes(16), 3),
        platform.receipt(BATCH, 2),
        platform.receipt(BATCH, 4),
        platform.receipt(BATCH, 2, ((3, Reason.MALFORMED),)),
        platform.receipt(BATCH, 3, ((2, Reason.MALFORMED),)),
        platform.receipt(BATCH, 1, ((1, Reason.MALFORMED), (1, Reason.MALFORMED))),
        platform.receipt(BATCH, 0),
        platform.receipt(BATCH, 3, key=stranger),
    ):
        assert isinstance(read(200, body), TryAgain), body


@pytest.mark.parametrize("uses", [{KeyUse.CODE}, {KeyUse.STATUS, KeyUse.CODE}])
def test_a_key_of_the_platform_for_another_use_signs_no_receipt(platform, uses):
    (issuer,) = platform.trust.issuers
    key = replace(issuer.keys[0], uses=frozenset(uses))
    trust = replace(platform.trust, issuers=(replace(issuer, keys=(key,)),))
    answer = read_answer(200, platform.receipt(BATCH, 3), batch_id=BATCH, rows=ROWS, trust=trust, now_ms=1)
    assert isinstance(answer, TryAgain)


def test_a_key_outside_its_window_signs_nothing(read, platform):
    assert isinstance(read(200, platform.receipt(BATCH, 3), now_ms=2_000_000_001_000), TryAgain)
