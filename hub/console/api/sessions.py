"""Where one is signed in, and tokens for programs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from hub.console.accounts.door import API_TOKEN_DAYS_MOST, LABEL_CHARS, Caller
from hub.console.accounts.roles import Permission
from hub.console.api.shapes import REFUSALS, Shape, TimeMs
from hub.console.errors import NotFoundError
from hub.console.web.asking import Needs, Signed, TheSite
from hub.model import Role
from hub.store.console_ports import Session, SessionKind

ROUTER = APIRouter(tags=["Sessions"], responses=REFUSALS)

Who = Annotated[Signed, Depends(Needs(Permission.SIGNED_IN))]


class Me(Shape):
    """Who is asking."""

    name: str
    display: str
    role: Role
    permissions: list[Permission]


class SessionOut(Shape):
    """A browser that is signed in, or a token for programs."""

    id: str
    kind: SessionKind
    label: str
    address: str
    made_ms: TimeMs
    seen_ms: TimeMs
    expires_ms: TimeMs
    this: bool


class NewToken(Shape):
    """What a token is for, and for how long."""

    label: Annotated[str, Field(min_length=1, max_length=LABEL_CHARS)]
    days: Annotated[int, Field(ge=1, le=API_TOKEN_DAYS_MOST)] = 90


class Token(Shape):
    """A token for programs, told only once: `Authorization: Bearer TOKEN`."""

    id: str
    token: str


@ROUTER.get("/me")
async def me(site: TheSite, who: Who) -> Me:
    """The account that asks, and what it may do."""
    return Me(
        name=who.account.name,
        display=who.account.display,
        role=who.account.role,
        permissions=[permission for permission in Permission if who.may(permission)],
    )


@ROUTER.get("/sessions")
async def list_sessions(site: TheSite, who: Who) -> list[SessionOut]:
    """One's own sessions and tokens, those used last first."""
    return [_out(session, who) for session in await site.store.sessions(who.account.name)]


@ROUTER.delete("/sessions/{session_id}", status_code=204)
async def end_session(site: TheSite, who: Who, session_id: Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]) -> Response:
    """End one of one's own sessions or tokens."""
    for session in await site.store.sessions(who.account.name):
        if session.session_id.hex() == session_id:
            await site.door.sign_out(session, who=who.account.name)
            return Response(status_code=204)
    raise NotFoundError


@ROUTER.post("/tokens", status_code=201)
async def add_token(site: TheSite, who: Who, body: NewToken) -> Token:
    """A token that may do all that the account may."""
    caller = Caller(address=who.session.address, agent="")
    made = await site.door.add_token(who.account, label=body.label, days=body.days, caller=caller)
    return Token(id=made.session.session_id.hex(), token=made.token)


def _out(session: Session, who: Signed) -> SessionOut:
    return SessionOut(
        id=session.session_id.hex(),
        kind=session.kind,
        label=session.label,
        address=session.address,
        made_ms=session.made_ms,
        seen_ms=session.seen_ms,
        expires_ms=session.expires_ms,
        this=session.session_id == who.session.session_id,
    )
