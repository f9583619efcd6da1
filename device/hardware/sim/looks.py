"""How phones are held up to a gate: ranges from which the renderer draws. Rendered stand-ins, not photographs."""

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Ranges for one picture: module size in frame px, angles in degrees, shares 0 to 1, blur and motion in px."""

    module_px: Range
    roll_deg: Range
    tilt_deg: Range
    white: Range
    contrast: Range
    blur_px: Range
    motion_px: Range
    noise: float
    oversampling: int = 2
    """The projection is averaged down from this many times the frame's size, as a sensor's pixels average light."""
    glare_share: float = 0.0
    glare_strength: Range = (0.0, 0.0)
    dark_mode_share: float = 0.0
    inverted_share: float = 0.0


GATE = Look(
    module_px=(3.6, 5.5), roll_deg=(-12, 12), tilt_deg=(-14, 14), white=(185, 235), contrast=(0.75, 0.95),
    blur_px=(0.3, 0.6), motion_px=(0.0, 1.0), noise=3.0,
    oversampling=1,
)  # fmt: skip
"""A person at the gate who holds a phone as asked. Large modules do without oversampling: four times as fast."""

TYPICAL = Look(
    module_px=(2.6, 5.0), roll_deg=(-30, 30), tilt_deg=(-25, 25), white=(150, 235), contrast=(0.55, 0.95),
    blur_px=(0.4, 1.0), motion_px=(0.0, 3.0), noise=5.0,
    glare_share=0.3, glare_strength=(30, 120), dark_mode_share=0.3,
)  # fmt: skip
"""A day at the gate: hurried hands, some glare, some phones in dark mode."""

HARD = Look(
    module_px=(2.3, 4.5), roll_deg=(-45, 45), tilt_deg=(-38, 38), white=(110, 235), contrast=(0.35, 0.9),
    blur_px=(0.6, 1.3), motion_px=(0.3, 3.6), noise=7.0,
    glare_share=0.5, glare_strength=(60, 200), dark_mode_share=0.5, inverted_share=0.08,
)  # fmt: skip
"""At and beyond the limits of optics: shows how an engine fails, not whether."""
