"""Signing in and out, the one-time link, the language. The only pages for those who are not signed in."""

from typing import Any, Final
from urllib.parse import urlsplit

import segno
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from hub.console.accounts import totp
from hub.console.accounts.door import LetIn
from hub.console.errors import ConsoleError
from hub.console.pages.forms import attempt, form_of, to
from hub.console.site import Site
from hub.console.web.asking import TheSite, caller_of, cookie_name, must_be_ours, signed_in, site_of
from hub.console.web.render import LANGUAGE_COOKIE, MENU, page
from hub.console.web.words import LANGUAGES
from hub.model import Account, Role

ROUTER = APIRouter()

_YEAR_S: Final = 31_536_000
_TEXT_CHARS: Final = 512


@ROUTER.get("/")
async def front(request: Request) -> Response:
    """The first page that the account may see."""
    signed = await signed_in(request)
    if signed is None:
        return to("/sign-in")
    return to(next((path for path, _, permission in MENU if signed.may(permission)), "/me"))


@ROUTER.get("/sign-in")
async def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - the parameter's name in the address
    """The form."""
    return page(request, "sign_in.html", next=_own(next), name="", error=None)


@ROUTER.post("/sign-in")
async def sign_in(request: Request, site: TheSite) -> Response:
    """Let somebody in."""
    must_be_ours(request)
    form = await form_of(request)

    async def act() -> Response:
        let_in = await site.door.sign_in(
            name=_text(form, "name"),
            password=_text(form, "password"),
            code=_text(form, "code"),
            caller=caller_of(request),
        )
        return _with_cookie(to(_own(_text(form, "next"))), let_in, site)

    def again(error: Exception) -> Response:
        status = error.status if isinstance(error, ConsoleError) else 400
        typed, back = _text(form, "name"), _own(_text(form, "next"))
        return page(request, "sign_in.html", status=status, error=error, name=typed, next=back)

    return await attempt(act, again)


@ROUTER.post("/sign-out")
async def sign_out(request: Request, site: TheSite) -> Response:
    """End this session."""
    signed = await signed_in(request)
    if signed is not None:
        await site.door.sign_out(signed.session, who=signed.account.name)
    answer = to("/sign-in")
    answer.delete_cookie(cookie_name(site), secure=site.https, httponly=True, samesite="lax")
    return answer


@ROUTER.get("/welcome/{token}")
async def welcome_page(request: Request, site: TheSite, token: str) -> Response:
    """The form of a one-time link. Opening it uses nothing up."""
    invitation = await site.door.invitation(token[:_TEXT_CHARS])
    account = None if invitation.account is None else await site.store.find_account(invitation.account)
    return _welcome(request, token=token, account=account, form={}, error=None)


@ROUTER.post("/welcome/{token}")
async def welcome(request: Request, site: TheSite, token: str) -> Response:
    """Take the password that was chosen; then the second factor."""
    must_be_ours(request)
    form = await form_of(request)
    invitation = await site.door.invitation(token[:_TEXT_CHARS])
    known = None if invitation.account is None else await site.store.find_account(invitation.account)
    administrator = known is None or known.role is Role.ADMINISTRATOR

    async def act() -> Response:
        if administrator:
            # Before the link is used up: a wrong code must not leave an administrator without a second factor.
            site.door.check_totp(secret=_text(form, "secret"), code=_text(form, "code"))
        account = await site.door.accept(
            token, name=_text(form, "name"), display=_text(form, "display"), password=_text(form, "password")
        )
        if administrator:
            await site.door.set_totp(account, secret=_text(form, "secret"), code=_text(form, "code"))
        return _with_cookie(to("/"), await site.door.let_in(account, caller=caller_of(request)), site)

    def again(error: Exception) -> Response:
        return _welcome(request, token=token, account=known, form=form, error=error)

    return await attempt(act, again)


@ROUTER.post("/language")
async def choose_language(request: Request, site: TheSite) -> Response:
    """Keep the language for a year, and go back to the page."""
    must_be_ours(request)
    form = await form_of(request)
    answer = to(_own(_text(form, "next")))
    language = _text(form, "language")
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S, secure=site.https, httponly=True, samesite="lax")
    return answer


@ROUTER.get("/robots.txt")
async def robots() -> Response:
    """Nothing here is for search engines."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


def _welcome(
    request: Request, *, token: str, account: Account | None, form: dict[str, str], error: Exception | None
) -> Response:
    status = error.status if isinstance(error, ConsoleError) else 200
    administrator = account is None or account.role is Role.ADMINISTRATOR
    secret = totp.secret_or_new(_text(form, "secret"))
    name = _text(form, "name") or (account.name if account else "")
    address = totp.address(secret, name=name or "administrator", site=site_of(request).name)
    values: dict[str, Any] = {
        "token": token,
        "account": account,
        "administrator": administrator,
        "secret": secret if administrator else "",
        "picture": segno.make(address, error="m").svg_data_uri(scale=4) if administrator else "",
        "name": name,
        "display": _text(form, "display"),
    }
    return page(request, "welcome.html", status=status, error=error, **values)


def _with_cookie(answer: Response, let_in: LetIn, site: Site) -> Response:
    """A new token for whoever was let in: what a browser held before is good for nothing (session fixation)."""
    answer.set_cookie(cookie_name(site), let_in.token, secure=site.https, httponly=True, samesite="lax", path="/")
    return answer


def _text(form: dict[str, str], name: str) -> str:
    return form.get(name, "")[:_TEXT_CHARS]


def _own(path: str) -> str:
    """A path of this console, or the front page: nobody is sent elsewhere by a link."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/") or path.startswith(("//", "/\\")) or "\\" in path:
        return "/"
    return path
