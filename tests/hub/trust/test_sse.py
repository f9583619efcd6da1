import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.trust import sse as module
from hub.trust.sse import LINE_BYTES, Event, SseReader, StreamError

STREAM = (
    b"\xef\xbb\xbf: hello\n\n"
    b"id: 1\nevent: delta\ndata: AAAA\n\n"
    b": still here\r\n\r\n"
    b"data:first\rdata: second\rid:2\r\r"
    b"retry: 5000\nfuture: field\nevent: trust\ndata\nid: 3\n\n"
    b"event: lost\nid: 4\n\n"
    b"data: last\n\n"
)
EVENTS = [
    Event(kind="delta", data="AAAA", last_id="1"),
    Event(kind="message", data="first\nsecond", last_id="2"),
    Event(kind="trust", data="", last_id="3"),
    Event(kind="message", data="last", last_id="4"),
]


def test_the_fields_and_line_ends_of_the_standard():
    assert SseReader().feed(STREAM) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_it_does_not_matter_where_the_reads_are_cut(cuts):
    reader, events, before = SseReader(), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        events += reader.feed(STREAM[before:cut])
        before = cut
    assert events == EVENTS


def test_an_event_that_ends_with_cr_is_given_at_once_and_the_lf_after_it_is_no_line():
    reader = SseReader()
    assert reader.feed(b"data: x\r\r") == [Event(kind="message", data="x", last_id="")]
    assert reader.feed(b"\ndata: y\n\n") == [Event(kind="message", data="y", last_id="")]


def test_an_event_that_is_not_complete_is_not_given():
    reader = SseReader()
    assert reader.feed(b"data: half\n") == []
    assert reader.feed(b"") == []


def test_the_last_id_of_the_connection_before_holds_until_there_is_another():
    assert SseReader(last_id="7").feed(b"data: x\n\n")[0].last_id == "7"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"data: " + b"x" * LINE_BYTES, "a line of more than"),
        (b"data: " + b"x" * LINE_BYTES + b"\n", "a line of"),
        ((b"data: " + b"x" * 60_000 + b"\n") * 18, "an event of more than"),
        (b"data: \xff\xfe\n\n", "not UTF-8"),
        (b"id: seven\n", "no number"),
        ("id: ٣\n".encode(), "no number"),
        (b"id: " + b"9" * 20 + b"\n", "no number"),
        (b"id: -1\n", "no number"),
        (b"id: 1\x00\n", "no number"),
    ],
    ids=["endless line", "long line", "endless event", "encoding", "word", "other digits", "huge", "negative", "nul"],
)
def test_a_hostile_stream_ends(data, what):
    with pytest.raises(StreamError, match=what):
        SseReader().feed(data)


def test_a_line_that_never_ends_is_noticed_in_pieces_too():
    reader, piece = SseReader(), bytes(4096)
    for _ in range(LINE_BYTES // len(piece)):
        assert reader.feed(piece) == []
    with pytest.raises(StreamError):
        reader.feed(b"x")


def test_a_flood_of_empty_data_lines_is_an_event_that_is_too_long(monkeypatch):
    monkeypatch.setattr(module, "EVENT_BYTES", 1000)
    with pytest.raises(StreamError, match="an event"):
        SseReader().feed(b"data\n" * 1001)


def test_random_bytes_give_events_or_an_error_and_nothing_else():
    draw = random.Random(7)
    alphabet = [b"data:", b"id:", b"event:", b"\n", b"\r", b"\r\n", b":", b" ", b"x", b"1", b"\x00", b"\xff"]
    for _ in range(300):
        try:
            SseReader().feed(b"".join(draw.choices(alphabet, k=60)))
        except StreamError:
            continue
