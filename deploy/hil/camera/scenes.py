"""What stands before the camera, and what a gate owes to it. Pictures of the product's own renderer, and of paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from deploy.sandbox.platform.wallet import CodeKind, CodeRequest, Wallet
from device.hardware.sim.phone import qr_modules
from device.hardware.sim.render import render_code
from device.hardware.sim.surroundings import Luma, add_noise, background, noise_field
from protocol.terms import Colour

SIZE_PX: Final = (640, 480)
_CARD_MODULE_PX: Final = 5
_NOISE: Final = 3.0
_JPEG_QUALITY: Final = 92


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One thing held up. `owed` is colour, verdict and reason; None where a gate must say nothing at all."""

    name: str
    picture: Luma
    owed: tuple[str, str, str] | None


def scenes(wallet: Wallet, *, green: int, red: int, now_s: int, rng: np.random.Generator) -> tuple[Scene, ...]:
    """Everything that people hold before a gate, in the order in which they do.

    Args:
        wallet: makes the codes.
        green: the number of somebody of whom the status lists say so.
        red: likewise.
        now_s: the time of the codes.
        rng: for hands, halls and noise.
    """

    def code(kind: CodeKind, person: int) -> str:
        return wallet.code(CodeRequest(person=person, colour=Colour.GREEN, kind=kind), now_s=now_s)

    live = render_code(code(CodeKind.LIVE, green), size=SIZE_PX, rng=rng)
    return (
        Scene(name="valid", picture=live, owed=("green", "admit", "ok")),
        Scene(name="blank", picture=hall(rng), owed=None),
        Scene(name="replayed", picture=live, owed=("grey", "hold", "already_used")),
        Scene(name="printed card", picture=paper(code(CodeKind.CARD, green), rng), owed=("green", "admit", "ok")),
        Scene(name="card of red", picture=paper(code(CodeKind.CARD, red), rng), owed=("red", "refuse", "colour_red")),
        Scene(
            name="printed screenshot",
            picture=paper(code(CodeKind.EXPIRED, green), rng),
            owed=("grey", "hold", "expired"),
        ),
        Scene(
            name="forged",
            picture=paper(code(CodeKind.FORGED, green), rng),
            owed=("grey", "hold", "bad_signature"),
        ),
        Scene(name="noise", picture=rng.integers(0, 256, SIZE_PX[::-1], dtype=np.uint8), owed=None),
        Scene(name="another QR code", picture=paper("WIFI:T:WPA;S:guest;P:welcome;;", rng), owed=None),
    )


def hall(rng: np.random.Generator) -> Luma:
    """Nobody before the camera."""
    return add_noise(background(size=SIZE_PX, rng=rng), noise_field(size=SIZE_PX, sigma=_NOISE, rng=rng))


def paper(text: str, rng: np.random.Generator) -> Luma:
    """A code on a sheet of paper, held a little askew."""
    modules = np.pad(qr_modules(text), 4)
    ink = Image.fromarray(np.where(modules, 40, 225).astype(np.uint8))
    side_px = ink.width * _CARD_MODULE_PX
    sheet = ink.resize((side_px, side_px), Image.Resampling.NEAREST)
    angle_deg = float(rng.uniform(-8, 8))
    mask = Image.new("L", sheet.size, 255).rotate(angle_deg, Image.Resampling.BICUBIC, expand=True)
    sheet = sheet.rotate(angle_deg, Image.Resampling.BICUBIC, expand=True)
    scene = Image.fromarray(background(size=SIZE_PX, rng=rng))
    scene.paste(sheet, ((SIZE_PX[0] - sheet.width) // 2, (SIZE_PX[1] - sheet.height) // 2), mask)
    picture = np.array(scene.filter(ImageFilter.GaussianBlur(0.7))).clip(20, 235)
    return add_noise(picture, noise_field(size=SIZE_PX, sigma=_NOISE, rng=rng))


def film(shown: Sequence[Scene], *, empty: Luma, into: Path, pictures: int, pause: int) -> None:
    """A folder of pictures as the virtual camera takes it: four frames of each, and after the last the first.

    Each scene has so many pictures, and nobody is there for `pause` pictures before and after it.
    """
    into.mkdir(parents=True)
    nobody = _write(into.parent / "nobody.jpg", empty)
    number = 0

    def add(picture: Path, times: int) -> None:
        nonlocal number
        for _ in range(times):
            (into / f"{number:04d}.jpg").hardlink_to(picture)
            number += 1

    add(nobody, pause)
    for place, scene in enumerate(shown):
        add(_write(into.parent / f"scene-{place}.jpg", scene.picture), pictures)
        add(nobody, pause)


def _write(path: Path, picture: Luma) -> Path:
    # Colour at half the size, though there is none: the camera takes no other JPEG.
    Image.fromarray(picture).convert("RGB").save(path, quality=_JPEG_QUALITY, subsampling=2)
    return path
