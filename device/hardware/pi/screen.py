"""A small OLED on the I2C bus: 128 x 64 points, SSD1306 or SH1106, by luma.oled. Chinese above, English below."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from device.hardware.ports import HardwareError, Prompt
from device.hardware.prompting import PromptPlayer

FONT: Final = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
"""Of Debian's fonts-noto-cjk."""

WIDTH_PX, HEIGHT_PX = 128, 64
HALF_PX: Final = HEIGHT_PX // 2
ZH_PX: Final = (24, 20, 16, 14, 12, 10)
EN_PX: Final = (14, 12, 10, 9, 8)
"""The largest that fits is taken. What does not fit at the last is cut: nobody would read smaller letters."""


class OledScreen:
    """`Prompter` on an OLED.

    Raises:
        HardwareError: luma.oled is not installed, the font is missing, or nothing answers on the bus.
    """

    def __init__(
        self,
        *,
        chip: Literal["ssd1306", "sh1106"],
        bus: int,
        address: int,
        font: Path = FONT,
        opened: Any = None,
    ) -> None:
        try:
            from luma.core.error import DeviceNotFoundError
            from luma.core.interface.serial import i2c
            from luma.oled import device
        except ImportError as error:
            raise HardwareError("luma.oled is not installed") from error
        if not font.is_file():
            raise HardwareError(f"{font}: no such font")
        try:
            serial = i2c(bus=opened, port=bus, address=address)
            self._device: Any = getattr(device, chip)(serial, width=WIDTH_PX, height=HEIGHT_PX)
        except (DeviceNotFoundError, OSError) as error:
            raise HardwareError(f"no screen answers at {address:#04x} of I2C bus {bus}: {error}") from error
        self._font = font
        self._player = PromptPlayer(name="screen", show=self._draw)

    def tell(self, prompt: Prompt, *, total_ms: int, quiet: bool) -> None:  # noqa: ARG002 - a screen makes no noise
        """As `Prompter.tell`."""
        self._player.tell(prompt, total_ms=total_ms)

    def shutdown(self) -> None:
        """As `Prompter.shutdown`."""
        self._player.shutdown()

    def _draw(self, prompt: Prompt | None) -> None:
        from luma.core.error import DeviceNotFoundError

        try:
            self._device.display(picture(prompt, font=self._font))
        except DeviceNotFoundError as error:
            raise OSError(f"the screen does not answer: {error}") from error


def picture(prompt: Prompt | None, *, font: Path = FONT) -> Any:
    """A prompt as a picture of 128 x 64 points: Chinese in the upper half, English below."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("1", (WIDTH_PX, HEIGHT_PX))
    if prompt is None:
        return image
    draw = ImageDraw.Draw(image)
    for text, sizes_px, top_px in ((prompt.zh, ZH_PX, 0), (prompt.en, EN_PX, HALF_PX)):
        size_px, lines = layout(text, sizes_px, font=font)
        face = ImageFont.truetype(str(font), size_px)
        shown = lines[: HALF_PX // size_px]
        first_px = top_px + (HALF_PX - len(shown) * size_px + size_px) / 2
        for number, line in enumerate(shown):
            # By its middle: the font's own line is half as high again as its letters.
            draw.text((WIDTH_PX // 2, first_px + number * size_px), line, font=face, fill=1, anchor="mm")
    return image


def layout(text: str, sizes_px: tuple[int, ...], *, font: Path = FONT) -> tuple[int, list[str]]:
    """The largest size, in points, at which a text fits half of the screen, and its lines; else the smallest."""
    from PIL import ImageFont

    for size_px in sizes_px:
        lines = _lines(text, width_of=ImageFont.truetype(str(font), size_px).getlength)
        if len(lines) * size_px <= HALF_PX:
            break
    return size_px, lines


def _lines(text: str, *, width_of: Callable[[str], float]) -> list[str]:
    """Broken between words, and between any two Chinese characters, where a line is full."""
    pieces, between = (text.split(" "), " ") if text.isascii() else (list(text), "")
    lines = pieces[:1]
    for piece in pieces[1:]:
        longer = f"{lines[-1]}{between}{piece}"
        if width_of(longer) <= WIDTH_PX:
            lines[-1] = longer
        else:
            lines.append(piece)
    return lines
