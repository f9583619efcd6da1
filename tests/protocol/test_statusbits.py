"""Packed statuses, zlib streams and the changes of a delta, without signatures."""

import random
import tracemalloc
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.errors import LimitError, MalformedError
from protocol.limits import STATUS_ENTRIES, STATUS_PACKED_BYTES
from protocol.statusbits import StatusList, deflate, inflate, pack_changes, unpack_changes, write_changes

pytestmark = pytest.mark.slow

LAST = STATUS_ENTRIES - 1


def packed_by_text(statuses, bits):
    """The same list by way of text: each byte holds its first status in its last digits."""
    per = 8 // bits
    digits = [f"{status:0{bits}b}" for status in statuses]
    return bytes(int("".join(reversed(digits[at : at + per])), 2) for at in range(0, len(digits), per))


@given(st.data(), st.sampled_from([1, 2, 4, 8]))
def test_every_status_is_found_at_every_width(data, bits):
    per = 8 // bits
    statuses = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=per, max_size=40 * per))
    statuses = statuses[: len(statuses) // per * per]
    made = StatusList(packed_by_text(statuses, bits), bits=bits)
    assert made.size == len(statuses)
    assert [made.get(index) for index in range(made.size)] == statuses


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_beyond_a_list_there_is_nothing(bits):
    made = StatusList(bytes(3), bits=bits)
    assert made.get(made.size - 1) == 0
    for index in (-1, -made.size, made.size, 2**64):
        with pytest.raises(IndexError):
            made.get(index)
    with pytest.raises(IndexError):
        StatusList(b"", bits=bits).get(0)


@pytest.mark.parametrize("bits", [0, 3, 16])
def test_there_are_four_widths(bits):
    with pytest.raises(ValueError, match="1, 2, 4 or 8 bits"):
        StatusList(b"", bits=bits)


def test_a_list_sees_what_is_written_into_its_bytes_later():
    packed = bytearray(2)
    made = StatusList(packed)
    write_changes(packed, ((5, 3),))
    assert made.get(5) == 3
    assert made.packed is packed


@given(st.binary(max_size=2000))
def test_what_is_deflated_comes_back(packed):
    again = inflate(deflate(packed), limit_bytes=len(packed))
    assert again == packed
    assert type(again) is bytearray


def test_inflating_stops_at_the_limit():
    stream = deflate(bytes(1000))
    assert len(inflate(stream, limit_bytes=1000)) == 1000
    with pytest.raises(LimitError, match="more than 999 bytes"):
        inflate(stream, limit_bytes=999)
    with pytest.raises(LimitError):
        inflate(deflate(b"x"), limit_bytes=0)
    assert inflate(deflate(b""), limit_bytes=0) == b""


def test_a_zlib_bomb_is_never_inflated():
    """128 MiB in 128 kB: what it costs is what the limit allows."""
    bomb = zlib.compressobj(9)
    stream = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(128)) + bomb.flush()
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            inflate(stream, limit_bytes=STATUS_PACKED_BYTES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * STATUS_PACKED_BYTES


@pytest.mark.parametrize(
    ("stream", "what"),
    [
        (b"", "cut short"),
        (deflate(b"abc")[:-1], "cut short"),
        (deflate(b"abc") + b"\x00", "bytes after the end"),
        (deflate(b"abc") * 2, "bytes after the end"),
        (deflate(b"abc")[:-1] + b"\x00", "no zlib stream"),
        (b"\x1f\x8b\x08" + bytes(20), "no zlib stream"),
        (deflate(b"abc")[2:-4], "no zlib stream"),
        (bytes([0x78, 0xBB, 0, 0, 0, 1]), "no zlib stream"),
    ],
    ids=["empty", "cut", "trailing byte", "two streams", "checksum", "gzip", "raw deflate", "preset dictionary"],
)
def test_other_streams_are_refused(stream, what):
    with pytest.raises(MalformedError, match=what) as caught:
        inflate(stream, limit_bytes=100)
    assert caught.value.where == "status list.lst"


CHANGES = st.dictionaries(st.integers(0, LAST), st.integers(0, 3), max_size=200).map(
    lambda found: tuple(sorted(found.items()))
)


@given(CHANGES)
@example(())
@example(((0, 0),))
@example(((LAST, 3),))
@example(((0, 3), (LAST, 0)))
@example(tuple((index, index & 3) for index in range(100)))
def test_changes_come_back(changes):
    assert unpack_changes(pack_changes(changes)) == changes


@pytest.mark.parametrize(
    ("changes", "packed"),
    [
        (((0, 0),), "00"),
        (((0, 2), (1, 1)), "02 05"),
        (((31, 3),), "7f"),
        (((32, 0),), "80 01"),
        (((4095, 3),), "ff 7f"),
        (((4096, 0),), "80 80 01"),
        (((524_287, 3),), "ff ff 7f"),
        (((524_288, 0),), "80 80 80 01"),
        (((LAST, 3),), "ff ff ff 01"),
    ],
)
def test_changes_have_these_bytes(changes, packed):
    assert pack_changes(changes) == bytes.fromhex(packed)
    assert unpack_changes(bytes.fromhex(packed)) == changes


@given(st.binary(max_size=40))
def test_changes_have_one_form(data):
    try:
        changes = unpack_changes(data)
    except MalformedError:
        return
    assert pack_changes(changes) == data


@pytest.mark.parametrize(
    ("packed", "what"),
    [
        ("80", "cut short"),
        ("1d 80", "cut short"),
        ("80 80", "cut short"),
        ("80 80 80", "cut short"),
        ("9d 00", "not in its shortest form"),
        ("80 00", "not in its shortest form"),
        ("80 81 00", "not in its shortest form"),
        ("80 80 81 00", "not in its shortest form"),
        ("80 80 80 80 01", "not in its shortest form"),
        ("ff ff ff ff ff ff ff ff ff 01", "not in its shortest form"),
        ("1d 00", "does not ascend"),
        ("1d 03", "does not ascend"),
        ("00 00", "does not ascend"),
        ("80 80 80 02", "index 1048576 is beyond"),
        ("ff ff ff 7f", "beyond the longest list"),
        ("ff ff ff 01 04", "index 1048576 is beyond"),
    ],
)
def test_other_forms_of_changes_are_refused(packed, what):
    with pytest.raises(MalformedError, match=what) as caught:
        unpack_changes(bytes.fromhex(packed))
    assert caught.value.where == "status delta.changes"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (((LAST + 1, 0),), "no status 0 at index 1048576"),
        (((-1, 0),), "no status 0 at index -1"),
        (((0, 4),), "no status 4 at index 0"),
        (((0, -1),), "no status -1"),
        (((1, 0), (1, 1)), "does not ascend"),
        (((2, 0), (1, 1)), "does not ascend"),
    ],
)
def test_changes_that_a_gate_would_refuse_cannot_be_packed(changes, what):
    with pytest.raises(MalformedError, match=what):
        pack_changes(changes)


def test_changes_are_written_where_they_belong_and_nowhere_else():
    rng = random.Random("changes")
    statuses = [rng.randrange(4) for _ in range(4000)]
    packed = bytearray(packed_by_text(statuses, 2))
    changes = tuple((index, rng.randrange(4)) for index in sorted(rng.sample(range(4000), 700)))
    write_changes(packed, changes)
    for index, status in changes:
        statuses[index] = status
    assert packed == packed_by_text(statuses, 2)


def test_a_change_beyond_the_list_changes_nothing():
    packed = bytearray(b"\x55\x55")
    write_changes(packed, ((7, 0),))
    with pytest.raises(MalformedError, match="index 8 is beyond the list"):
        write_changes(packed, ((0, 3), (8, 3)))
    assert packed == b"\x55\x15"
    write_changes(packed, ())
    with pytest.raises(MalformedError):
        write_changes(bytearray(), ((0, 0),))
