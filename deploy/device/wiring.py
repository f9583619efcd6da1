"""The wiring diagram, drawn from the firmware's own defaults: `python -m deploy.device.wiring > wiring.svg`."""

import sys
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from device.machinefile import PiHardware

HEADER: Final[dict[int, int]] = {
    2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19, 9: 21, 25: 22, 11: 23,
    8: 24, 7: 26, 0: 27, 1: 28, 5: 29, 6: 31, 12: 32, 13: 33, 19: 35, 16: 36, 26: 37, 20: 38, 21: 40,
}  # fmt: skip
"""BCM number -> place on the 40-pin header."""

POWER: Final = {1: "3V3", 2: "5V", 4: "5V", 17: "3V3"}
GROUND: Final = (6, 9, 14, 20, 25, 30, 34, 39)
SDA, SCL = 2, 3

_TOP, _PITCH, _PIN_X = 110, 30, (560, 600)
_WIRE: Final = {"5V": "#c0392b", "3V3": "#d35400", "GND": "#222222"}
_ABOUT: Final = "Raspberry Pi 3B, 4 or 5, its header seen from above, camera by ribbon. Pins: defaults of [hardware]."
_BEFORE: Final = (
    "Before the relay is connected: gatelight-device safe, then measure that IN is low. "
    "接入继电器前，先运行 gatelight-device safe 并确认 IN 为低电平。"
)
_STYLE: Final = """
text { font-family: "Noto Sans", "Noto Sans CJK SC", sans-serif; fill: #17211d; }
.title { font-size: 24px; font-weight: 700; } .part { font-size: 17px; font-weight: 700; }
.note { font-size: 13px; fill: #46534d; } .pin { font-size: 11px; } .label { font-size: 13px; }
.box { fill: #ffffff; stroke: #0c5c4c; stroke-width: 2; } .board { fill: #0c5c4c; }
.wire { fill: none; stroke-width: 3; stroke-linejoin: round; } .hole { stroke: #ffffff; stroke-width: 1; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """One clamp of a part: its name, the header pin it goes to, the wire's colour, and at which x the wire turns."""

    name: str
    pin: int
    colour: str
    lane_px: int
    signal: str = ""
    """The setting in `[hardware]` whose pin it is; empty for power, ground and the bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A box beside the header. `left` says on which side, `top_px` how far down."""

    name: str
    chinese: str
    notes: tuple[str, ...]
    left: bool
    top_px: int
    terminals: tuple[Terminal, ...]


def parts(pins: PiHardware) -> tuple[Part, ...]:
    """Everything that is wired to the header."""

    def signal(name: str, clamp: str, colour: str, lane_px: int) -> Terminal:
        bcm = getattr(pins, name)
        return Terminal(name=f"{clamp} · BCM {bcm}", pin=HEADER[bcm], colour=colour, lane_px=lane_px, signal=name)

    def power(kind: str, pin: int, lane_px: int) -> Terminal:
        return Terminal(name=kind, pin=pin, colour=_WIRE[kind], lane_px=lane_px)

    return (
        Part(
            name="Thermometer and screen",
            chinese="测温传感器、显示屏(可选)",
            notes=("MLX90614 and SSD1306, on one I2C bus;", "at most 50 cm of cable"),
            left=True,
            top_px=110,
            terminals=(
                power("3V3", 1, 500),
                Terminal(name=f"SDA · BCM {SDA}", pin=HEADER[SDA], colour="#2471a3", lane_px=480),
                Terminal(name=f"SCL · BCM {SCL}", pin=HEADER[SCL], colour="#7d3c98", lane_px=460),
                power("GND", 9, 440),
            ),
        ),
        Part(
            name="Lamp, red green blue",
            chinese="三色指示灯",
            notes=("12 or 24 V: one logic-level MOSFET a colour,", "100 Ω to its gate, 10 kΩ from gate to ground"),
            left=True,
            top_px=370,
            terminals=(
                power("GND", 25, 500),
                signal("red", "red", "#e74c3c", 480),
                signal("green", "green", "#27ae60", 460),
                signal("blue", "blue", "#2980b9", 440),
            ),
        ),
        Part(
            name="Relay board → gate",
            chinese="继电器 → 闸机",
            notes=("input for 3.3 V, active high;", "NO contact to the gate's \u201copen\u201d input"),
            left=True,
            top_px=600,
            terminals=(
                signal("relay", "IN", "#b9770e", 500),
                power("GND", 39, 480),
            ),
        ),
        Part(
            name="Power 5 V 3 A, relay's supply",
            chinese="5 V 电源、继电器供电",
            notes=("into the Pi by USB-C; the relay's VCC", "from the header, 100 mA at most"),
            left=False,
            top_px=110,
            terminals=(power("5V", 2, 660), power("GND", 6, 680)),
        ),
        Part(
            name="Buzzer, piezo, passive",
            chinese="无源蜂鸣器",
            notes=("NPN transistor (BC337), 1 kΩ to its base,", "100 Ω across the piezo"),
            left=False,
            top_px=400,
            terminals=(power("GND", 30, 680), signal("buzzer", "tone", "#16a085", 660)),
        ),
        Part(
            name="Attendant's button",
            chinese="值守按钮",
            notes=("closes to ground; pulled up inside the Pi",),
            left=False,
            top_px=600,
            terminals=(power("GND", 34, 680), signal("button", "button", "#884ea0", 660)),
        ),
    )


def svg(pins: PiHardware) -> str:
    """The whole drawing."""
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1160 800" role="img" aria-labelledby="title">',
        f"<style>{_STYLE}</style>",
        '<rect width="1160" height="800" fill="#f4f7f5"/>',
        '<text id="title" class="title" x="40" y="50">Gatelight: wiring of a gate · 闸机接线图</text>',
        f'<text class="note" x="40" y="76">{_ABOUT}</text>',
        *_header(),
    ]
    for part in parts(pins):
        lines += _part(part)
    lines += [
        f'<text class="note" x="40" y="770">{_BEFORE}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _header() -> list[str]:
    height = 20 * _PITCH
    x = _PIN_X[0] - 20
    lines = [f'<rect class="board" x="{x}" y="{_TOP - 18}" width="80" height="{height + 6}" rx="8"/>']
    for pin in range(1, 41):
        kind = POWER.get(pin) or ("GND" if pin in GROUND else "")
        fill = _WIRE.get(kind, "#f1c40f")
        cx, cy = _place(pin)
        lines.append(f'<circle class="hole" cx="{cx}" cy="{cy}" r="8" fill="{fill}" data-pin="{pin}"/>')
        colour = "#ffffff" if kind else "#17211d"
        lines.append(f'<text class="pin" x="{cx}" y="{cy + 4}" text-anchor="middle" style="fill:{colour}">{pin}</text>')
    return lines


def _place(pin: int) -> tuple[int, int]:
    return _PIN_X[(pin - 1) % 2], _TOP + (pin - 1) // 2 * _PITCH


def _part(part: Part) -> list[str]:
    x = 40 if part.left else 760
    height = 98 + 26 * len(part.terminals)
    lines = [
        f'<rect class="box" x="{x}" y="{part.top_px}" width="360" height="{height}" rx="10"/>',
        f'<text class="part" x="{x + 16}" y="{part.top_px + 26}">{escape(part.name)}</text>',
        f'<text class="label" x="{x + 16}" y="{part.top_px + 46}">{escape(part.chinese)}</text>',
    ]
    for number, note in enumerate(part.notes):
        lines.append(f'<text class="note" x="{x + 16}" y="{part.top_px + 64 + 16 * number}">{escape(note)}</text>')
    for number, terminal in enumerate(part.terminals):
        y = part.top_px + 106 + 26 * number
        edge = x + 360 if part.left else x
        inside, anchor = (edge - 14, "end") if part.left else (edge + 14, "start")
        pin_x, pin_y = _place(terminal.pin)
        path = f"M {edge} {y} H {terminal.lane_px} V {pin_y} H {pin_x + (-9 if part.left else 9)}"
        named = f' data-signal="{terminal.signal}" data-pin="{terminal.pin}"' if terminal.signal else ""
        lines += [
            f'<path class="wire" stroke="{terminal.colour}" d="{path}"{named}/>',
            f'<circle cx="{edge}" cy="{y}" r="5" fill="{terminal.colour}"/>',
            f'<text class="label" x="{inside}" y="{y + 4}" text-anchor="{anchor}">{escape(terminal.name)}</text>',
        ]
    return lines


if __name__ == "__main__":
    sys.stdout.write(svg(PiHardware()))
