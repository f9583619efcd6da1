import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import base45
from protocol.errors import MalformedError


@given(st.binary(max_size=200))
def test_what_is_encoded_is_decoded(data):
    assert base45.decode(base45.encode(data)) == data


@given(st.text(alphabet=base45.ALPHABET, max_size=60))
def test_a_text_that_is_accepted_is_the_only_text_of_its_bytes(text):
    try:
        data = base45.decode(text)
    except MalformedError:
        return
    assert base45.encode(data) == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("bb8", "character 'b' is not in the alphabet"),
        ("BB\n", r"character '\\n' is not in the alphabet"),
        ("ＢＢ８", "not in the alphabet"),
        ("B", "a single character is left over"),
        ("BB8B", "a single character is left over"),
        ("GGW", "the group at 0 is larger than two bytes"),
        ("BB8GGW", "the group at 3 is larger than two bytes"),
        ("V6", "the last group is larger than a byte"),
    ],
)
def test_refusals_say_what_is_wrong(text, what):
    with pytest.raises(MalformedError, match=what) as caught:
        base45.decode(text)
    assert caught.value.where == "base45"


def test_the_largest_groups():
    assert base45.decode("FGW") == b"\xff\xff"
    assert base45.decode("U5") == b"\xff"
