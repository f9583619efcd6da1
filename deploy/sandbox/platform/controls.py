"""What the sandbox can make happen at the platform: somebody's colour turns, a place closes, keys roll over.

Plain HTTP on loopback, beside the pages: a real platform has no such door.
"""

from typing import Any

from aiohttp import web

from deploy.sandbox.platform.feed import Feed
from protocol.limits import NAME_CHARS
from protocol.terms import Colour

PEOPLE_MAX = 100_000
WHY_CHARS = 200
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Controls:
    """The handlers. Each answers with the ms at which it was done."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def routes(self) -> list[web.RouteDef]:
        """For the application that serves the sandbox itself."""
        return [
            web.post("/sandbox/colours", self._colours),
            web.post("/sandbox/places", self._place),
            web.post("/sandbox/trust", self._trust),
        ]

    async def _colours(self, request: web.Request) -> web.Response:
        try:
            colours = _read_colours(await request.json())
        except _MALFORMED as error:
            return _refused(error)
        return web.json_response({"at_ms": await self._feed.colour(colours)})

    async def _place(self, request: web.Request) -> web.Response:
        try:
            place, closed, why = _read_place(await request.json())
        except _MALFORMED as error:
            return _refused(error)
        return web.json_response({"at_ms": await self._feed.place(place, closed=closed, why=why)})

    async def _trust(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": await self._feed.roll()})


def _read_colours(wish: Any) -> dict[int, Colour]:
    people, colour = wish["people"], Colour[str(wish["colour"]).upper()]
    if colour is Colour.GREY:
        raise ValueError("grey is a gate's colour, nobody's")
    if not isinstance(people, list) or not 0 < len(people) <= PEOPLE_MAX:
        raise ValueError(f"not a list of 1 to {PEOPLE_MAX} people")
    if not all(type(number) is int and 0 <= number < 2**32 for number in people):
        raise ValueError("a person is not a number of 32 bits")
    return dict.fromkeys(people, colour)


def _read_place(wish: Any) -> tuple[str, bool, str]:
    place, closed, why = wish["place"], wish["closed"], wish.get("why", "")
    if not isinstance(place, str) or len(place) > NAME_CHARS or not isinstance(why, str) or len(why) > WHY_CHARS:
        raise ValueError("not a place and why")
    if type(closed) is not bool:
        raise TypeError("closed is neither true nor false")
    return place, closed, why


def _refused(error: Exception) -> web.Response:
    return web.json_response({"error": "malformed", "what": f"{type(error).__name__}: {error}"[:200]}, status=400)
