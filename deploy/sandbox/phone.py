"""A phone: fetches fresh codes from the platform and keeps asking while it is down."""

import asyncio

import aiohttp

from deploy.sandbox.people import ADVERT, Person, Showing

RETRY_S = 0.2
TIMEOUT_S = 3.0


class PhoneError(Exception):
    """The platform refused a wish: a fault of the sandbox."""


class Phones:
    """Every phone of the crowd, over one client session."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str) -> None:
        self._session = session
        self._url = f"{url}/sandbox/codes"

    async def texts(self, person: Person) -> tuple[str, ...]:
        """What this person's camera view will hold: one text, or two, each a fresh code."""
        if person.showing is Showing.ADVERT:
            return (ADVERT,)
        if person.showing is Showing.TWO_CODES:
            return (await self._fetch(person, "live"), await self._fetch(person, "live"))
        kind = "live" if person.showing is Showing.BORROWED else person.showing.value
        return (await self._fetch(person, kind),)

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
