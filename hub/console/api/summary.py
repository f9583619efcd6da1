"""Counts of a place by hour or day, by gate, by colour. No person is in them."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import Field

from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, PlaceId, Shape, Window
from hub.console.errors import InvalidError, NotFoundError
from hub.console.register.sheets import plain
from hub.console.site import Site
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import MinuteCount
from protocol.terms import Colour, Direction, Verdict

ROUTER = APIRouter(prefix="/summary", tags=["Summary"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.REGISTER))]
Place = Annotated[PlaceId, Path()]
_DAY_MS: Final = 86_400_000
LONGEST_MS: Final = {"hour": 8 * _DAY_MS, "day": 93 * _DAY_MS}
"""A chart of more is not read; and counts are kept by minute."""
_MINUTE_MS: Final = 60_000


class SummaryAsked(Window):
    """A time, and how finely. Days are those of the site."""

    step: Literal["hour", "day"] = "hour"


class Counted(Shape):
    """How many check-ins, all together, by direction, colour and verdict."""

    total: int
    directions: dict[str, int]
    colours: dict[str, int]
    verdicts: dict[str, int]


class StepOut(Shape):
    """One hour or day, from its beginning."""

    at_ms: Annotated[
        int, Field(ge=-86_400_000, lt=2**53, description="Where it begins; before 1970 only where from is 0.")
    ]
    counted: Counted


class GateOut(Shape):
    """One gate, over the whole time."""

    gate: str
    counted: Counted


class SummaryOut(Shape):
    """Counts of check-ins by their own time. Steps without any are there too."""

    place: str
    step: Literal["hour", "day"]
    whole: Counted
    steps: list[StepOut]
    gates: list[GateOut]


@ROUTER.get("/{place}")
async def summary(site: TheSite, who: Who, place: Place, asked: Annotated[SummaryAsked, Query()]) -> SummaryOut:
    """Counts of a place. Steps that the time only touches are counted whole."""
    who.must_see(place)
    if place not in {known.place_id for known in await site.store.places()}:
        raise NotFoundError
    from_ms, to_ms = asked.times(who.now_ms)
    if from_ms >= to_ms:
        raise InvalidError("malformed", "The end must be later than the beginning.", where="to_ms")
    if to_ms - from_ms > LONGEST_MS[asked.step]:
        raise InvalidError("limit", "At most 8 days by hour, or 93 days by day.", where="to_ms")
    begins = step_begins(from_ms, to_ms, step=asked.step, zone=ZoneInfo(site.timezone))
    by_step: dict[int, list[MinuteCount]] = {}
    for begin_ms, end_ms in pairwise(begins):
        # Step by step: each is a short reading, and others come between.
        by_step[begin_ms] = list(await _counts(site, place, begin_ms, end_ms))
    by_gate: dict[str, list[MinuteCount]] = defaultdict(list)
    for counts in by_step.values():
        for count in counts:
            by_gate[count.gate_id].append(count)
    return SummaryOut(
        place=place,
        step=asked.step,
        whole=_counted(count for counts in by_step.values() for count in counts),
        steps=[StepOut(at_ms=at_ms, counted=_counted(counts)) for at_ms, counts in by_step.items()],
        gates=[GateOut(gate=gate, counted=_counted(counts)) for gate, counts in sorted(by_gate.items())],
    )


@ROUTER.get("/{place}/csv", response_class=Response)
async def summary_csv(site: TheSite, who: Who, place: Place, asked: Annotated[SummaryAsked, Query()]) -> Response:
    """The same by step, as CSV in UTF-8."""
    found = await summary(site, who, place, asked)
    zone = ZoneInfo(site.timezone)
    titles = ["begins", "total", *(word.wire_name for kind in (Direction, Colour, Verdict) for word in kind)]
    lines = [",".join(titles)]
    for step in found.steps:
        begins = datetime.fromtimestamp(step.at_ms / 1000, UTC).astimezone(zone).isoformat(timespec="minutes")
        counted = step.counted
        numbers = [counted.total, *counted.directions.values(), *counted.colours.values(), *counted.verdicts.values()]
        lines.append(",".join([plain(begins), *map(str, numbers)]))
    headers = {"content-disposition": f'attachment; filename="summary-{place}.csv"'}
    return Response("\r\n".join(lines) + "\r\n", media_type="text/csv; charset=utf-8", headers=headers)


def step_begins(from_ms: int, to_ms: int, *, step: Literal["hour", "day"], zone: ZoneInfo) -> list[int]:
    """The beginnings of all steps that a time touches, and the end of the last, in ms since 1970. Pure.

    A day is the site's, also when it has 23 or 25 hours.
    """
    at = datetime.fromtimestamp(from_ms / 1000, UTC).astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if step == "day":
        at = at.replace(hour=0)
    begins = [_ms(at)]
    while begins[-1] < to_ms:
        # Hours pass in UTC, days by the calendar.
        at = at + timedelta(days=1) if step == "day" else (at.astimezone(UTC) + timedelta(hours=1)).astimezone(zone)
        begins.append(_ms(at))
    return begins


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


async def _counts(site: Site, place: str, from_ms: int, to_ms: int) -> tuple[MinuteCount, ...]:
    return await site.store.counts(
        place_id=place, from_minute=from_ms // _MINUTE_MS, to_minute=to_ms // _MINUTE_MS, step_minutes=2**31
    )


def _counted(counts: Iterable[MinuteCount]) -> Counted:
    total = 0
    directions: Counter[str] = Counter({word.wire_name: 0 for word in Direction})
    colours: Counter[str] = Counter({word.wire_name: 0 for word in Colour})
    verdicts: Counter[str] = Counter({word.wire_name: 0 for word in Verdict})
    for count in counts:
        total += count.n
        directions[count.direction.wire_name] += count.n
        colours[count.colour.wire_name] += count.n
        verdicts[count.verdict.wire_name] += count.n
    return Counted(total=total, directions=dict(directions), colours=dict(colours), verdicts=dict(verdicts))
