"""The real luma.oled on a FAKE I2C bus that keeps the picture as an SSD1306 would: 8 pages of 128 columns."""

import errno
import time

import pytest
from PIL import Image, ImageChops, ImageFont

from device.hardware.pi.screen import EN_PX, FONT, HALF_PX, HEIGHT_PX, WIDTH_PX, ZH_PX, OledScreen, layout, picture
from device.hardware.ports import HardwareError, Prompt
from device.hardware.spoken import SPOKEN
from protocol.reasons import SENTENCES

ADDRESS = 0x3C
ADMIT = Prompt(name="admit", zh="请通行。", en="Please pass.")

pytestmark = pytest.mark.skipif(not FONT.is_file(), reason=f"NO CHINESE FONT: {FONT}, of fonts-noto-cjk")


class Bus:
    """What crosses the wire: 0x00 begins commands, 0x40 points of the picture, a byte for eight rows of a column."""

    def __init__(self):
        self.points = bytearray()
        self.pictures = []
        self.there = True

    def write_i2c_block_data(self, address, mode, values):
        if not self.there or address != ADDRESS:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        if mode == 0x40:
            self.data(values)

    def i2c_rdwr(self, *messages):
        if not self.there:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        for message in messages:
            first, *values = list(message)
            if first == 0x40:
                self.data(values)

    def data(self, values):
        self.points += bytes(values)
        if len(self.points) >= WIDTH_PX * HEIGHT_PX // 8:
            self.pictures.append(self.as_picture())
            self.points.clear()

    def as_picture(self):
        image = Image.new("1", (WIDTH_PX, HEIGHT_PX))
        for at, byte in enumerate(self.points):
            page, column = divmod(at, WIDTH_PX)
            for row in range(8):
                image.putpixel((column, page * 8 + row), byte >> row & 1)
        return image


def until(condition):
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def bus():
    return Bus()


@pytest.fixture
def screen(bus):
    screen = OledScreen(chip="ssd1306", bus=1, address=ADDRESS, opened=bus)
    yield screen
    screen.shutdown()


def same(one, other):
    return ImageChops.logical_xor(one, other).getbbox() is None


def test_what_is_told_stands_on_the_glass(bus, screen):
    screen.tell(ADMIT, total_ms=60_000, quiet=True)
    assert until(lambda: bus.pictures and same(bus.pictures[-1], picture(ADMIT)))
    assert picture(ADMIT).getbbox() is not None


def test_it_goes_dark_when_the_time_is_over(bus, screen):
    screen.tell(ADMIT, total_ms=30, quiet=False)
    assert until(lambda: len(bus.pictures) > 1 and bus.pictures[-1].getbbox() is None)


def test_a_screen_that_is_unplugged_ends_nothing_and_comes_back(bus, screen, caplog):
    bus.there = False
    screen.tell(ADMIT, total_ms=60_000, quiet=False)
    assert until(lambda: "the screen does not answer" in caplog.text)
    bus.there = True
    bus.points.clear()
    screen.tell(ADMIT, total_ms=60_000, quiet=False)
    assert until(lambda: bus.pictures and same(bus.pictures[-1], picture(ADMIT)))


def test_no_screen_and_no_font_are_said_by_name(bus, tmp_path):
    bus.there = False
    with pytest.raises(HardwareError, match="no screen answers at 0x3c of I2C bus 1"):
        OledScreen(chip="ssd1306", bus=1, address=ADDRESS, opened=bus)
    with pytest.raises(HardwareError, match="no such font"):
        OledScreen(chip="ssd1306", bus=1, address=ADDRESS, opened=bus, font=tmp_path / "none.ttc")


@pytest.mark.parametrize(("zh", "en"), [*SENTENCES.values(), *SPOKEN.values()])
def test_every_sentence_fits(zh, en):
    for text, sizes_px in ((zh, ZH_PX), (en, EN_PX)):
        size_px, lines = layout(text, sizes_px)
        face = ImageFont.truetype(str(FONT), size_px)
        assert len(lines) * size_px <= HALF_PX
        assert max(map(face.getlength, lines)) <= WIDTH_PX
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
