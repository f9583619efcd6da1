"""Place code -> poster. Runs in a thread, one at a time; what was drawn last is kept.

What is printed is given to typst as data in JSON and never as markup, so that no name can be a program.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final

import segno
import typst

CJK: Final = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Zen Hei")
"""Fonts with Chinese letters, the best first. Debian's `fonts-noto-cjk` has the first."""
PNG_PPI: Final = 200
"""Sharp at arm's length; a symbol's square is more than ten of these dots wide."""
_KEPT: Final = 16
_ERROR_LEVEL: Final = "q"
"""A quarter of the symbol may be torn or dirty."""
_STEPS: Final = (
    ("1", "用手机健康码的“扫一扫”扫描上方场所码", "Open your health code app and scan the code above"),
    ("2", "查看手机上显示的颜色与场所名称", "See the colour and the place's name on your phone"),
    ("3", "绿色方可进入，请向工作人员出示", "Green: show it to the staff and go in"),
    ("4", "没有手机？请到工作人员处登记", "No phone? The staff will register you"),
)


class Paper(StrEnum):
    """Sizes of ISO 216."""

    A4 = "a4"
    A3 = "a3"


class Format(StrEnum):
    """What is made."""

    PDF = "pdf"
    PNG = "png"


class NoFontError(Exception):
    """There is no font with Chinese letters on this machine: the poster would be full of empty boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    """What stands on it. `issued` is a date as people read it."""

    place: str
    name: str
    code: str
    serial: int
    issued: str
    site: str


class Drawing:
    """Draws posters.

    Args:
        fonts: those of this machine, looked for when the first poster is drawn.
    """

    def __init__(self, *, fonts: Callable[[], typst.Fonts] = typst.Fonts) -> None:
        self._find_fonts = fonts
        self._fonts: typst.Fonts | None = None
        self._one_at_a_time = asyncio.Lock()
        self._kept: OrderedDict[tuple[Poster, Paper, Format], bytes] = OrderedDict()

    async def draw(self, poster: Poster, *, paper: Paper, form: Format) -> bytes:
        """The file.

        Raises:
            NoFontError: there is no font for it.
        """
        wanted = (poster, paper, form)
        async with self._one_at_a_time:
            if wanted not in self._kept:
                self._kept[wanted] = await asyncio.to_thread(self._draw, poster, paper, form)
            self._kept.move_to_end(wanted)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[wanted]

    def _draw(self, poster: Poster, paper: Paper, form: Format) -> bytes:
        if self._fonts is None:
            self._fonts = self._find_fonts()
        families = set(self._fonts.families())
        chinese = [name for name in CJK if name in families]
        if not chinese:
            raise NoFontError("no font with Chinese letters")
        data: dict[str, Any] = {
            "paper": paper,
            "fonts": chinese[:1],
            "title": f"{poster.name} {poster.place}",
            "name": poster.name,
            "place": poster.place,
            "serial": str(poster.serial),
            "issued": poster.issued,
            "site": poster.site,
            "steps": _STEPS,
            "qr": _symbol(poster.code),
        }
        made = typst.compile(
            (files("hub.console") / "poster" / "poster.typ").read_bytes(),
            format=form.value,
            ppi=PNG_PPI,
            sys_inputs={"data": json.dumps(data)},
            font_paths=self._fonts,
        )
        if not isinstance(made, bytes):
            raise TypeError("typst made more than one page")
        return made


def _symbol(code: str) -> str:
    """The QR as SVG with the quiet zone that its standard asks for (ISO/IEC 18004 §6.3.8)."""
    return str(segno.make(code, error=_ERROR_LEVEL, boost_error=False).svg_inline(border=4, light="white"))
