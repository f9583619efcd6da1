"""Posters: the code on them is read as a camera reads it; sizes, hostile names, missing fonts, who may have one."""

import asyncio
import io
import re

import numpy as np
import pytest
import typst
import zxingcpp
from PIL import Image

from hub.console.poster.draw import Drawing, Format, NoFontError, Paper, Poster
from hub.model import Role
from protocol.placecode import PlaceCode, seal_place_code
from protocol.vectors.make_places import CODE
from protocol.vectors.raw import signer

from .standin import GREEN, platform_behind

TEXT = seal_place_code(CODE, key=signer("platform"))
POSTER = Poster(
    place="mall", name="江北万象城", code=TEXT, serial=1, issued="2026-11-23", site="Gatelight 示范站"
)  # fmt: skip
POINTS = {Paper.A4: (595.28, 841.89), Paper.A3: (841.89, 1190.55)}
HOSTILE = {
    "markup": '#import "x": * ; #read("/etc/passwd") *b* _i_ $x$ @a <l> `r` // c',
    "braces": "{{ name }} %s {0} \\u{41} \\",
    "json": '"}], "qr": "<svg/>", "x": {"',
    "long": "W" * 64,
    "wide": "国" * 64,
    "emoji": "😀👨‍👩‍👧🏳️‍🌈" * 5,
    "right-to-left": "مرحبا بالعالم קניון",
    "turned": "\u202egnp.\u202d\u2066x",
    "combining": "Z\u0351\u036b\u0343" * 20,
    "lines": "a\nb\r\n\tc",
    "html": "<script>alert(1)</script>",
    "nothing": "",
}


@pytest.fixture(scope="module")
def drawing():
    return Drawing()


def read(png):
    image = Image.open(io.BytesIO(png)).convert("L")
    return image, [found.text for found in zxingcpp.read_barcodes(np.asarray(image))]


@pytest.mark.parametrize("paper", Paper)
async def test_a_camera_reads_the_code_on_it(drawing, paper):
    image, found = read(await drawing.draw(POSTER, paper=paper, form=Format.PNG))
    assert found == [TEXT]
    assert image.width / image.height == pytest.approx(2**-0.5, abs=0.002)
    # As from two metres away.
    small = image.resize((image.width // 4, image.height // 4))
    assert [each.text for each in zxingcpp.read_barcodes(np.asarray(small))] == [TEXT]


async def test_it_is_read_when_a_part_is_torn_off(drawing):
    image, _ = read(await drawing.draw(POSTER, paper=Paper.A4, form=Format.PNG))
    pixels = np.asarray(image).copy()
    middle, across = int(image.height * 0.45), image.width // 2
    pixels[middle - 70 : middle + 70, across - 70 : across + 70] = 255
    assert [each.text for each in zxingcpp.read_barcodes(pixels)] == [TEXT]


async def test_it_is_black_on_white(drawing):
    png = await drawing.draw(POSTER, paper=Paper.A4, form=Format.PNG)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() <= 2


@pytest.mark.parametrize("paper", Paper)
async def test_a_pdf_is_one_page_of_its_size(drawing, paper):
    pdf = await drawing.draw(POSTER, paper=paper, form=Format.PDF)
    assert pdf.startswith(b"%PDF-")
    boxes = re.findall(rb"/MediaBox\s*\[\s*([\d. ]+)\]", pdf)
    assert len(boxes) == 1
    assert [float(side) for side in boxes[0].split()][2:] == pytest.approx(POINTS[paper], abs=0.5)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
async def test_no_name_breaks_it_or_is_more_than_a_name(drawing, name):
    poster = Poster(place="mall", name=name, code=TEXT, serial=1, issued="2026-11-23", site=name)
    _, found = read(await drawing.draw(poster, paper=Paper.A4, form=Format.PNG))
    assert found == [TEXT]
    pdf = await drawing.draw(poster, paper=Paper.A4, form=Format.PDF)
    assert len(re.findall(rb"/MediaBox", pdf)) == 1


async def test_the_longest_code_is_read_too(drawing):
    longest = PlaceCode(place="p" * 32, name="😀" * 64, serial=2**63 - 1, issued_s=CODE.issued_s)
    text = seal_place_code(longest, key=signer("platform"))
    poster = Poster(place=longest.place, name=longest.name, code=text, serial=longest.serial, issued="", site="")
    _, found = read(await drawing.draw(poster, paper=Paper.A4, form=Format.PNG))
    assert found == [text]


async def test_without_a_chinese_font_there_is_none():
    drawing = Drawing(fonts=lambda: typst.Fonts(include_system_fonts=False))
    with pytest.raises(NoFontError):
        await drawing.draw(POSTER, paper=Paper.A4, form=Format.PDF)


async def test_the_same_is_drawn_once_and_not_all_is_kept(monkeypatch):
    drawn = []
    drawing = Drawing()

    def draw(poster, paper, form):
        drawn.append(poster.serial)
        return b"x"

    monkeypatch.setattr(drawing, "_draw", draw)

    def of(serial):
        return Poster(place="mall", name="", code="", serial=serial, issued="", site="")

    await asyncio.gather(*(drawing.draw(of(1), paper=Paper.A4, form=Format.PDF) for _ in range(5)))
    assert drawn == [1]
    for serial in range(2, 40):
        await drawing.draw(of(serial), paper=Paper.A4, form=Format.PDF)
    assert len(drawing._kept) == 16


async def test_it_is_downloaded_and_written_down(console, tmp_path):
    console.be_patient()
    async with platform_behind(console, tmp_path):
        browser = await console.signed_in(Role.RESPONSIBLE)
        assert (await browser.get("/api/v1/places/mall/poster")).status_code == 404
        await browser.post("/place-applications/new", data=GREEN | {"place": "mall"})
    answer = await browser.get("/places/mall/poster?paper=a3&format=png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == 'attachment; filename="mall-1-a3.png"'
    (code,) = await console.store.place_codes("mall")
    assert read(answer.content)[1] == [code.code]
    assert (await browser.get("/api/v1/places/mall/poster")).content.startswith(b"%PDF")
    assert (await browser.get("/api/v1/places/mall/poster?paper=a5")).status_code == 422
    assert "place.poster" in {entry.action for entry in await console.store.audit_log(limit=9)}
