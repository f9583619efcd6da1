"""Steps of a summary by the site's clock, and bars that stand on each other."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.console.api.summary import step_begins
from hub.console.register.chart import COLOURS, HEIGHT, WIDTH, chart_of

HOUR_MS = 3_600_000


def ms(text, zone):
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_a_day_of_shanghai_begins_there():
    begins = step_begins(
        ms("2026-11-23T08:15", "Asia/Shanghai"),
        ms("2026-11-24T00:00", "Asia/Shanghai"),
        step="day",
        zone=ZoneInfo("Asia/Shanghai"),
    )
    assert [datetime.fromtimestamp(at / 1000, UTC).isoformat() for at in begins] == [
        "2026-11-22T16:00:00+00:00",
        "2026-11-23T16:00:00+00:00",
    ]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)])
def test_a_day_on_which_clocks_change_has_its_hours(day, hours):
    zone = "Europe/Berlin"
    begin = ms(f"{day}T00:00", zone)
    (first, end) = step_begins(begin, begin + 1, step="day", zone=ZoneInfo(zone))
    assert end - first == hours * HOUR_MS
    assert len(step_begins(first, end, step="hour", zone=ZoneInfo(zone))) == hours + 1


@given(st.lists(st.fixed_dictionaries({colour: st.integers(0, 10**6) for colour in COLOURS}), max_size=200))
def test_bars_stay_in_the_drawing_and_stand_on_each_other(steps):
    chart = chart_of([(str(at), colours) for at, colours in enumerate(steps)])
    for bar, colours in zip(chart.bars, steps, strict=True):
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert [part.colour for part in bar.parts] == [colour for colour in COLOURS if colours[colour]]
        foot = chart.lower
        for part in bar.parts:
            assert part.y + part.height == pytest.approx(foot, abs=0.02)
            foot = part.y
        assert foot >= chart.upper - 0.02
    assert sum(bool(bar.label) for bar in chart.bars) <= 12
    assert chart.height == HEIGHT
