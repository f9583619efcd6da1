"""People a minute at one gate: one code after the other, as fast as the gate answers."""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from figures import percentile
from presentations import FPS, still_hall
from result import Plot, Result, Row
from rig import Rig, code_text, frames

from device.hardware.sim.looks import GATE
from device.model import Frame
from device.scan.sight import TOGETHER_MS

PEOPLE = 200
# Two codes within TOGETHER_MS of each other are several: so long nobody's is in view.
GAP_FRAMES = TOGETHER_MS * FPS // 1000 + 1
SHOWN_MAX = 48


def run(*, quick: bool) -> Result:
    people = 20 if quick else PEOPLE
    shown = frames([code_text(5 * 10**6 + n) for n in range(people)], look=GATE, seed=3)
    empty = still_hall(GAP_FRAMES, sigma=3)
    with ExitStack() as at_end:
        rig = Rig(Path(at_end.enter_context(tempfile.TemporaryDirectory(dir=".", prefix=".bench-"))), at_end)
        rig.loop.start()
        at_end.callback(rig.loop.stop)
        time.sleep(3)  # The spare child starts beside the first.
        took_s = passed(rig, shown, empty)
        newest = rig.spool.newest
    answered = [each for each in took_s if each is not None]
    if newest != len(answered):
        raise RuntimeError(f"{len(answered)} people were lit and {newest} recorded")
    a_minute = 60 * len(answered) / sum(each or (SHOWN_MAX + GAP_FRAMES) / FPS for each in took_s)
    limit = 60 * FPS / (1 + GAP_FRAMES)
    return Result(
        name="throughput",
        title="people a minute at one gate",
        seen=f"{a_minute:.0f} a minute",
        table=[
            Row(
                what="people admitted a minute",
                ours=a_minute,
                unit="/min",
                baseline=f"one frame each, and {GAP_FRAMES} without a code",
                baseline_value=limit,
            ),
            Row(what="median from one person to the next", ours=1000 * statistics.median(answered), unit="ms"),
            Row(what="p99", ours=1000 * percentile(answered, 0.99), unit="ms"),
            Row(what="not answered", ours=people - len(answered), unit=f"of {people}"),
        ],
        method=(
            f"{people} people at {FPS} frames a second, look GATE: each code stays in view until its light is lit, then nobody's is for "
            f"{GAP_FRAMES} frames, for two codes within {TOGETHER_MS} ms are several. Every one is decoded in the caged child, verified, "
            "decided, sealed and committed with fsync before its green light, and counted in the spool afterwards. People walk slower "
            "than this: it is what the gate itself allows."
        ),
        series={"from one person to the next": [1000 * each for each in answered]},
        plot=Plot(x_label="ms", y_label="share of people"),
    )


def passed(rig: Rig, shown: list[np.ndarray], empty: list[np.ndarray]) -> list[float | None]:
    """s from the first frame of one to that of the next; None for whoever was not answered."""
    took: list[float | None] = []
    seq = 0
    due_ns = time.monotonic_ns()

    def put(luma: np.ndarray) -> None:
        nonlocal seq, due_ns
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        rig.mailbox.put(Frame(luma=luma, seq=seq, at_mono_ns=time.monotonic_ns()))
        seq, due_ns = seq + 1, max(due_ns, time.monotonic_ns() - 10**9 // FPS) + 10**9 // FPS

    for luma in shown:
        began_ns, before = time.monotonic_ns(), len(rig.lights.lit_ns)
        for _ in range(SHOWN_MAX):
            put(luma)
            if len(rig.lights.lit_ns) > before:
                break
        for picture in empty:
            put(picture)
        lit = len(rig.lights.lit_ns) > before
        took.append((time.monotonic_ns() - began_ns) / 1e9 if lit else None)
    return took
