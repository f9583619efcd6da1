"""A phone: fetches fresh codes from the platform and keeps asking while it is down."""

import asyncio
from dataclasses import dataclass

import aiohttp

from deploy.sandbox.people import ADVERT, Person, Showing
from protocol.terms import Colour

RETRY_S = 0.2
TIMEOUT_S = 3.0
_GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a phone shows after it has scanned a poster."""

    place: str
    name: str
    colour: Colour


class DeadPosterError(Exception):
    """The poster's code was reissued: this one is worth nothing."""


class PhoneError(Exception):
    """The platform refused a wish: a fault of the sandbox."""


class Phones:
    """Every phone of the crowd, over one client session."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str) -> None:
        self._session = session
        self._url = f"{url}/sandbox/codes"
        self._scans = f"{url}/sandbox/scans"

    async def texts(self, person: Person) -> tuple[str, ...]:
        """What this person's camera view will hold: one text, or two, each a fresh code."""
        if person.showing is Showing.ADVERT:
            return (ADVERT,)
        if person.showing is Showing.TWO_CODES:
            return (await self._fetch(person, "live"), await self._fetch(person, "live"))
        kind = "live" if person.showing is Showing.BORROWED else person.showing.value
        return (await self._fetch(person, kind),)

    async def scan(self, person: Person, text: str) -> Shown:
        """This person's phone scans a poster: it shows its own colour, and the visit is written down.

        Raises:
            DeadPosterError: the code is dead.
            PhoneError: the platform knows no such code.
        """
        wish = {"person": person.number, "text": text}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with self._session.post(self._scans, json=wish, timeout=timeout) as answer:
            body = await answer.json()
            if answer.status == _GONE:
                raise DeadPosterError(str(body))
            if answer.status != 200:
                raise PhoneError(f"the platform refused a place code: {body}")
            return Shown(place=body["place"], name=body["name"], colour=Colour[body["colour"].upper()])

    async def _fetch(self, person: Person, kind: str) -> str:
        wish = {
            "person": person.number,
            "name": person.name,
            "masked": list(person.masked),
            "colour": person.colour.wire_name,
            "kind": kind,
        }
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        while True:
            try:
                async with self._session.post(self._url, json=wish, timeout=timeout) as answer:
                    if answer.status >= 500:
                        # Its disk is full, say.
                        await asyncio.sleep(RETRY_S)
                        continue
                    body = await answer.json()
                    if answer.status != 200:
                        raise PhoneError(f"the platform refused a code: {body}")
                    return str(body["text"])
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
                # It is being restarted; a person would pull down to refresh as well.
                await asyncio.sleep(RETRY_S)
