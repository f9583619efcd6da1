"""A page on which somebody holds codes before the new scanner, as one would with a phone or a paper in the hand.

Of the sandbox only: the scanner is a real device process, its camera sees what is put in here. Loopback, plain HTTP.
"""

import contextlib
from html import escape
from importlib.resources import files
from typing import Final

from aiohttp import web

from deploy.sandbox.gate import SandboxGate
from deploy.sandbox.people import Person, Showing
from deploy.sandbox.site import Site
from protocol.limits import QR_TEXT_CHARS
from protocol.terms import Colour

_BODY_BYTES: Final = 16 * 1024
_PEOPLE_FROM: Final = 50_000
"""Nobody of the crowd has such a number."""
_COLOURS: Final = {Colour.GREEN: "绿码 green", Colour.YELLOW: "黄码 yellow", Colour.RED: "红码 red"}


class Stand:
    """`start` it beside a site that has a blank gate; `stop` it."""

    def __init__(self, site: Site, *, host: str, port: int) -> None:
        self._site, self._host, self._port = site, host, port
        self._gate = site.blanks[0]
        self._people = 0
        self._held = False
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self._host}:{self._port}/"

    async def start(self) -> None:
        """Opens the page. Raises OSError: the port is taken."""
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_get("/", self._page)
        app.router.add_get("/style.css", _style)
        app.router.add_post("/show", self._show)
        app.router.add_post("/take-away", self._take_away)
        app.router.add_post("/person", self._person)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Closes it."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _page(self, _request: web.Request) -> web.Response:
        joined = self._gate in self._site.joined
        body = _JOINED if joined else _HELD if self._held else _BLANK
        # There is nothing to type while it looks at a code, so the page may load itself again.
        refresh = _REFRESH if body is _HELD else ""
        text = _PAGE.format(body=body, said=escape(_said(self._gate)), refresh=refresh)
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _show(self, request: web.Request) -> web.Response:
        text = str((await request.post()).get("text", "")).strip()
        if not 0 < len(text) <= QR_TEXT_CHARS:
            raise web.HTTPBadRequest(text=f"1 to {QR_TEXT_CHARS} characters")
        try:
            await self._gate.show([text])
        except OSError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        self._held = True
        raise web.HTTPSeeOther("/")

    async def _take_away(self, _request: web.Request) -> web.Response:
        with contextlib.suppress(OSError):
            await self._gate.clear()
        self._held = False
        raise web.HTTPSeeOther("/")

    async def _person(self, request: web.Request) -> web.Response:
        wanted = str((await request.post()).get("colour", ""))
        colour = next((colour for colour in _COLOURS if colour.wire_name == wanted), None)
        if colour is None or self._gate not in self._site.joined:
            raise web.HTTPBadRequest(text="no such colour, or nobody can pass yet")
        self._people += 1
        person = Person(number=_PEOPLE_FROM + self._people, name="王伟", colour=colour, showing=Showing.LIVE)
        await self._site.crowd([person], lanes=[self._gate]).run()
        raise web.HTTPSeeOther("/")


async def _style(_request: web.Request) -> web.Response:
    text = (files("deploy.sandbox.platform") / "style.css").read_text(encoding="utf-8")
    return web.Response(text=text, content_type="text/css")


def _said(gate: SandboxGate) -> str:
    """What the scanner would say or show to whoever stands before it."""
    words = gate.last("fingerprint")
    if gate.scans:
        scan = gate.scans[-1]
        return f"{scan.colour} · {scan.verdict} · {scan.reason}"
    if gate.last("enrolled") is not None:
        return "已入网 enrolled"
    if words is not None:
        return f"等待批准 waiting for approval: {words['words']}  ({words['characters']})"
    return "蓝灯呼吸：等待入网码 pulses blue: waits for a provisioning code"


_HEADERS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'"}
_REFRESH: Final = '<meta http-equiv="refresh" content="2">'
_BLANK: Final = """<form method="post" action="/show">
<label>把控制台“添加扫码机”显示的入网码文本粘贴到这里
<span lang="en">Paste the text of the code that the console shows under “Add scanner”</span>
<textarea name="text" rows="4" required></textarea></label>
<button>举到镜头前 Hold it before the camera</button></form>"""
_HELD: Final = """<form method="post" action="/take-away">
<p>入网码正举在镜头前，请回到控制台核对四个词 The code is held up; compare the four words at the console</p>
<button>拿开 Take it away</button></form>"""
_JOINED: Final = (
    '<form method="post" action="/person"><p>让一个人出示健康码通过 Let somebody show a code:</p>'
    + "".join(f'<button name="colour" value="{colour.wire_name}">{text}</button> ' for colour, text in _COLOURS.items())
    + "</form>"
)
_PAGE: Final = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>新扫码机 A new scanner</title><link rel="stylesheet" href="/style.css">{refresh}</head><body><main>
<h1>新扫码机 <span lang="en">A new scanner, as from the box</span></h1>
<p>它的回应 It says: <strong>{said}</strong> <a href="/">刷新 refresh</a></p>
{body}</main></body></html>"""
