"""How full places are and were: now, by the hour, and where it is busiest."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from hub.console.accounts.roles import Permission
from hub.console.api.live import OccupancyOut, occupancy_out
from hub.console.api.shapes import REFUSALS, PlaceId, Shape, TimeMs
from hub.console.errors import InvalidError, NotFoundError
from hub.console.live.board import HOUR_MS
from hub.console.web.asking import Needs, Signed, TheSite

ROUTER = APIRouter(prefix="/occupancy", tags=["Occupancy"], responses=REFUSALS)
HOURS_MOST = 24 * 31
TOP_MOST = 20
DISTRICT_DIGITS = 6

Who = Annotated[Signed, Depends(Needs(Permission.LIVE))]


class SortOut(Shape):
    """How many check-ins of one sort a gate had in an hour."""

    gate: str
    colour: str
    verdict: str
    direction: str
    n: int


class CountedHourOut(Shape):
    """One hour of a place."""

    from_ms: TimeMs
    counts: list[SortOut]


class TopOut(Shape):
    """Entries of one place in an hour."""

    place: PlaceId
    name: str
    region: str
    entries: int


class DistrictOut(Shape):
    """Entries of one district in an hour; `region` is the code of the district, empty where places have none."""

    region: str
    places: int
    entries: int


class TopsOut(Shape):
    """Where it was busiest in one hour, and in which hour it was busiest today."""

    from_ms: TimeMs
    places: list[TopOut]
    districts: list[DistrictOut]
    peak_ms: TimeMs | None
    peak_entries: int


@ROUTER.get("/tops")
async def tops(
    site: TheSite,
    who: Who,
    at_ms: Annotated[int | None, Query(ge=0, lt=2**53, description="Some moment of the hour; now if left out.")] = None,
) -> TopsOut:
    """Places and districts by entries in one hour of today."""
    board, registry = await site.feed.board(), await site.feed.registry()
    hour = (site.now_ms() if at_ms is None else at_ms) // HOUR_MS
    seen = [place for place in registry.places.values() if who.sees(place.place_id)]
    found = [
        TopOut(
            place=place.place_id,
            name=place.name,
            region=place.region,
            entries=board.of(place.place_id).hours.get(hour, 0),
        )
        for place in seen
    ]
    districts: dict[str, list[int]] = {}
    for top in found:
        district = districts.setdefault(top.region[:DISTRICT_DIGITS], [0, 0])
        district[0] += 1
        district[1] += top.entries
    by_hour: dict[int, int] = {}
    for place in seen:
        for when, n in board.of(place.place_id).hours.items():
            by_hour[when] = by_hour.get(when, 0) + n
    peak = max(by_hour, key=lambda when: (by_hour[when], when), default=None)
    return TopsOut(
        from_ms=hour * HOUR_MS,
        places=sorted((top for top in found if top.entries), key=lambda top: (-top.entries, top.place))[:TOP_MOST],
        districts=sorted(
            (DistrictOut(region=region, places=n, entries=entries) for region, (n, entries) in districts.items()),
            key=lambda district: (-district.entries, district.region),
        )[:TOP_MOST],
        peak_ms=None if peak is None else peak * HOUR_MS,
        peak_entries=0 if peak is None else by_hour[peak],
    )


@ROUTER.get("/{place}")
async def now(site: TheSite, who: Who, place: Annotated[PlaceId, Path()]) -> OccupancyOut:
    """How many are inside."""
    who.must_see(place)
    if place not in (await site.feed.registry()).places:
        raise NotFoundError
    return await occupancy_out(site, place)


@ROUTER.get("/{place}/hours")
async def hours(
    site: TheSite,
    who: Who,
    place: Annotated[PlaceId, Path()],
    from_ms: Annotated[int, Query(ge=0, lt=2**53)],
    to_ms: Annotated[int, Query(ge=0, lt=2**53)],
) -> list[CountedHourOut]:
    """Counts by the hour of up to 31 days, within 13 months."""
    who.must_see(place)
    from_hour, to_hour = from_ms // HOUR_MS, -(-to_ms // HOUR_MS)
    if not 0 < to_hour - from_hour <= HOURS_MOST:
        raise InvalidError("malformed", "At most 31 days at once.", where="to_ms")
    if place not in (await site.feed.registry()).places:
        raise NotFoundError
    found: dict[int, list[SortOut]] = {}
    for count in await site.store.hour_counts(place_id=place, from_hour=from_hour, to_hour=to_hour):
        found.setdefault(count.hour, []).append(
            SortOut(
                gate=count.gate_id,
                colour=count.colour.wire_name,
                verdict=count.verdict.wire_name,
                direction=count.direction.wire_name,
                n=count.n,
            )
        )
    return [CountedHourOut(from_ms=hour * HOUR_MS, counts=counts) for hour, counts in sorted(found.items())]
