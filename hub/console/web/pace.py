"""How often anybody may ask: each account, and each address whether signed in or not.

Signing in has a bound of its own, by wrong guesses: `accounts/throttle.py`.
"""

from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from hub.console.errors import TooManyError
from hub.enrol.rates import Rates, neighbourhood

ACCOUNT_BURST: Final = 400
ACCOUNT_PER_S: Final = 20.0
"""A program that reads page by page, and a shift's wall of live pages under one account."""
ADDRESS_BURST: Final = 2000
ADDRESS_PER_S: Final = 100.0
"""A whole office behind one address; a page asks for about five things."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """One for a process."""

    accounts: Rates = field(default_factory=lambda: Rates(burst=ACCOUNT_BURST, per_s=ACCOUNT_PER_S))
    addresses: Rates = field(default_factory=lambda: Rates(burst=ADDRESS_BURST, per_s=ADDRESS_PER_S))

    def of_account(self, name: str) -> None:
        """Raises TooManyError when the account asks too often."""
        if not self.accounts.spend(name):
            raise TooManyError(1 / ACCOUNT_PER_S)


class Paced:
    """ASGI: answers 429 to an address that asks too often, before anything is looked up for it."""

    def __init__(self, app: ASGIApp, *, pace: Pace) -> None:
        self._app, self._pace = app, pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            client = scope.get("client")
            if not self._pace.addresses.spend(neighbourhood(client[0] if client else "unknown")):
                await _refuse(send)
                return
        await self._app(scope, receive, send)


async def _refuse(send: Send) -> None:
    body = b'{"error": "too_many_requests", "what": "Too many tries. Wait 1 seconds."}'
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
