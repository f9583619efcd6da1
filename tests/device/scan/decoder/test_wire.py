"""Messages between parent and child; the child's are taken for hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.scan.decoder.wire import (
    MESSAGE_BYTES_MAX,
    TEXT_BYTES_MAX,
    TEXTS_MAX,
    Effort,
    Hello,
    Request,
    WireError,
    pack_answer,
    pack_hello,
    pack_request,
    parse_answer,
    parse_hello,
    parse_request,
)


@pytest.mark.parametrize("seccomp", [True, False])
def test_hello(seccomp):
    assert parse_hello(pack_hello(Hello(seccomp=seccomp))) == Hello(seccomp=seccomp)


@pytest.mark.parametrize("data", [b"", b"GLD1", b"GLD2\x01", b"GLD1\x02", b"GLD1\x01\x00"])
def test_anything_else_is_no_hello(data):
    with pytest.raises(WireError):
        parse_hello(data)


@pytest.mark.parametrize("effort", list(Effort))
def test_request(effort):
    request = Request(seq=2**63, width=640, height=480, effort=effort)
    assert parse_request(pack_request(request), frame_px_max=640 * 480) == request


@pytest.mark.parametrize(("width", "height"), [(0, 4), (641, 480), (2**32 - 1, 2**32 - 1)])
def test_a_picture_that_does_not_fit_the_memory(width, height):
    with pytest.raises(WireError):
        parse_request(
            pack_request(Request(seq=1, width=width, height=height, effort=Effort.STILL)), frame_px_max=640 * 480
        )
    with pytest.raises(WireError):
        parse_request(b"short", frame_px_max=1)


def test_an_effort_that_nobody_knows():
    good = pack_request(Request(seq=1, width=9, height=9, effort=Effort.STILL))
    with pytest.raises(WireError, match="effort"):
        parse_request(good[:-1] + b"\x07", frame_px_max=100)


@pytest.mark.parametrize("code_like", [True, False])
def test_whether_something_looked_like_a_code(code_like):
    assert parse_answer(pack_answer(5, [], code_like=code_like), seq=5).code_like is code_like


@given(st.lists(st.binary(max_size=40), max_size=TEXTS_MAX, unique=True))
def test_answers_survive_the_way(texts):
    answer = parse_answer(pack_answer(5, texts), seq=5)
    assert answer.texts == tuple(texts)
    assert not answer.overflow


def test_a_text_is_told_once():
    assert parse_answer(pack_answer(5, [b"a", b"b", b"a"]), seq=5).texts == (b"a", b"b")


def test_the_fullest_answer_fits_and_more_is_an_overflow():
    full = [bytes([number]) * TEXT_BYTES_MAX for number in range(TEXTS_MAX)]
    data = pack_answer(1, full)
    assert len(data) == MESSAGE_BYTES_MAX
    assert not parse_answer(data, seq=1).overflow
    assert parse_answer(pack_answer(1, [*full, b"one more"]), seq=1).overflow
    long = parse_answer(pack_answer(1, [b"x" * (TEXT_BYTES_MAX + 1), b"ok"]), seq=1)
    assert (long.texts, long.overflow) == ((b"ok",), True)


def test_an_answer_to_another_frame_is_refused():
    with pytest.raises(WireError):
        parse_answer(pack_answer(4, [b"a"]), seq=5)


@given(st.binary(max_size=200), st.binary(max_size=20), st.integers(0, 60))
def test_a_hostile_child_gets_no_more_than_an_error(noise, patch, at):
    good = pack_answer(5, [b"GL1:ABC", b"second"])
    for data in (noise, good[:at], good[:at] + patch + good[at + len(patch) :], good + patch):
        try:
            answer = parse_answer(data, seq=5)
        except WireError:
            continue
        assert answer.seq == 5
        assert len(answer.texts) <= TEXTS_MAX
        assert sum(map(len, answer.texts)) <= len(data)
