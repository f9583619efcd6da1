"""How long after the first frame that any engine can read the light is lit: a replay at 30 frames a second."""

import multiprocessing
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from figures import percentile
from presentations import FPS, presentation, still_hall, walking_by
from result import TARGETS, Plot, Result, Row
from rig import Rig, code_text
from stalls import LEAST_MS, Stalls

from device.hardware.sim.looks import GATE, HARD, TYPICAL, Look
from device.model import Frame
from device.scan.decoder.engines import PyzbarEngine, ZxingEngine, doubled, smoothed

FRAME_MS = 1000 / FPS
BUSY = "typical, busy hall"
LIMITS = {0.5: 1, 0.95: 2, 0.99: 3}
LOOKS: dict[str, Look] = {"as asked": GATE, "typical": TYPICAL, "hard": HARD, BUSY: TYPICAL}
PEOPLE = 30
BATCH = 10
# Nobody in view for this long between two people: a code that is gone for 0.7 s is out of view.
PAUSE_FRAMES = 26
BUSY_FRAMES = 60
BEFORE, AFTER = 12, 24


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The frames of one presentation, and which of them is the first that some engine reads: offline, from the pixels."""

    frames: list[np.ndarray]
    first: int


def prepared(number: int, *, look: Look) -> Shown | None:
    """None when no engine ever reads it. Only the frames around the first readable one are kept."""
    zxing, pyzbar = ZxingEngine(), PyzbarEngine()
    made: list[np.ndarray] = []
    first = None
    for luma in presentation(code_text(number), look=look, rng=np.random.default_rng(number)):
        made.append(luma)
        if first is None and (zxing.read_plain(luma) or zxing.read_plain(doubled(smoothed(luma))) or pyzbar.read(luma)):
            first = len(made) - 1
        if first is not None and len(made) > first + AFTER:
            break
    if first is None:
        return None
    start = max(0, first - BEFORE)
    return Shown(frames=made[start:], first=first - start)


def run(*, quick: bool) -> Result:
    people = 24 if quick else PEOPLE
    late: dict[str, list[float]] = {}
    undisturbed: dict[str, list[float]] = {}
    never: dict[str, int] = {}
    rows = []
    # The pool is there before the threads are.
    with ExitStack() as at_end:
        pool = at_end.enter_context(multiprocessing.get_context("spawn").Pool(2))
        rig = Rig(Path(at_end.enter_context(tempfile.TemporaryDirectory(dir=".", prefix=".bench-"))), at_end)
        rig.loop.start()
        at_end.callback(rig.loop.stop)
        time.sleep(3)  # The spare child starts beside the first.
        for place, (name, look) in enumerate(LOOKS.items()):
            late[name], never[name] = [], 0
            empty = (
                walking_by(BUSY_FRAMES, sigma=look.noise)
                if name == BUSY
                else still_hall(PAUSE_FRAMES, sigma=look.noise)
            )
            numbers = [10_000 * (place + 1) + n for n in range(people)]
            for begin in range(0, people, BATCH):
                batch = pool.map(partial(prepared, look=look), numbers[begin : begin + BATCH])
                never[name] += batch.count(None)
                with Stalls() as stalls:
                    waits = [replay(rig, shown, empty=empty) for shown in batch if shown is not None]
                late[name] += [1000 * (lit_s - ready_s) for ready_s, lit_s in waits]
                undisturbed.setdefault(name, []).extend(stalls.undisturbed_ms(waits))
            rows += table_of(name, late[name])
            rows += table_of(f"{name}, without what a stall of the machine fell into", undisturbed[name])
    met = all(
        percentile(values, share) <= frames * FRAME_MS
        for name, values in late.items()
        for share, frames in LIMITS.items()
    )
    return Result(
        name="scan_light",
        title="from the first readable frame to the light",
        target=TARGETS["scan_light"],
        seen="; ".join(
            f"{name} {' / '.join(f'{percentile(v, s):.0f}' for s in LIMITS)} ms" for name, v in late.items()
        ),
        met=met,
        table=rows,
        method=(
            f"{people} rendered presentations of each look at {FPS} frames a second: a phone swings in, settles, comes into focus and "
            "trembles (tests/bench/presentations.py). Counted from the moment at which the first frame was ready that zxing-cpp, its "
            "second look or pyzbar reads (found offline, each on every frame), to the moment at which the simulated light was lit. Real "
            f"are the caged child, the loop's thread, the spool with fsync. A presentation that is not answered within {AFTER} frames "
            "of its first readable one counts as that long. Those that no engine ever reads are left out."
        ),
        notes=[
            (
                f"A stall is a processor that was away for {LEAST_MS:g} ms or more, as a process of the highest priority saw that "
                "only sleeps: this machine is virtual, and its host runs it when it can."
            ),
            (
                "Why 'hard' is late: some of its codes have less contrast than the noise has spread. The scene gate takes them for "
                "noise, and looks at every fifth frame only."
            ),
            *(
                f"No engine reads a frame of {count} of {people} presentations, {name}."
                for name, count in never.items()
                if count
            ),
        ],
        series=late,
        plot=Plot(x_label="ms from the first readable frame to the light", y_label="share of people", x_max=200),
    )


def table_of(name: str, late: list[float]) -> list[Row]:
    return [
        Row(
            what=f"{name}: p{share * 100:g} of {len(late)}",
            ours=percentile(late, share),
            unit="ms",
            baseline=f"{frames} frame{'s' if frames > 1 else ''} of the camera",
            baseline_value=frames * FRAME_MS,
        )
        for share, frames in LIMITS.items()
        if late
    ]


def replay(rig: Rig, shown: Shown, *, empty: list[np.ndarray]) -> tuple[float, float]:
    """When the first readable frame was ready and when the light was lit, in s; before it the hall is empty for a while."""
    before = len(rig.lights.lit_ns)
    ready_ns = 0
    began_ns = time.monotonic_ns()
    for seq, luma in enumerate(empty + shown.frames):
        due_ns = began_ns + seq * 10**9 // FPS
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        at_ns = time.monotonic_ns()
        rig.mailbox.put(Frame(luma=luma, seq=seq, at_mono_ns=at_ns))
        if seq == len(empty) + shown.first:
            ready_ns = at_ns
    time.sleep(0.1)
    if rig.loop.failure is not None:
        raise rig.loop.failure
    lit_ns = rig.lights.lit_ns[before:]
    lit_s = lit_ns[0] / 1e9 if lit_ns else ready_ns / 1e9 + AFTER / FPS
    return ready_ns / 1e9, lit_s
