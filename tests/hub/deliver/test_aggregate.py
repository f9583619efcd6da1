from hub.deliver.aggregate import aggregate
from hub.model import MinuteCount
from protocol.checkin import parse_checkin
from protocol.terms import Colour, Direction, Verdict


def count(n, minute, colour=Colour.GREEN, verdict=Verdict.ADMIT, direction=Direction.IN):
    return MinuteCount(
        place_id="mall", gate_id="north", minute=minute, colour=colour, verdict=verdict, direction=direction, n=n
    )


def test_rows_are_counted_by_gate_minute_colour_verdict_and_direction(gate):
    gate.make(2, at_ms=120_000)
    gate.make(1, at_ms=119_999)
    gate.make(1, at_ms=120_001, colour=Colour.RED, verdict=Verdict.REFUSE)
    gate.make(1, at_ms=179_999, direction=Direction.OUT)
    rows = [parse_checkin(data) for data in gate.chain]
    expected = (
        count(1, 1),
        count(2, 2),
        count(1, 2, direction=Direction.OUT),
        count(1, 2, Colour.RED, Verdict.REFUSE),
    )
    assert aggregate(rows, 180_000) == expected
    assert aggregate(reversed(rows), 180_000) == expected


def test_no_rows_no_counts():
    assert aggregate((), 180_000) == ()
