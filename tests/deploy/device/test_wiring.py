"""The drawing, the program and the field guide say the same."""

import math
import re
from xml.etree import ElementTree as ET

import pytest

from deploy.device.wiring import GROUND, HEADER, POWER, svg
from device.machinefile import PiHardware

SIGNALS = ("relay", "red", "green", "blue", "buzzer", "button")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawing(shipped):
    return ET.fromstring((shipped / "wiring.svg").read_text(encoding="utf-8"))  # noqa: S314 - our own file


def test_the_drawing_is_that_of_the_defaults(shipped):
    assert (shipped / "wiring.svg").read_text(encoding="utf-8") == svg(PiHardware()), "python -m deploy.device.wiring"


def test_each_signal_goes_to_the_pin_that_the_program_switches(drawing):
    wires = {
        wire.get("data-signal"): int(wire.get("data-pin"))
        for wire in drawing.iter(f"{SVG}path")
        if wire.get("data-signal")
    }
    assert {name: wires[name] for name in SIGNALS} == {name: HEADER[getattr(PiHardware(), name)] for name in SIGNALS}
    labels = " ".join("".join(text.itertext()) for text in drawing.iter(f"{SVG}text"))
    for name in SIGNALS:
        assert f"BCM {getattr(PiHardware(), name)}" in labels, name


def test_another_wiring_is_another_drawing():
    assert svg(PiHardware(relay=16)) != svg(PiHardware())


def test_the_header_is_a_pis():
    """Forty places, each of them one thing. The numbers are those of Raspberry Pi's own header diagram."""
    assert sorted([*HEADER.values(), *POWER, *GROUND]) == list(range(1, 41))
    assert set(HEADER) == set(range(28))
    known = {2: 3, 3: 5, 4: 7, 14: 8, 17: 11, 18: 12, 10: 19, 9: 21, 0: 27, 1: 28, 5: 29, 12: 32, 26: 37, 21: 40}
    assert {bcm: HEADER[bcm] for bcm in known} == known


def reach_mm(*, width_px, view_deg, module_mm, module_px=3):
    """How far away a module still has so many pixels."""
    return width_px * module_mm / (2 * math.tan(math.radians(view_deg / 2)) * module_px)


@pytest.mark.parametrize("name", ["guide.md", "guide.zh.md"])
def test_the_guides_figures_follow_from_what_they_are_said_to_follow_from(shipped, name):
    text = (shipped / name).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) × \d+.*?\| ([\d.]+) cm \| ([\d.]+) cm \|$", text, flags=re.MULTILINE)
    views = {640: 62.2, 1280: 66.0}
    assert {int(width) for width, *_ in rows} == set(views)
    phone_mm, card_mm = 50 / 45, 25 / 53
    for width, phone_cm, card_cm in rows:
        for module_mm, cm in ((phone_mm, phone_cm), (card_mm, card_cm)):
            mm = reach_mm(width_px=int(width), view_deg=views[int(width)], module_mm=module_mm)
            assert mm / 10 == pytest.approx(float(cm), abs=0.15)


@pytest.mark.parametrize("name", ["guide.md", "guide.zh.md"])
def test_how_deep_it_is_sharp_follows_from_the_lens(shipped, name):
    """A point out of focus is blurred over aperture x |distance - focus| / focus at its own distance."""
    text = (shipped / name).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\d.]+)`.*?\| ([\d.]+)–([\d.]+) cm \| ([\d.]+)–([\d.]+) cm \|$", text, flags=re.MULTILINE)
    assert len(rows) == 3
    aperture_mm = 4.74 / 1.8
    for dioptre, *depths in rows:
        focus_mm = 1000 / float(dioptre)
        for module_mm, (near, far) in zip((50 / 45, 25 / 53), (depths[:2], depths[2:]), strict=True):
            reach = reach_mm(width_px=1280, view_deg=66.0, module_mm=module_mm)
            off_mm = 0.6 * module_mm * focus_mm / aperture_mm
            assert float(near) * 10 == pytest.approx(focus_mm - off_mm, abs=1.5)
            assert float(far) * 10 == pytest.approx(min(reach, focus_mm + off_mm), abs=1.5)
