"""Counts by step -> the bars of a chart, stacked by colour. Pure; the page draws them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH, HEIGHT = 960, 240
_LEFT, _BOTTOM, _TOP = 44, 22, 10
_GAP: Final = 0.18
_LABELS_MOST: Final = 12
COLOURS: Final = ("green", "notice", "yellow", "red", "grey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One colour's share of a bar, in units of the drawing."""

    colour: str
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One step. `label` is empty where labels would run into each other; `title` is read when it is pointed at."""

    x: float
    width: float
    label: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All of it. `top` is the count at the upper line."""

    bars: tuple[Bar, ...]
    top: int
    left: int = _LEFT
    upper: int = _TOP
    lower: int = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def chart_of(steps: Sequence[tuple[str, dict[str, int]]]) -> Chart:
    """(label, counts by colour) of each step -> the chart."""
    most = max((sum(colours.values()) for _, colours in steps), default=0)
    top = _round_up(most)
    wide = (WIDTH - _LEFT) / max(1, len(steps))
    every = -(-len(steps) // _LABELS_MOST)
    bars = []
    for at, (label, colours) in enumerate(steps):
        y, parts = float(HEIGHT - _BOTTOM), []
        for colour in COLOURS:
            height = colours.get(colour, 0) / top * (HEIGHT - _BOTTOM - _TOP)
            if height:
                y -= height
                parts.append(Part(colour=colour, y=round(y, 2), height=round(height, 2)))
        bars.append(
            Bar(
                x=round(_LEFT + wide * (at + _GAP / 2), 2),
                width=round(wide * (1 - _GAP), 2),
                label=label if at % every == 0 else "",
                title=f"{label}: {sum(colours.values())}",
                parts=tuple(parts),
            )
        )
    return Chart(bars=tuple(bars), top=top)


def _round_up(most: int) -> int:
    """1, 2 or 5 with zeros, not below the highest count."""
    scale = 1
    while True:
        for step in (1, 2, 5):
            if step * scale >= most:
                return step * scale
        scale *= 10
