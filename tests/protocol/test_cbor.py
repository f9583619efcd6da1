"""The strict codec: one encoding of each value, and nothing else."""

import math
import random
from enum import IntEnum

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import LimitError, MalformedError
from protocol.limits import CBOR_DEPTH, INT64_MAX, TIME_MAX_MS, UINT64_MAX

INTEGERS = st.integers(-UINT64_MAX - 1, UINT64_MAX)
KEYS = INTEGERS | st.binary(max_size=8) | st.text(max_size=8)
SCALARS = INTEGERS | st.binary(max_size=40) | st.text(max_size=40) | st.booleans()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
).filter(lambda value: depth_of(value) <= CBOR_DEPTH)


def depth_of(value):
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


def decode(data):
    return cbor.decode(data, what="thing", limit=100_000)


def nested(levels):
    return b"\x81" * (levels - 1) + b"\x80"


@settings(max_examples=60)
@given(VALUES)
def test_what_is_encoded_is_decoded(value):
    decoded = decode(cbor.encode(value))
    assert decoded == value
    assert repr(cbor2.loads(cbor2.dumps(decoded))) == repr(decoded)


@settings(max_examples=60)
@given(VALUES)
def test_the_encoding_is_that_of_another_implementation_in_bytewise_order(value):
    def ordered(inner):
        if isinstance(inner, list):
            return [ordered(item) for item in inner]
        if isinstance(inner, dict):
            return {key: ordered(inner[key]) for key in sorted(inner, key=cbor2.dumps)}
        return inner

    assert cbor.encode(value) == cbor2.dumps(ordered(value))


@settings(max_examples=60)
@given(st.dictionaries(KEYS, st.none(), min_size=2, max_size=12))
def test_map_keys_are_in_the_bytewise_order_of_their_encodings(keys):
    """RFC 8949 §4.2.1, for integers of every length, byte strings and texts together."""
    encoded = cbor.encode(dict.fromkeys(keys, 0))
    assert list(decode(encoded)) == sorted(keys, key=cbor2.dumps)
    backwards = encoded[:1] + b"".join(
        cbor2.dumps(key) + b"\x00" for key in sorted(keys, key=cbor2.dumps, reverse=True)
    )
    with pytest.raises(MalformedError):
        decode(backwards)


def decode_elsewhere(data):
    """The same judgement by another implementation: read loosely, write in the one form, compare the bytes."""
    try:
        value = cbor2.loads(data, max_depth=CBOR_DEPTH + 1, allow_indefinite=False, allow_duplicate_keys=False)
        return (value,) if cbor.encode(value) == data else None
    except (cbor2.CBORError, TypeError, ValueError, OverflowError):
        return None


def check_against_the_other(data):
    try:
        value = decode(data)
    except MalformedError:
        assert decode_elsewhere(data) is None, data.hex()
    else:
        assert repr((value,)) == repr(decode_elsewhere(data)), data.hex()
        assert cbor.encode(value) == data


@given(st.binary(max_size=60))
def test_random_bytes_are_judged_as_another_implementation_judges_them(data):
    check_against_the_other(data)


@pytest.mark.slow
def test_mutated_encodings_are_judged_as_another_implementation_judges_them():
    rng = random.Random("encodings")
    seeds = [
        {1: b"device", 2: True, 3: [1, [2, "three"]], 17: {1: b"", 5: "rule"}, 65: -1, -70001: {"a": {b"": 2**40}}},
        [2**32, 2**16, 2**8, 24, 23, -1, -24, -25, -(2**32) - 1, "张", b"\x00" * 30, False],
        {"status_list": {"idx": 70_000, "uri": "u" * 24}},
        {key: key for key in (0, 23, 24, 255, 256, 65535, 65536, 2**32, 2**64 - 1, -1, -24, -25, -257)},
    ]
    encoded = [cbor.encode(seed) for seed in seeds]
    for data in encoded:
        check_against_the_other(data)
    for _ in range(20_000):
        data = bytearray(rng.choice(encoded))
        for _ in range(rng.choice((1, 1, 2, 3))):
            at = rng.randrange(len(data))
            match rng.randrange(4):
                case 0:
                    data[at] ^= 1 << rng.randrange(8)
                case 1:
                    data[at] = rng.randrange(256)
                case 2:
                    data[at:at] = rng.randbytes(rng.choice((1, 2)))
                case _:
                    del data[at : at + rng.choice((1, 2))]
            data = data or bytearray(b"\x00")
        check_against_the_other(bytes(data))


@pytest.mark.parametrize("number", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, UINT64_MAX])
def test_numbers_at_each_boundary_have_one_form(number):
    for value in (number, -1 - number):
        data = cbor.encode(value)
        assert data == cbor2.dumps(value)
        assert decode(data) == value
        for width, first in ((1, 24), (2, 25), (4, 26), (8, 27)):
            longer = bytes([data[0] & 0xE0 | first]) + number.to_bytes(8, "big")[-width:]
            if number < 256**width and longer != data:
                with pytest.raises(MalformedError):
                    decode(longer)


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 65535, 65536])
@pytest.mark.parametrize("major", [0x40, 0x60, 0x80])
def test_lengths_at_each_boundary_have_one_form(length, major):
    body = b"a" * length if major != 0x80 else b"\x00" * length
    value = {0x40: body, 0x60: body.decode(), 0x80: list(body)}[major]
    assert decode(cbor.encode(value)) == value
    for width, first in ((1, 24), (2, 25), (4, 26), (8, 27)):
        longer = bytes([major | first]) + length.to_bytes(8, "big")[-width:] + body
        if length < 256**width and longer != cbor.encode(value):
            with pytest.raises(MalformedError):
                decode(longer)


@pytest.mark.parametrize(
    "text",
    [
        "f4f4", "", "18", "1817", "1c", "1d", "1e", "1f", "3f", "5f4100ff", "7f6100ff", "9f00ff", "bf0000ff", "ff",
        "c100", "c24101", "d81c00", "d81d00", "d82440", "d8236161", "d9010280", "d9d9f700", "f6", "f7", "f0", "f818",
        "f8ff", "f90000", "fa00000000", "fb0000000000000000", "f97e00", "61ff", "62c328", "63eda080", "81", "8201",
        "a1", "a100", "a200000000", "a201000000", "a1f400", "a1f600", "a18000", "a1a000", "a1f9000000", "a1c10000",
        "41", "5affffffff", "9affffffff", "bbffffffffffffffff", "9bffffffffffffffff", "5bffffffffffffffff",
        "7bffffffffffffffff", "fc", "fd", "fe", "f814", "a2f500f501",
    ],
)  # fmt: skip
def test_what_this_wire_does_not_have_is_refused(text):
    with pytest.raises(MalformedError) as caught:
        decode(bytes.fromhex(text))
    assert caught.value.where == "thing"
    assert caught.value.what


def test_depth_at_the_limit_and_one_above():
    assert depth_of(decode(nested(CBOR_DEPTH))) == CBOR_DEPTH
    assert cbor.encode(decode(nested(CBOR_DEPTH))) == nested(CBOR_DEPTH)
    with pytest.raises(MalformedError):
        decode(nested(CBOR_DEPTH + 1))
    with pytest.raises(MalformedError):
        decode(nested(50_000))


def test_encoding_stops_at_the_same_depth():
    value = decode(nested(CBOR_DEPTH))
    assert cbor.encode(value)
    with pytest.raises(ValueError, match="deeper"):
        cbor.encode([value])
    with pytest.raises(ValueError, match="deeper"):
        cbor.encode({1: value})


def test_length_at_the_limit_and_one_above():
    assert cbor.decode(b"\x41a", what="thing", limit=2) == b"a"
    with pytest.raises(LimitError, match="3 bytes, at most 2 are allowed") as caught:
        cbor.decode(b"\x42aa", what="thing", limit=2)
    assert (caught.value.reason, caught.value.where) == ("limit", "thing")


def test_our_own_mistakes_are_no_protocol_errors():
    for value in (None, 1.0, {1, 2}, object(), {1.0: 0}, {True: 0}, {None: 0}):
        with pytest.raises(TypeError):
            cbor.encode(value)
    for value in (UINT64_MAX + 1, -UINT64_MAX - 2, math.factorial(30)):
        with pytest.raises(ValueError, match="64 bits"):
            cbor.encode(value)


def test_enumerations_and_tuples_become_plain():
    class Two(IntEnum):
        TWO = 2

    assert cbor.encode((Two.TWO, {1: Two.TWO})) == bytes.fromhex("8202a10102")


KNOWN = frozenset({1, 2, -70001})


@pytest.mark.parametrize("key", [65, 2**64 - 1, -65537, -(2**64)])
def test_keys_for_later_versions_are_ignored(key):
    assert cbor.fields({1: "a", key: "later"}, what="thing", known=KNOWN) == {1: "a"}


@pytest.mark.parametrize("key", [0, 3, 64, -1, -65536, "text", b"bytes"])
def test_other_unknown_keys_are_refused(key):
    with pytest.raises(MalformedError, match="unknown key"):
        cbor.fields({1: "a", key: 0}, what="thing", known=KNOWN)


@pytest.mark.parametrize("value", [[], 1, "a", b"", True, None])
def test_fields_are_a_map(value):
    with pytest.raises(MalformedError, match="thing: not a map"):
        cbor.fields(value, what="thing", known=KNOWN)


class Small(IntEnum):
    ZERO = 0
    TWO = 2


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (cbor.uint, [0, UINT64_MAX], [-1, True, "1", b"", None, [0]]),
        (lambda v, w: cbor.uint(v, w, least=5), [5], [4]),
        (lambda v, w: cbor.integer(v, w, -2, 3), [-2, 3], [-3, 4, True, "1", None]),
        (cbor.seq, [1, INT64_MAX], [0, INT64_MAX + 1, True, None]),
        (lambda v, w: cbor.seq(v, w, least=0), [0, INT64_MAX], [-1, INT64_MAX + 1]),
        (cbor.time_ms, [0, TIME_MAX_MS], [-1, TIME_MAX_MS + 1, False, None]),
        (cbor.time_s, [0, TIME_MAX_MS // 1000], [-1, TIME_MAX_MS // 1000 + 1, None]),
        (lambda v, w: cbor.sized_bytes(v, w, 2), [b"ab"], [b"a", b"abc", "ab", None]),
        (lambda v, w: cbor.sized_bytes(v, w, 0, 2), [b"", b"ab"], [b"abc", None, 0]),
        (lambda v, w: cbor.text(v, w, 1, 2), ["a", "张三"], ["", "abc", b"a", None]),
        (cbor.name, ["a", "A-Z_a.z0" * 4], ["", "a" * 33, "a/b", "a b", "a\n", "+", "#", "张", b"a", None]),
        (lambda v, w: cbor.member(v, w, Small), [0, 2], [1, -1, False, True, "0", 2.0, None, b"\x00", 2**64 - 1]),
        (cbor.boolean, [True, False], [0, 1, None, "true"]),
    ],
)  # fmt: skip
def test_readers_of_fields_accept_up_to_their_bounds_and_name_what_they_refuse(read, good, bad):
    for value in good:
        assert read(value, "thing.part") == value
    for value in bad:
        with pytest.raises(MalformedError) as caught:
            read(value, "thing.part")
        assert caught.value.where == "thing.part"
        assert caught.value.what


def test_a_member_is_of_its_enumeration():
    assert cbor.member(2, "thing", Small) is Small.TWO
