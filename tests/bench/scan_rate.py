"""Which share of people is read while the code is held up, beside plain pyzbar and plain zxing-cpp on the same frames.

Photographs: a folder of sets in QR_PHOTOS (docs/decode-rates.md says where they come from), else the sample in tests/data.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from decode_rate import SAMPLE, photographs, plain, readings
from presentations import FPS, FRAMES, HELD_S, presentation
from result import TARGETS, Plot, Result, Row
from rig import code_text

from device.hardware.sim.looks import GATE, HARD, TYPICAL, Look
from device.scan.decoder.engines import PyzbarEngine, ZxingEngine
from device.scan.decoder.scene import SceneGate
from device.scan.decoder.wire import Effort

LOOKS: dict[str, Look] = {"rendered, as asked": GATE, "rendered, typical": TYPICAL, "rendered, hard": HARD}
PEOPLE = 120
# A Pi 4 is taken to be so many times slower a core.
PI = 5.0
NAMES = ("ours", "pyzbar", "zxing-cpp")

Read = Callable[[np.ndarray], set[str]]


@dataclass(frozen=True, kw_only=True)
class Set:
    name: str
    size: int
    read: dict[str, int]
    read_pi: dict[str, int]


def gate_engine() -> Read:
    """What a gate does with a frame: scene gate and engine, without the way to the child."""
    scene, engine = SceneGate(), ZxingEngine()

    def read(luma: np.ndarray) -> set[str]:
        effort = scene.effort(luma)
        if effort is None:
            return set()
        seen = engine.watch(luma, closer=effort is Effort.CLOSER)
        scene.saw(code_like=seen.code_like)
        return meant(seen.texts)

    return read


def engines() -> dict[str, Read]:
    pyzbar, zxing = PyzbarEngine(), ZxingEngine()
    return {
        "ours": gate_engine(),
        "pyzbar": lambda luma: meant(pyzbar.read(luma)),
        "zxing-cpp": lambda luma: meant(zxing.read_plain(luma)),
    }


def meant(texts: list[bytes]) -> set[str]:
    return set[str]().union(*map(readings, texts))


def first_read_s(frames: list[np.ndarray], texts: set[str], read: Read, *, slower: float) -> float | None:
    """When it is read, in s from the first frame, on a machine so many times slower; None: not while it is held up.

    Only the newest frame is looked at, as at a gate; what came while the one before was looked at is gone.
    """
    now_s = 0.0
    last = -1
    while now_s < HELD_S:
        newest = min(int(now_s * FPS), FRAMES - 1)
        if newest == last:
            now_s = (last + 1) / FPS
            continue
        last = newest
        began_s = time.process_time()
        found = read(frames[newest])
        now_s += (time.process_time() - began_s) * slower
        if found & texts:
            return now_s if now_s <= HELD_S else None
    return None


def shown(frames: list[np.ndarray], texts: set[str], *, slow_too: bool) -> dict[str, tuple[bool, bool]]:
    """By engine: read here, and read on a machine that is PI times slower."""
    found = {}
    for name in NAMES:
        first = first_read_s(frames, texts, engines()[name], slower=1.0)
        # What is missed with all the time there is, is missed with less of it.
        slow = None if first is None or not slow_too else first_read_s(frames, texts, engines()[name], slower=PI)
        found[name] = (first is not None, slow is not None)
    return found


def rendered(number: int, *, look: Look) -> dict[str, tuple[bool, bool]]:
    text = code_text(number)
    frames = list(presentation(text, look=look, rng=np.random.default_rng(number)))
    return shown(frames, {plain(text)}, slow_too=True)


def photographed(picture: tuple[np.ndarray, frozenset[str]]) -> dict[str, tuple[bool, bool]]:
    luma, texts = picture
    return shown([luma] * FRAMES, set(texts), slow_too=False)


def counted(name: str, found: list[dict[str, tuple[bool, bool]]]) -> Set:
    return Set(
        name=name,
        size=len(found),
        read={engine: sum(each[engine][0] for each in found) for engine in NAMES},
        read_pi={engine: sum(each[engine][1] for each in found) for engine in NAMES},
    )


def run(*, quick: bool) -> Result:
    people = 12 if quick else PEOPLE
    root = Path(os.environ.get("QR_PHOTOS", SAMPLE))
    sets = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for place, (name, look) in enumerate(LOOKS.items()):
            numbers = [100_000 * (place + 1) + n for n in range(people)]
            sets.append(counted(name, pool.map(partial(rendered, look=look), numbers)))
        taken = {folder.name: pool.map(photographed, with_text(folder)) for folder in folders(root)}
    if root == SAMPLE:
        # One to ten pictures of each set: only together are they enough to compare.
        taken = {"photographs, a sample": [found for each in taken.values() for found in each]}
    sets += [counted(name, found) for name, found in taken.items()]
    return result_of(sets, sample=root == SAMPLE)


def folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and "falsepositives" not in path.name)


def with_text(folder: Path) -> list[tuple[np.ndarray, frozenset[str]]]:
    return [(picture.luma, picture.texts) for picture in photographs(folder) if picture.texts]


def better(found: Set, other: str) -> bool:
    """Better, or both read everything."""
    return found.read["ours"] > found.read[other] or found.read["ours"] == found.size


def result_of(sets: list[Set], *, sample: bool) -> Result:
    behind = [each.name for each in sets if not all(better(each, other) for other in NAMES[1:])]
    worse = [each.name for each in sets if any(each.read["ours"] < each.read[other] for other in NAMES[1:])]
    full = [each.name for each in sets if any(each.read[other] == each.size for other in NAMES[1:])]
    rows = [
        Row(
            what=f"{each.name} ({each.size})",
            ours=100 * each.read["ours"] / each.size,
            unit="%",
            baseline=other,
            baseline_value=100 * each.read[other] / each.size,
        )
        for each in sets
        for other in ("zxing-cpp", "pyzbar")
    ]
    rows += [
        Row(
            what=f"{each.name}, CPU {PI:g} × slower",
            ours=100 * each.read_pi["ours"] / each.size,
            unit="%",
            baseline=other,
            baseline_value=100 * each.read_pi[other] / each.size,
        )
        for each in sets[: len(LOOKS)]
        for other in ("zxing-cpp", "pyzbar")
    ]
    notes = []
    if full:
        notes.append(f"One of the plain libraries reads everything in {', '.join(full)}: equal is the best there is.")
    if behind:
        notes.append(f"Not better on {', '.join(behind)}.")
    notes.append(
        "Photographs: the sample in tests/data/qr-photos, a few of each set, which count as one set."
        if sample
        else "Photographs: the whole sets, which docs/decode-rates.md names, by `QR_PHOTOS=FOLDER`; a fresh clone has a sample."
    )
    return Result(
        name="scan_rate",
        title="people read while the code is held up",
        target=TARGETS["scan_rate"],
        seen=f"better on {len(sets) - len(behind)} of {len(sets)} sets, worse on {len(worse) or 'none'}",
        met=not behind,
        table=rows,
        method=(
            f"Presentations of {HELD_S} s at {FPS} frames a second; an engine is given the newest frame whenever it is done with the one "
            "before, by its own CPU time. Rendered: a phone swings in, settles, comes into focus and trembles. A photograph is shown "
            "unchanged for the whole time; only those with a known text count. Ours is scene gate and engine as in a gate. The plain "
            "libraries look at every frame with their defaults on, at QR codes only."
        ),
        notes=notes,
        series={name: [100 * each.read[name] / each.size for each in sets] for name in NAMES},
        plot=Plot(kind="bars", y_label="% read", labels=tuple(each.name.removeprefix("rendered, ") for each in sets)),
    )
