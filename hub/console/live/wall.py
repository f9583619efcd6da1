"""Board -> what a stream says: few bytes, made once for all streams that show the same.

A wall's event is a JSON object: `t` the tick, `full` where everything is told and not only what changed, `g` gates as
[id, entries, exits, lights], a light as [colour, verdict, direction, at_ms, masked name or nothing], and `p` the place
as [entries, exits, inside, low, high, confidence in percent, load, untimed]. A load is 0 where all is well or there is
no limit, 1 near it, 2 over it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from hub.console.live.board import Board, GateNow
from hub.console.live.feed import Feed, Registry
from hub.deliver.alert_text import late
from hub.deliver.occupancy import Occupancy
from hub.store.live_ports import RED, Alert

NEAR: Final = 0.9
"""Of the limit. The upper bound counts too: at 95 people give or take 10, 100 may be inside."""
SCOPE = frozenset[str] | None


def load_of(found: Occupancy, limit: int | None) -> int:
    """How near a place is to its limit: 0, 1 (near), 2 (over)."""
    if limit is None:
        return 0
    if found.inside >= limit:
        return 2
    return 1 if found.inside >= NEAR * limit or found.high >= limit else 0


class WallView:
    """One stream's view of one place. `look` tells what has changed since it was asked last.

    Args:
        feed: shared by all.
        place_id: of which place.
        gates: of these gates only, without the place's figures; None: all.
        names: with masked names, where policy keeps them.
    """

    def __init__(self, feed: Feed, *, place_id: str, gates: SCOPE, names: bool) -> None:
        self._feed, self._place_id, self._gates, self._names = feed, place_id, gates, names
        self._tick = 0
        self._place: list[int] = []

    async def look(self) -> dict[str, str]:
        """Events by name; none where nothing happened. Raises StoreError."""
        board = await self._feed.board(names=self._names)
        after = self._tick
        said: dict[str, Any] = {"t": board.tick}
        if after < board.made_tick:
            after, said["full"] = 0, 1
        place: list[int] = []
        if self._gates is None:
            place = await self._figures(board)
        if after >= board.tick and place == self._place:
            return {}
        key = (self._place_id, self._gates, self._names, after, tuple(place))
        if key not in board.said:
            said["g"] = [
                _gate(gate_id, gate, after=after, names=self._names)
                for gate_id, gate in board.changed(self._place_id, after_tick=after)
                if self._gates is None or gate_id in self._gates
            ]
            if place:
                said["p"] = place
            board.said[key] = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
        if place == self._place and '"g":[]' in board.said[key] and "full" not in said:
            self._tick = board.tick
            return {}
        self._tick, self._place = board.tick, place
        return {"wall": board.said[key]}

    async def _figures(self, board: Board) -> list[int]:
        key = ("figures", self._place_id)
        if key not in board.said:
            board.said[key] = json.dumps(await figures(self._feed, self._place_id))
        found: list[int] = json.loads(board.said[key])
        return found


async def figures(feed: Feed, place_id: str) -> list[int]:
    """`p` of a place."""
    board = await feed.board()
    found = await feed.occupancy_of(place_id)
    return [
        found.entries,
        found.exits,
        found.inside,
        found.low,
        found.high,
        round(100 * found.confidence),
        load_of(found, await feed.limit_of(place_id)),
        board.of(place_id).untimed,
    ]


def _gate(gate_id: str, gate: GateNow, *, after: int, names: bool) -> list[Any]:
    return [
        gate_id,
        gate.entries,
        gate.exits,
        [
            [light.colour, light.verdict, light.direction, light.at_ms, *(_masked(light.masked) if names else ())]
            for light in gate.lights
            if light.tick > after
        ],
    ]


def _masked(parts: tuple[str, ...] | None) -> list[str]:
    """Surname and two digits at each end, as a register shows them."""
    return [masked_text(parts)] if parts else []


def masked_text(parts: tuple[str, ...]) -> str:
    """`["张", "11", "23"]` -> `张** 11…23`."""
    surname, *digits = parts
    return f"{surname}**" + (f" {'…'.join(digits)}" if digits else "")


class GlanceView:
    """One stream's view of many places: [place, *figures of `p`] of those that have changed."""

    def __init__(self, feed: Feed, *, place_ids: list[str]) -> None:
        self._feed, self._place_ids = feed, place_ids
        self._tick = 0

    async def look(self) -> Mapping[str, str]:
        """Events by name. Raises StoreError."""
        board = await self._feed.board()
        if self._tick >= board.tick:
            return {}
        after, self._tick = self._tick, board.tick
        changed = [
            [place_id, *await figures(self._feed, place_id)]
            for place_id in self._place_ids
            if after < board.made_tick or board.of(place_id).tick > after
        ]
        if not changed:
            return {}
        return {"places": json.dumps({"t": board.tick, "p": changed}, separators=(",", ":"))}


def where_of(alert: Alert, registry: Registry) -> str:
    """Place and gate, as people call them."""
    place = registry.places.get(alert.place_id)
    gate = registry.gates.get(alert.place_id, {}).get(alert.gate_id, alert.gate_id)
    return " / ".join(part for part in (place.name if place else alert.place_id, gate) if part)


def alerts_text(alerts: list[Alert], registry: Registry) -> str:
    """Open alerts -> how many, and the newest of them, as a stream says it."""
    told = [
        {
            "id": alert.alert_id,
            "kind": alert.kind,
            "place": alert.place_id,
            "gate": alert.gate_id,
            "where": where_of(alert, registry),
            "late": late(alert),
            "at_ms": alert.at_ms,
            "raised_ms": alert.raised_ms,
            "newest_ms": alert.newest_ms,
            "level": int(alert.level),
            "times": alert.times,
        }
        for alert in alerts[:20]
    ]
    reds = sum(alert.kind == RED for alert in alerts)
    return json.dumps({"open": len(alerts), "reds": reds, "newest": told}, separators=(",", ":"))
