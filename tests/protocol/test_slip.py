import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError
from protocol.slip import read_slip, slip_number


def test_a_known_number():
    assert slip_number(bytes(32)) == "0000-0000"
    assert slip_number(b"\xff" * 32) == "ZZZZ-ZZZZ"
    assert slip_number(hashlib.sha256(b"gatelight").digest()) == slip_number(hashlib.sha256(b"gatelight").digest())


@given(st.binary(min_size=32, max_size=32))
def test_what_is_written_down_is_found_again(checkin_hash):
    number = slip_number(checkin_hash)
    assert read_slip(number) == checkin_hash[:5]
    assert read_slip(number.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == checkin_hash[:5]


@pytest.mark.parametrize("text", ["", "7K3M-9QX", "7K3M-9QXAA", "UUUU-UUUU", "7K3M-9QX!", "７K3M-9QXA", "\n" * 8])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(MalformedError, match="slip number"):
        read_slip(text)


def test_another_length_of_hash_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="32 bytes"):
        slip_number(bytes(31))
