import pytest

from protocol.errors import LimitError, MalformedError
from protocol.limits import TIME_MAX_MS, USED_BYTES
from protocol.used import decode_used, encode_used
from protocol.vectors.make_gate import USED
from protocol.vectors.raw import with_pairs


def test_a_hint_comes_back_as_it_was_encoded():
    assert decode_used(encode_used(USED)) == USED


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: None}, "used.code"),
        ({1: bytes(17)}, "used.code"),
        ({2: TIME_MAX_MS + 1}, "used.until"),
        ({2: True}, "used.until"),
        ({3: bytes(7)}, "used.device"),
        ({4: 0}, "used"),
    ],
)
def test_refusals_name_the_field(changes, where):
    with pytest.raises(MalformedError) as caught:
        decode_used(with_pairs(encode_used(USED), changes))
    assert caught.value.where == where


def test_length_at_the_limit_and_one_above():
    exact = 70 + USED_BYTES - len(with_pairs(encode_used(USED), {65: bytes(70)}))
    assert decode_used(with_pairs(encode_used(USED), {65: bytes(exact)})) == USED
    with pytest.raises(LimitError, match="used: 129 bytes"):
        decode_used(with_pairs(encode_used(USED), {65: bytes(exact + 1)}))
