"""Who is asking, and whether the route is for them.

A browser has a cookie, a program an `Authorization: Bearer` token. A cookie comes along with whatever another site
makes a browser send, so a change that comes with one must come from our own pages: browsers say so in `Sec-Fetch-Site`,
and all of them in `Origin`.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.console.accounts.door import Caller
from hub.console.accounts.roles import Permission, may
from hub.console.errors import ConsoleError, FieldsError, ForbiddenError, NotFoundError, NotSignedInError
from hub.console.site import Site
from hub.model import Account, AuditEntry, Role
from hub.registry.changes import Operator
from hub.store.console_ports import Session

COOKIE: Final = "gatelight"
COOKIE_HTTPS: Final = "__Host-gatelight"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_AGENT_CHARS: Final = 200

_BEARER: Final = HTTPBearer(auto_error=False, description="A token that an account has made for the API.")
_COOKIE: Final = APIKeyCookie(name=COOKIE_HTTPS, auto_error=False, description="A browser's session.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Somebody who is signed in, and may ask what the route asks for."""

    account: Account
    session: Session
    now_ms: int
    token: str = field(repr=False, default="")

    @property
    def operator(self) -> Operator:
        """As the registry writes it down."""
        return Operator(who=self.account.name, now_ms=self.now_ms)

    @property
    def everywhere(self) -> bool:
        """Whether the account is for every place."""
        return self.account.role not in {Role.RESPONSIBLE, Role.ATTENDANT}

    def sees(self, place_id: str, gate_id: str = "") -> bool:
        """Whether the account is for this place, or this gate of it."""
        scope = self.account.scope
        return self.everywhere or (place_id, "") in scope or bool(gate_id and (place_id, gate_id) in scope)

    def must_see(self, place_id: str, gate_id: str = "") -> None:
        """Raises NotFoundError when the account is not for it: what there is elsewhere is not told."""
        if not self.sees(place_id, gate_id):
            raise NotFoundError

    @property
    def places(self) -> frozenset[str] | None:
        """The places that it has something to do with; None: all."""
        return None if self.everywhere else frozenset(place for place, _ in self.account.scope)

    def may(self, permission: Permission) -> bool:
        """Whether its role has a permission."""
        return may(self.account.role, permission)

    def entry(self, action: str, detail: str) -> AuditEntry:
        """What is written down of something that it did."""
        return self.operator.entry(action, detail)


class Needs:
    """A route's dependency: somebody who is signed in and has this permission."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        _cookie: Annotated[str | None, Depends(_COOKIE)],
    ) -> Signed:
        """Who it is. Raises NotSignedInError, TooManyError or ForbiddenError."""
        signed = await signed_in(request, bearer.credentials if bearer else None)
        if signed is None:
            raise NotSignedInError
        site_of(request).pace.of_account(signed.account.name)
        if not signed.may(self.permission):
            raise ForbiddenError("forbidden", "Your account may not do this.")
        return signed


class Of:
    """ASGI: says with each request which site it came to."""

    def __init__(self, site: Site, app: ASGIApp) -> None:
        self.site, self._app = site, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._app({**scope, "site": self.site}, receive, send)


def site_of(request: Request) -> Site:
    """The site that the request came to."""
    site: Site = request.scope["site"]
    return site


TheSite = Annotated[Site, Depends(site_of)]


def caller_of(request: Request) -> Caller:
    """Where the request comes from."""
    address = request.client.host if request.client else "unknown"
    return Caller(address=address, agent=request.headers.get("user-agent", "")[:_AGENT_CHARS])


async def signed_in(request: Request, bearer: str | None = None) -> Signed | None:
    """Who is asking, if anybody is signed in. Raises ForbiddenError for a change that another site may have caused."""
    site = site_of(request)
    cookie = None if bearer is not None else request.cookies.get(cookie_name(site))
    token = bearer or cookie
    if not token:
        return None
    found = await site.door.who(token)
    if found is None:
        return None
    session, account = found
    # A token for programs is not taken from a cookie, nor a browser's from a header.
    if (session.kind == "api") != (bearer is not None):
        return None
    if cookie is not None:
        must_be_ours(request)
    return Signed(account=account, session=session, now_ms=site.now_ms(), token=token)


def must_be_ours(request: Request) -> None:
    """Raises ForbiddenError for a change that does not come from our own pages."""
    if request.method in _SAFE:
        return
    fetched, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    ours = fetched == "same-origin" if fetched is not None else origin == site_of(request).url
    if not ours or (origin is not None and origin != site_of(request).url):
        raise ForbiddenError("cross_site", "This did not come from a page of this console.")


def cookie_name(site: Site) -> str:
    """A name that only a page of this very host can set, where there is HTTPS (RFC 6265bis §4.1.3.2)."""
    return COOKIE_HTTPS if site.https else COOKIE


def as_json(error: ConsoleError) -> dict[str, str | dict[str, str]]:
    """What a program is told."""
    told: dict[str, str | dict[str, str]] = {"error": error.reason, "what": error.what}
    if error.where:
        told["where"] = error.where
    if isinstance(error, FieldsError):
        told["fields"] = error.fields
    return told
